// Draws the track from above with every car on it: x to the right, z up, in metres.

import { number, shortName } from "./format.js";

const ROOM_M = 0.38; // distance of a car's centre from the centre line at which its side touches the wall
const MARGIN_M = 0.35;
const FOLLOW_WIDTH_M = 5;
const TRAIL_GAME_S = 3;
const TRAIL_POINTS = 60;
const LONGEST_GAP_M = 1.5; // between two points of a trail; over a longer gap the car's path is not known
const TOP_SPEED_M_S = 4.5; // no car drives faster: one that has come farther was put somewhere
const PLACE_ERROR_M = 0.1;
const FALLBACK_COLOR = "#888888";
const PICK_PX = 28;

// Whether a car has driven from one place to the next. Not every source counts the times that it was put back.
export function drove(last, next) {
  const passed = next.game_time_s - last.game_time_s;
  const reach = Math.min(LONGEST_GAP_M, TOP_SPEED_M_S * passed + PLACE_ERROR_M);
  return passed >= 0 && last.returns === next.returns && Math.hypot(next.x - last.x, next.z - last.z) <= reach;
}

export class TrackMap {
  constructor(canvas, onFollow) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.trails = new Map();
    this.cars = [];
    this.crashes = [];
    this.now = 0;
    this.followed = null;
    this.view = null;
    new ResizeObserver(() => this.draw()).observe(canvas);
    addEventListener("themechange", () => this.draw());
    canvas.addEventListener("click", (event) => onFollow(this.carAt(event)));
  }

  setTrack(track) {
    this.track = track;
    const xs = track.points.map(([x]) => x), zs = track.points.map(([, z]) => z);
    const room = ROOM_M + MARGIN_M;
    this.bounds = [Math.min(...xs) - room, Math.min(...zs) - room, Math.max(...xs) + room, Math.max(...zs) + room];
    this.canvas.style.aspectRatio = `${this.bounds[2] - this.bounds[0]} / ${this.bounds[3] - this.bounds[1]}`;
    this.pieces = pieces(track);
    this.view = null;
    this.draw();
  }

  update(state) {
    this.cars = state.cars.filter((car) => car.x !== null && car.z !== null);
    this.crashes = state.crashes;
    this.now = state.now;
    const present = new Set(this.cars.map((car) => car.key));
    for (const key of this.trails.keys()) if (!present.has(key)) this.trails.delete(key);
    for (const car of this.cars) this.extendTrail(car);
    this.draw();
  }

  extendTrail(car) {
    const trail = this.trails.get(car.key) ?? [];
    const last = trail.at(-1);
    if (last && last.at === car.written_at) return;
    if (last && !drove(last, car)) trail.length = 0;
    trail.push({ x: car.x, z: car.z, at: car.written_at, game_time_s: car.game_time_s, returns: car.returns });
    const oldest = car.game_time_s - TRAIL_GAME_S;
    while (trail.length > TRAIL_POINTS || (trail.length > 8 && trail[0].game_time_s < oldest)) trail.shift();
    this.trails.set(car.key, trail);
  }

  carAt(event) {
    if (!this.view) return null;
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    let nearest = null, nearestPx = PICK_PX;
    for (const car of this.cars) {
      const [carX, carY] = this.toScreen(car.x, car.z);
      const distance = Math.hypot(carX - x, carY - y);
      if (distance < nearestPx) [nearest, nearestPx] = [car.key, distance];
    }
    return nearest;
  }

  toScreen(x, z) {
    const { scale, x: centreX, z: centreZ } = this.view;
    return [this.canvas.clientWidth / 2 + (x - centreX) * scale, this.canvas.clientHeight / 2 - (z - centreZ) * scale];
  }

  aim() {
    const [left, bottom, right, top] = this.bounds;
    const fit = Math.min(this.canvas.clientWidth / (right - left), this.canvas.clientHeight / (top - bottom));
    const whole = { scale: fit, x: (left + right) / 2, z: (bottom + top) / 2 };
    const car = this.cars.find((each) => each.key === this.followed);
    const goal = car ? { scale: Math.max(fit, this.canvas.clientWidth / FOLLOW_WIDTH_M), x: car.x, z: car.z } : whole;
    const share = this.view && !matchMedia("(prefers-reduced-motion: reduce)").matches ? 0.35 : 1;
    const from = this.view ?? goal;
    this.view = Object.fromEntries(["scale", "x", "z"].map((name) => [name, from[name] + share * (goal[name] - from[name])]));
  }

  draw() {
    const { canvas, context } = this;
    if (!this.track || !canvas.clientWidth) return;
    this.aim();
    const ratio = devicePixelRatio || 1;
    const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const style = getComputedStyle(canvas);
    const color = (name) => style.getPropertyValue(name).trim();
    this.drawRoad(color);
    this.drawLine(color);
    for (const crash of this.crashes) this.drawCrash(crash, color("--bad"));
    for (const car of this.cars) this.drawTrail(car);
    for (const car of this.cars) this.drawCar(car, color);
  }

  drawRoad(color) {
    const { context, view } = this;
    context.lineJoin = "round";
    for (const piece of this.pieces) {
      const path = new Path2D();
      for (const [x, z] of piece) path.lineTo(...this.toScreen(x, z));
      if (this.pieces.length === 1) path.closePath();
      context.setLineDash([]);
      context.lineCap = "butt";
      context.strokeStyle = color("--wall");
      context.lineWidth = 2 * ROOM_M * view.scale + 4;
      context.stroke(path);
      context.strokeStyle = color("--road");
      context.lineWidth = 2 * ROOM_M * view.scale;
      context.stroke(path);
      context.strokeStyle = color("--wall");
      context.lineWidth = 1;
      context.setLineDash([0.12 * view.scale, 0.16 * view.scale]);
      context.stroke(path);
      context.setLineDash([]);
    }
  }

  // Draws the finish line: two rows of squares across the road at arc length 0.
  drawLine(color) {
    const { context, track } = this;
    const [[x, z], heading] = [track.points[0], track.headings_rad[0]];
    const along = [Math.sin(heading), Math.cos(heading)], right = [Math.cos(heading), -Math.sin(heading)];
    const size = (2 * ROOM_M) / 8;
    for (let row = 0; row < 2; row++) {
      for (let column = 0; column < 8; column++) {
        const corner = (a, b) => {
          const [forth, side] = [(row + a - 1) * size, (column + b - 4) * size];
          return this.toScreen(x + forth * along[0] + side * right[0], z + forth * along[1] + side * right[1]);
        };
        context.beginPath();
        for (const [a, b] of [[0, 0], [0, 1], [1, 1], [1, 0]]) context.lineTo(...corner(a, b));
        context.fillStyle = (row + column) % 2 ? color("--line-dark") : color("--line-light");
        context.fill();
      }
    }
  }

  drawCrash(crash, color) {
    if (crash.x === null || crash.z === null) return;
    const { context } = this;
    const [x, y] = this.toScreen(crash.x, crash.z);
    context.globalAlpha = Math.max(0.15, 0.8 - (this.now - crash.at) / 60);
    context.strokeStyle = color;
    context.lineWidth = 1.75;
    context.beginPath();
    context.moveTo(x - 3.5, y - 3.5);
    context.lineTo(x + 3.5, y + 3.5);
    context.moveTo(x + 3.5, y - 3.5);
    context.lineTo(x - 3.5, y + 3.5);
    context.stroke();
    context.globalAlpha = 1;
  }

  drawTrail(car) {
    const { context } = this;
    const trail = this.trails.get(car.key) ?? [];
    context.strokeStyle = car.color ?? FALLBACK_COLOR;
    context.lineWidth = this.followed === car.key ? 4 : 2.5;
    context.lineCap = "butt"; // round ends would be visible as dots where pieces overlap
    const places = trail.map((place) => this.toScreen(place.x, place.z));
    const middle = ([x, y], [otherX, otherY]) => [(x + otherX) / 2, (y + otherY) / 2];
    for (let i = 1; i < places.length; i++) {
      context.globalAlpha = (this.isDim(car) ? 0.25 : 0.8) * (i / places.length);
      context.beginPath();
      context.moveTo(...(i === 1 ? places[0] : middle(places[i - 2], places[i - 1])));
      context.quadraticCurveTo(...places[i - 1], ...(i === places.length - 1 ? places[i] : middle(places[i - 1], places[i])));
      context.stroke();
    }
    context.globalAlpha = 1;
  }

  drawCar(car, color) {
    const { context } = this;
    const [x, y] = this.toScreen(car.x, car.z);
    const size = this.followed === car.key ? 11 : 8;
    context.save();
    context.globalAlpha = car.status === "silent" ? 0.3 : this.isDim(car) ? 0.6 : 1;
    context.translate(x, y);
    context.rotate(car.heading_rad ?? 0); // 0 is along +z, which is up on the screen, and positive is clockwise, as on the canvas
    context.beginPath();
    context.moveTo(0, -size);
    context.lineTo(0.72 * size, 0.8 * size);
    context.lineTo(0, 0.42 * size);
    context.lineTo(-0.72 * size, 0.8 * size);
    context.closePath();
    context.fillStyle = car.color ?? FALLBACK_COLOR;
    context.strokeStyle = color("--panel");
    context.lineWidth = 2.5;
    context.lineJoin = "round";
    context.stroke();
    context.fill();
    context.restore();
    this.drawLabel(car, x, y - size - 5, color);
  }

  drawLabel(car, x, y, color) {
    const { context } = this;
    const name = shortName(car.name);
    const text = name.length > 14 ? `${name.slice(0, 13)}…` : name;
    const speed = this.followed === car.key ? `  ${number(car.speed_m_s, 1)} m/s` : "";
    context.globalAlpha = this.isDim(car) || car.status === "silent" ? 0.5 : 1;
    context.font = `600 11px ${getComputedStyle(document.body).fontFamily}`;
    context.textAlign = "center";
    context.lineJoin = "round";
    context.lineWidth = 3.5;
    context.strokeStyle = color("--panel");
    context.strokeText(text + speed, x, y);
    context.fillStyle = color("--ink");
    context.fillText(text + speed, x, y);
    context.globalAlpha = 1;
  }

  isDim(car) {
    return this.followed !== null && this.followed !== car.key;
  }
}

// Returns the centre line as one closed piece or, if the road crosses over itself, in pieces from the lowest to the highest.
function pieces(track) {
  if (!track.heights_m.length) return [track.points];
  const size = 6, count = track.points.length, found = [];
  for (let start = 0; start < count; start += size) {
    const indices = Array.from({ length: size + 2 }, (_, i) => (start + i) % count);
    found.push({ height: Math.max(...indices.map((i) => track.heights_m[i])), points: indices.map((i) => track.points[i]) });
  }
  return found.sort((a, b) => a.height - b.height).map((piece) => piece.points);
}
