// Shows the run's key figures, its fastest laps, its faults, and notices about missing or stale data.

import { NONE, clockTime, duration, make, number, setText, short, shortName, since, withUnit } from "./format.js";

const SUMMARY_STALE_S = 20; // the training writes summary.json every 5 s
const EVALUATOR_ROWS = 3;
const BOARD_ROWS = 10;

const FIGURES = [
  ["best lap", bestLap],
  ["evaluation return", evaluationReturn],
  ["env steps", (run) => [rate(run, "collection/rates/env_steps_per_s"), `${number(run.summary?.env_steps)} frames`]],
  ["train steps", (run) => [rate(run, "training/rates/train_steps_per_s"), `${number(run.summary?.train_steps)} steps`]],
  ["replay", replay],
  ["weights", weights],
  ["cars", carCount],
  ["wall time", wallTime],
];

export class RunView {
  constructor() {
    this.figures = FIGURES.map(([label, content]) => {
      const group = make("div", "figure");
      const value = make("dd", "value", NONE);
      const note = make("dd", "note muted");
      group.append(make("dt", "", label), value, note);
      document.getElementById("figures").append(group);
      return { group, value, note, content };
    });
  }

  update(run, state) {
    if (!run) return;
    const race = isRace(state);
    for (const id of ["figures", "curves"]) document.getElementById(id).closest("section").hidden = race;
    for (const { group, value, note, content } of this.figures) {
      const [text, small, share] = content(run, state);
      setText(value, text);
      setText(note, small);
      group.style.setProperty("--share", share === undefined ? "0" : String(Math.min(1, share)));
      group.classList.toggle("metered", share !== undefined);
    }
    setText(document.getElementById("run-name"), run.name);
    document.title = `${run.name} · robotini_ray`;
    const place = run.directory.split("/").slice(-2).join("/");
    const track = run.track && `track ${run.track.split("/").at(-1)}`;
    const facts = race ? [track] : [run.algorithm?.toUpperCase(), track, place];
    setText(document.getElementById("run-facts"), facts.filter(Boolean).join("  ·  "));
    document.getElementById("run-facts").title = run.directory;
  }

  updateTables(run) {
    fillBoard(run);
    fillFaults(run);
  }
}

// Returns whether the page shows a demo or a replayed race: the figures and curves of a training are then left out.
function isRace(state) {
  return Boolean(state?.cars.length) && state.cars.every((car) => car.role === "racer");
}

function bestLap(run) {
  const lap = run.summary?.best_lap_s ?? null;
  if (lap === null) return [NONE, "no evaluation has finished a lap yet"];
  const limit = run.summary.limit_s;
  return [withUnit(lap, 2, "s"), `${number(lap / limit, 2)} × the limit of ${withUnit(limit, 2, "s")}`];
}

function evaluationReturn(run) {
  const last = run.evaluations.at(-1);
  if (!last) return [NONE, "no evaluation has ended yet"];
  if (last.average_return === null) return [NONE, "no car has finished an episode yet"];
  return [number(last.average_return, 1), `${number(last.clean_laps)} of ${number(last.laps)} laps clean`];
}

function rate(run, name) {
  const newest = run.curves[name]?.values.at(-1);
  return newest === undefined ? NONE : `${number(newest)}/s`;
}

function replay(run) {
  const items = run.curves["training/replay/items"]?.values.at(-1);
  if (items === undefined) return [NONE, "nothing in replay yet"];
  const share = items / run.replay_capacity;
  if (items < run.replay_min_items) return [number(items), `of ${number(run.replay_min_items)} before training starts`, share];
  return [`${number(100 * share)}\u202f%`, `${number(items)} of ${short(run.replay_capacity)} items`, share];
}

function weights(run, state) {
  const collectors = (state?.cars ?? []).filter((car) => car.role === "collector" && car.weights_version >= 0);
  if (!collectors.length) return [NONE, "no car has received weights yet"];
  const oldest = collectors.reduce((a, b) => (a.weights_age_s > b.weights_age_s ? a : b));
  return [`v${number(oldest.weights_version)}`, `oldest in use, ${withUnit(oldest.weights_age_s, 0, "s")} old`];
}

