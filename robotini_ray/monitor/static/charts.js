// Draws the learning curves: one chart each, over the train step, with a table of the same numbers for screen readers.

import { NONE, make, number, short, withUnit } from "./format.js";

const HEIGHT_PX = 190;
const TABLE_ROWS = 12;
const REFERENCES = [ // lap times of the original trainer, as multiples of their track's limit of 5.6 s
  { label: "best bot", ratio: 1.31 },
  { label: "original trainer", ratio: 2.79 },
];

const evaluations = (name) => (run) => run.evaluations.map((each) => [each.train_step, each[name]]);
const curve = (name) => (run) => {
  const found = run.curves[name];
  return found ? found.steps.map((step, i) => [step, found.values[i]]) : [];
};

const NO_EVALUATION = "No evaluation has ended yet.";
const NO_STEP = "The learner has made no step yet.";

const CHARTS = [
  { title: "Evaluation return", empty: NO_EVALUATION, lines: [{ label: "mean return", points: evaluations("average_return"), color: 1 }] },
  { title: "Lap time", unit: "s", digits: 2, empty: "No evaluation has finished a lap yet.", lines: [
    { label: "best", points: evaluations("best_lap_s"), color: 1 },
    { label: "mean", points: evaluations("mean_lap_s"), color: 2 },
  ], levels: lapLevels },
  { title: "Episode length", unit: "frames", empty: NO_EVALUATION, lines: [
    { label: "mean length", points: evaluations("average_episode_length"), color: 1 },
  ] },
  { title: "Laps and crashes of an evaluation", empty: NO_EVALUATION, lines: [
    { label: "clean laps", points: evaluations("clean_laps"), color: 3 },
    { label: "crashes", points: evaluations("crashes"), color: 4 },
  ] },
  { title: "Critic loss", digits: 4, empty: NO_STEP, lines: [{ label: "critic loss", points: curve("training/losses/critic"), color: 2 }] },
  { title: "Actor loss", digits: 3, empty: NO_STEP, lines: [{ label: "actor loss", points: curve("training/losses/actor"), color: 5 }] },
  { title: "Steps per second", empty: NO_STEP, lines: [
    { label: "env steps/s", points: curve("collection/rates/env_steps_per_s"), color: 1 },
    { label: "train steps/s", points: curve("training/rates/train_steps_per_s"), color: 2, right: true },
  ] },
  { title: "Replay", unit: "items", empty: "Replay is empty.", lines: [
    { label: "items", points: curve("training/replay/items"), color: 1 },
  ], levels: (run) => (run.replay_capacity ? [{ label: "capacity", value: run.replay_capacity }] : []) },
];

function lapLevels(run) {
  const limit = run.summary?.limit_s;
  if (!limit) return [];
  const references = REFERENCES.map(({ label, ratio }) => ({ label: `${label}, ${ratio}×:`, value: ratio * limit }));
  return [{ label: "limit", value: limit, strong: true }, ...references];
}

export class Charts {
  constructor(container) {
    this.charts = CHARTS.map((spec) => new Chart(spec));
    container.append(...this.charts.map((chart) => chart.element));
    new ResizeObserver(() => this.charts.forEach((chart) => chart.resize())).observe(container);
    addEventListener("themechange", () => this.charts.forEach((chart) => chart.rebuild()));
  }

  update(run) {
    for (const chart of this.charts) chart.update(run);
  }
}

class Chart {
  constructor(spec) {
    this.spec = spec;
    this.element = make("figure", "panel chart");
    const caption = make("figcaption", "chart-head");
    caption.append(make("h3", "", spec.title));
    this.latest = make("p", "latest");
    caption.append(this.latest);
    this.plot = make("div", "plot");
    this.plot.setAttribute("role", "img");
    this.plot.hidden = true;
    this.empty = make("p", "empty", spec.empty);
    this.details = make("details", "values");
    this.details.append(make("summary", "", `Values of ${spec.title.toLowerCase()}`));
    this.table = make("table");
    this.details.append(this.table);
    this.details.addEventListener("toggle", () => this.fillTable());
    this.element.append(caption, this.plot, this.empty, this.details);
    this.seen = "";
  }

  update(run) {
    const series = this.spec.lines.map((line) => line.points(run).filter(([, value]) => value !== null && value !== undefined));
    const levels = this.spec.levels?.(run) ?? [];
    const fingerprint = JSON.stringify([series.map((points) => [points.length, points.at(-1)]), levels]);
    if (fingerprint === this.seen) return;
    this.seen = fingerprint;
    this.series = series;
    this.shownLevels = series.some((points) => points.length) ? levels : [];
    this.rebuild();
    this.describe();
    if (this.details.open) this.fillTable();
  }

  rebuild() {
    this.uplot?.destroy();
    this.uplot = null;
    const steps = [...new Set((this.series ?? []).flatMap((points) => points.map(([step]) => step)))].sort((a, b) => a - b);
    const isEmpty = steps.length === 0;
    this.plot.hidden = this.details.hidden = isEmpty;
    this.empty.hidden = !isEmpty;
    if (isEmpty || !this.element.isConnected) return;
    this.steps = steps;
    const lines = this.series.map((points) => aligned(steps, points));
    const flat = this.shownLevels.map(({ value }) => steps.map(() => value));
    this.uplot = new uPlot(this.options(), [steps, ...lines, ...flat], this.plot);
  }

