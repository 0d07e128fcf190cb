// Shows one car: its camera pictures, its commands and its numbers.

import { features, threshold } from "./observation.js";
import { NONE, clockTime, make, number, setText, shortName, withUnit } from "./format.js";

const FALLBACK_COLOR = "#888888";

const NUMBERS = [
  ["speed", (car) => withUnit(car.speed_m_s, 2, "m/s")],
  ["lap time", (car) => withUnit(car.lap_time_s, 2, "s")],
  ["best lap", (car) => withUnit(car.best_lap_s, 2, "s")],
  ["laps", (car) => number(car.laps)],
  ["segment", (car) => segment(car)],
  ["track angle", (car) => withUnit(car.track_angle_deg, 0, "°")],
  ["distance", (car) => withUnit(car.distance_m, 0, "m")],
  ["crashes", (car) => number(car.crashes)],
  ["return", (car) => number(car.return, 1)],
  ["episode", (car) => number(car.episode)],
  ["step", (car) => number(car.step)],
  ["frames/s", (car) => number(car.frames_per_s)],
];

function segment(car) {
  if (car.track_segment === null || car.track_segment === undefined || car.track_segment < 0) return NONE;
  return `${number(car.track_segment)} · ${withUnit(car.segment_time_s, 1, "s")}`;
}

export class Card {
  constructor(car, onFollow) {
    this.key = car.key;
    this.fault = "";
    this.element = make("article", "card panel");
    this.element.style.setProperty("--car", car.color ?? FALLBACK_COLOR);
    this.pictures = this.makePictures(car);
    this.commands = this.makeCommands();
    this.element.append(this.makeHead(car, onFollow), this.pictures, this.commands, this.makeNumbers());
  }

  makeHead(car, onFollow) {
    const head = make("header", "card-head");
    const title = make("h3");
    this.follow = make("button", "name");
    this.follow.type = "button";
    this.follow.title = `${car.name}: follow on the map`;
    this.follow.setAttribute("aria-pressed", "false");
    this.follow.append(make("span", "dot"), make("span", "name-text", shortName(car.name)));
    this.follow.addEventListener("click", () => onFollow(this.key));
    title.append(this.follow);
    this.status = make("p", "pill small");
    this.statusText = make("span");
    this.status.append(make("span", "lamp"), this.statusText);
    head.append(title, this.status);
    return head;
  }

  makePictures(car) {
    const name = shortName(car.name);
    const pictures = make("div", "pictures");
    const camera = make("figure", "camera");
    this.camera = canvas(`Camera picture of ${name}`);
    this.cameraContext = this.camera.getContext("2d", { willReadFrequently: true });
    camera.append(this.camera, make("figcaption", "", "camera"));
    const seen = make("figure", "seen");
    this.seen = canvas(`Thresholded picture of ${name}`);
    this.seenContext = this.seen.getContext("2d");
    this.columns = strip("columns", `Observation of ${name}: columns`);
    this.rows = strip("rows", `Observation of ${name}: rows`);
    seen.append(this.seen, this.rows, this.columns, make("figcaption", "", "threshold, 8×3 observation"));
    pictures.append(camera, seen);
    return pictures;
  }

  makeCommands() {
    const commands = make("div", "commands");
    this.throttle = bar("throttle", 0, 1);
    this.turn = bar("turn", -1, 1);
    this.turn.element.classList.add("centred");
    commands.append(this.throttle.element, this.turn.element);
    return commands;
  }

  makeNumbers() {
    const list = make("dl", "numbers");
    this.numbers = NUMBERS.map(([label, text]) => {
      const group = make("div");
      const value = make("dd", "", NONE);
      group.append(make("dt", "", label), value);
      list.append(group);
      return { value, text };
    });
    this.weights = make("p", "weights muted");
    const wrapper = make("div");
    wrapper.append(list, this.weights);
    return wrapper;
  }