function carCount(run, state) {
  const collectors = (state?.cars ?? []).filter((car) => car.role !== "evaluator");
  const alive = collectors.filter((car) => car.status !== "silent").length;
  const crashes = run.summary?.crashes?.collect;
  return [`${alive} of ${number(run.cars)}`, crashes === undefined ? "collecting" : `collecting, ${number(crashes)} crashes`];
}

function wallTime(run) {
  const wall = run.summary?.wall_s;
  const limit = run.minutes ? `stops after ${number(run.minutes)} min` : "no time limit";
  return [wall === undefined ? NONE : duration(wall), limit];
}

function fillBoard(run) {
  const evaluated = run.evaluations.filter((each) => each.best_lap_s !== null)
    .sort((a, b) => a.best_lap_s - b.best_lap_s).slice(0, EVALUATOR_ROWS)
    .map((each) => ({ name: "evaluator", color: "#f5c211", time_s: each.best_lap_s, weights_version: each.train_step }));
  const driven = run.board.filter((lap) => lap.role !== "evaluator" || !evaluated.length);
  const laps = [...evaluated, ...driven].sort((a, b) => a.time_s - b.time_s).slice(0, BOARD_ROWS);
  const board = document.getElementById("board");
  board.hidden = laps.length === 0;
  document.getElementById("board-empty").hidden = laps.length > 0;
  const limit = run.summary?.limit_s;
  board.tBodies[0].replaceChildren(...laps.map((lap, place) => {
    const row = make("tr");
    const car = make("td", "car-cell");
    const dot = make("span", "dot");
    dot.style.setProperty("--car", lap.color ?? "#888888");
    car.append(dot, make("span", "name-text", shortName(lap.name)));
    car.title = lap.name;
    const version = lap.weights_version === null || lap.weights_version < 0 ? NONE : `v${number(lap.weights_version)}`;
    row.append(make("td", "muted", String(place + 1)), car, make("td", "lap", withUnit(lap.time_s, 2, "s")),
      make("td", "", limit ? `${number(lap.time_s / limit, 2)}×` : NONE), make("td", "muted", version));
    return row;
  }));
}

function fillFaults(run) {
  const faults = Object.entries(run.faults).filter(([, count]) => count > 0).sort(([, a], [, b]) => b - a);
  document.getElementById("faults-empty").hidden = faults.length > 0;
  document.getElementById("faults").replaceChildren(...faults.map(([cause, count]) => {
    const group = make("div");
    group.append(make("dt", "", cause), make("dd", "", number(count)));
    return group;
  }));
}

// Returns what a reader must know to judge whether the page is up to date: pairs of [kind, text], the most serious first.
export function notices({ run, state, lostSince, clockOffset }) {
  const now = Date.now() / 1000;
  if (lostSince !== null) return [["bad", `The monitor has not answered ${since(lostSince, now)}; the page shows the data from then. Connecting again.`]];
  if (!state || !run) return [];
  const found = [];
  const here = (unixSeconds) => unixSeconds - clockOffset;
  if (!run.exists) found.push(["bad", `The run directory ${run.directory} does not exist.`]);
  if (run.problem) found.push(["bad", run.problem]);
  const stale = run.summary_at !== null && now - here(run.summary_at) > SUMMARY_STALE_S;
  if (stale) found.push(["idle", `The training has written nothing since ${clockTime(here(run.summary_at))}: it has ended or is stuck.`]);
  if (state.missing_since !== null) {
    found.push(["warn", `The cars' live state has been missing ${since(here(state.missing_since), now)}: ${state.missing_why.replace(/\.+$/, "")}.`]);
  } else if (!state.cars.length) {
    found.push(["idle", "No car has been seen yet: simulators and collectors take some seconds to start."]);
  }
  return found;
}