  options() {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    const axis = { stroke: color("--muted"), grid: { stroke: color("--grid"), width: 1 }, ticks: { show: false },
      font: "11px system-ui, sans-serif", values: (_, ticks) => ticks.map(short) };
    const few = this.steps.length < 40;
    const lines = this.spec.lines.map((line) => ({
      label: line.label, stroke: color(`--curve-${line.color}`), width: 2, spanGaps: true, scale: line.right ? "right" : "y",
      points: { show: few, size: 5 },
    }));
    const levels = this.shownLevels.map((level) => ({
      label: level.label, stroke: color(level.strong ? "--ink" : "--muted"), width: level.strong ? 1.5 : 1, dash: level.strong ? [] : [5, 4],
      points: { show: false },
    }));
    const hasRight = this.spec.lines.some((line) => line.right);
    return {
      width: this.width(), height: HEIGHT_PX, legend: { show: false }, padding: [10, hasRight ? 4 : 14, 0, 0],
      cursor: { sync: { key: "train-step" }, y: false, points: { size: 7 } },
      hooks: { setCursor: [() => this.describe()], draw: [(uplot) => this.nameLevels(uplot)] },
      scales: { x: { time: false }, y: { range: padded }, right: { range: padded } },
      series: [{}, ...lines, ...levels],
      axes: [{ ...axis, size: 26, gap: 4 }, { ...axis, size: 46, gap: 4 },
        ...(hasRight ? [{ ...axis, scale: "right", side: 1, size: 40, gap: 4, grid: { show: false } }] : [])],
    };
  }

  width() {
    const style = getComputedStyle(this.element);
    return Math.max(160, this.element.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight));
  }

  resize() {
    if (this.uplot && this.uplot.width !== this.width()) this.uplot.setSize({ width: this.width(), height: HEIGHT_PX });
  }

  levelText({ label, value }) {
    return `${label} ${withUnit(value, this.spec.digits ?? 0, this.spec.unit ?? "")}`;
  }

  // Writes the name of each reference level on its line.
  nameLevels(uplot) {
    const { ctx: context, bbox } = uplot;
    const ratio = devicePixelRatio || 1;
    const style = getComputedStyle(document.documentElement);
    context.save();
    context.font = `${10.5 * ratio}px system-ui, sans-serif`;
    context.textAlign = "right";
    context.textBaseline = "alphabetic";
    context.lineJoin = "round";
    context.lineWidth = 4 * ratio;
    context.strokeStyle = style.getPropertyValue("--panel");
    context.fillStyle = style.getPropertyValue("--muted");
    for (const level of this.shownLevels) {
      const y = uplot.valToPos(level.value, "y", true);
      const place = [this.levelText(level), bbox.left + bbox.width - 4 * ratio, y - 5 * ratio];
      context.strokeText(...place);
      context.fillText(...place);
    }
    context.restore();
  }

  // Shows the values at the cursor, or the newest ones without a cursor.
  describe() {
    if (!this.series?.some((points) => points.length)) return;
    const index = this.uplot?.cursor.idx ?? null;
    const parts = this.spec.lines.map((line, i) => {
      const value = index === null ? this.series[i].at(-1)?.[1] : this.uplot.data[i + 1][index];
      const part = make("span", "series");
      const mark = make("i");
      mark.style.background = `var(--curve-${line.color})`;
      part.append(mark, make("span", "muted", line.label), make("b", "", number(value, this.digits(value))));
      return part;
    });
    if (index !== null) parts.push(make("span", "muted at", `at ${number(this.steps[index])}`));
    this.latest.replaceChildren(...parts);
    const newest = this.spec.lines.map((line, i) => `${line.label} ${number(this.series[i].at(-1)?.[1], 2)}`).join(", ");
    const levels = this.shownLevels.map((level) => `; ${this.levelText(level)}`).join("");
    this.plot.setAttribute("aria-label", `${this.spec.title} over the train step; newest: ${newest}${levels}`);
  }

  digits(value) {
    if (this.spec.digits !== undefined) return this.spec.digits;
    return value !== null && value !== undefined && Math.abs(value) < 100 && !Number.isInteger(value) ? 1 : 0;
  }

  fillTable() {
    if (!this.details.open || !this.steps) return;
    const head = make("tr");
    head.append(...["train step", ...this.spec.lines.map((line) => line.label)].map((text) => {
      const cell = make("th", "", text);
      cell.scope = "col";
      return cell;
    }));
    const newest = this.steps.slice(-TABLE_ROWS).reverse();
    const values = this.series.map((points) => new Map(points));
    const rows = newest.map((step) => {
      const row = make("tr");
      row.append(make("td", "", number(step)));
      for (const each of values) row.append(make("td", "", each.has(step) ? number(each.get(step), this.digits(each.get(step))) : NONE));
      return row;
    });
    this.table.replaceChildren(head, ...rows);
  }
}

function aligned(steps, points) {
  const values = new Map(points);
  return steps.map((step) => values.get(step) ?? null);
}

function padded(_, low, high) {
  if (low === null || high === null) return [0, 1];
  const room = (high - low || Math.abs(high) || 1) * 0.08;
  return [low >= 0 ? Math.max(-room / 2, low - room) : low - room, high + room];
}