  // Shows the newest state. `limits` are the config's throttle_high and turn_limit, or 1 if they are not known.
  update(car, limits, clockOffset) {
    this.element.dataset.status = car.status;
    const waits = car.status === "silent" && car.role === "evaluator";
    setText(this.statusText, this.fault || statusText(car, waits, clockOffset));
    this.status.title = waits ? "between two evaluations" : car.status === "paused" ? "waits for the learner" : "";
    this.status.dataset.state = this.fault ? "bad" : STATES[waits ? "waiting" : car.status] ?? "bad";
    const replayed = car.role === "racer" && car.throttle === null; // a race log contains neither pictures nor commands
    this.pictures.hidden = this.commands.hidden = replayed;
    this.throttle.set(car.throttle, car.throttle === null ? 0 : car.throttle / limits.throttle, number(car.throttle, 3));
    this.turn.set(car.turn, car.turn === null ? 0 : car.turn / limits.turn, turnText(car.turn));
    for (const { value, text } of this.numbers) setText(value, text(car));
    setText(this.weights, weightsText(car));
  }

  async decode(png) {
    const options = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
    try {
      this.bitmap = await createImageBitmap(new Blob([png], { type: "image/png" }), options);
      this.fault = "";
    } catch {
      this.bitmap = null;
      this.fault = "picture cannot be decoded";
    }
  }

  draw() {
    if (!this.bitmap) return;
    const { width, height } = this.bitmap;
    if (this.camera.width !== width || this.camera.height !== height) {
      [this.camera.width, this.camera.height] = [width, height];
      [this.seen.width, this.seen.height] = [width, height - Math.floor(height / 4)];
    }
    this.cameraContext.drawImage(this.bitmap, 0, 0);
    this.bitmap.close();
    this.bitmap = null;
    const thresholded = threshold(this.cameraContext.getImageData(0, 0, width, height).data, width, height);
    this.seenContext.putImageData(new ImageData(thresholded.rgba, thresholded.width, thresholded.height), 0, 0);
    const values = features(thresholded);
    paint(this.columns, values.subarray(0, 12));
    paint(this.rows, values.subarray(12, 24));
  }

  setFollowed(followed) {
    this.element.classList.toggle("followed", followed);
    this.follow.setAttribute("aria-pressed", String(followed));
  }
}

const STATES = { driving: "good", waiting: "idle", paused: "idle", stalled: "warn", reconnecting: "warn" };

function statusText(car, waits, clockOffset) {
  if (car.status !== "silent") return car.status;
  return `${waits ? "waiting" : "silent"} since ${clockTime(car.written_at - clockOffset)}`;
}

function turnText(turn) {
  if (turn === null || turn === undefined) return NONE;
  const size = number(Math.abs(turn), 2);
  return size === "0.00" ? size : `${size} ${turn > 0 ? "left" : "right"}`;
}

function weightsText(car) {
  if (car.role === "racer") return "";
  if (car.weights_version === null || car.weights_version < 0) return "no weights yet: drives at random";
  const age = withUnit(car.weights_age_s, 1, "s");
  return `weights of step ${number(car.weights_version)}, ${age} old`;
}

function canvas(label) {
  const element = document.createElement("canvas");
  [element.width, element.height] = [16, 10];
  element.setAttribute("role", "img");
  element.setAttribute("aria-label", label);
  return element;
}

function strip(className, label) {
  const element = make("div", `strip ${className}`);
  element.setAttribute("role", "img");
  element.setAttribute("aria-label", label);
  for (let i = 0; i < 4; i++) element.append(make("span"));
  return element;
}

function paint(strip, values) {
  for (let i = 0; i < 4; i++) {
    const [red, green, blue] = values.subarray(3 * i, 3 * i + 3);
    strip.children[i].style.backgroundColor = `rgb(${255 * red} ${255 * green} ${255 * blue})`;
  }
}

function bar(label, low, high) {
  const element = make("div", "bar");
  const rail = make("div", "rail");
  const fill = make("div", "fill");
  const text = make("span", "bar-value", NONE);
  rail.setAttribute("role", "meter");
  rail.setAttribute("aria-label", label);
  rail.setAttribute("aria-valuemin", String(low));
  rail.setAttribute("aria-valuemax", String(high));
  rail.append(fill);
  element.append(make("span", "bar-label", label), rail, text);
  const set = (value, share, shown) => {
    rail.setAttribute("aria-valuenow", number(value, 3));
    rail.setAttribute("aria-valuetext", shown);
    const clamped = Math.max(low, Math.min(high, share ?? 0));
    if (low < 0) {
      fill.style.left = `${50 - 50 * Math.max(0, clamped)}%`; // a positive turn is to the left
      fill.style.width = `${50 * Math.abs(clamped)}%`;
    } else {
      fill.style.width = `${100 * clamped}%`;
    }
    setText(text, shown);
  };
  return { element, set };
}
