// Passes the monitor's messages to the views of the page.

import { Card } from "./card.js";
import { Charts } from "./charts.js";
import { make, number, setText, shortName, since } from "./format.js";
import { Link } from "./link.js";
import { TrackMap } from "./map.js";
import { RunView, notices } from "./run.js";

const QUIET_AFTER_S = 5;
const byId = (id) => document.getElementById(id);

const page = { run: null, state: null, lostSince: null, clockOffset: 0, heardAt: 0, followed: null, rate: 0 };
const cards = new Map();
const chips = new Map();
const runView = new RunView();
const charts = new Charts(byId("curves"));
const map = new TrackMap(byId("map-canvas"), (key) => follow(key));

const nextFrame = () => new Promise((done) => requestAnimationFrame(done));

async function showCars(state, pictures) {
  page.clockOffset = state.now - Date.now() / 1000;
  const interval = performance.now() - page.heardAt;
  page.rate += 0.1 * (1000 / Math.max(1, interval) - page.rate);
  page.heardAt = performance.now();
  page.state = state;
  page.lostSince = null;
  arrange(state.cars);
  await Promise.all([...pictures].map(([key, png]) => cards.get(key)?.decode(png)));
  await nextFrame();
  const limits = { throttle: page.run?.throttle_high ?? 1, turn: page.run?.turn_limit ?? 1 };
  for (const car of state.cars) {
    const card = cards.get(car.key);
    card.draw();
    card.update(car, limits, page.clockOffset);
  }
  map.update(state);
  runView.update(page.run, state);
  const driving = state.cars.filter((car) => car.status !== "silent").length;
  setText(byId("cars-facts"), state.cars.length ? `${number(driving)} of ${number(state.cars.length)} on the track` : "");
}

// Keeps a card and a chip for each car, in the order of the message, and removes those of cars that are no longer in it.
function arrange(cars) {
  const present = new Set(cars.map((car) => car.key));
  for (const [key, card] of cards) {
    if (present.has(key)) continue;
    card.element.remove();
    chips.get(key).remove();
    cards.delete(key);
    chips.delete(key);
    if (page.followed === key) follow(null);
  }
  for (const [place, car] of cars.entries()) {
    if (!cards.has(car.key)) {
      cards.set(car.key, new Card(car, follow));
      chips.set(car.key, makeChip(car));
    }
    const card = cards.get(car.key).element;
    if (byId("wall").children[place] !== card) {
      byId("wall").insertBefore(card, byId("wall").children[place] ?? null);
      byId("map-cars").insertBefore(chips.get(car.key), byId("map-cars").children[place] ?? null);
    }
  }
  byId("cars-empty").hidden = cars.length > 0;
}

function makeChip(car) {
  const chip = make("button", "chip");
  chip.type = "button";
  chip.title = car.name;
  chip.style.setProperty("--car", car.color ?? "#888888");
  chip.setAttribute("aria-pressed", "false");
  chip.append(make("span", "dot"), make("span", "name-text", shortName(car.name)));
  chip.addEventListener("click", () => follow(car.key));
  return chip;
}

// Follows a car on the map; the car already followed, or null, shows the whole track again.
function follow(key) {
  page.followed = key === page.followed ? null : key;
  map.followed = page.followed;
  map.draw();
  for (const [each, card] of cards) {
    card.setFollowed(each === page.followed);
    chips.get(each).setAttribute("aria-pressed", String(each === page.followed));
  }
}

function showText(message) {
  if (message.track) {
    map.setTrack(message.track);
    byId("map-empty").hidden = true;
    byId("map").classList.add("ready");
    setText(byId("map-facts"), `${message.track.name} · ${number(message.track.length_m, 1)}\u202fm`);
  }
  if (message.run) {
    page.run = message.run;
    runView.update(page.run, page.state);
    runView.updateTables(page.run);
    charts.update(page.run);
  }
}

function showHealth() {
  const quiet = !document.hidden && page.heardAt && (performance.now() - page.heardAt) / 1000 > QUIET_AFTER_S;
  if (quiet) page.lostSince ??= Date.now() / 1000 - QUIET_AFTER_S;
  const lost = page.lostSince !== null;
  document.body.classList.toggle("lost", lost);
  byId("link").dataset.state = lost ? "bad" : page.state?.missing_since ? "warn" : page.state ? "good" : "waiting";
  const text = lost ? `lost ${since(page.lostSince, Date.now() / 1000)}` : page.state ? `live · ${number(page.rate)}/s` : "connecting";
  setText(byId("link-text"), text);
  showNotices(notices(page));
}

// Replaces the notices only if they have changed, so that a screen reader reads each once; a change of only the seconds in
// them is not read again.
function showNotices(found) {
  const box = byId("notices");
  const kinds = found.map(([kind, text]) => kind + text.replace(/ \(.*?\)/, "")).join("\n");
  if (box.dataset.shown === kinds) {
    found.forEach(([, text], i) => setText(box.children[i].lastChild, text));
    return;
  }
  box.dataset.shown = kinds;
  box.replaceChildren(...found.map(([kind, text]) => {
    const notice = make("p", "notice");
    notice.dataset.state = kind;
    notice.append(make("span", "lamp"), make("span", "", text));
    return notice;
  }));
}

addEventListener("keydown", (event) => {
  if (event.key === "Escape" && page.followed !== null) follow(null);
});

new Link({
  onCars: showCars,
  onText: showText,
  onOpen: () => { page.heardAt = performance.now(); },
  onLost: () => { page.lostSince ??= Date.now() / 1000; },
});
setInterval(showHealth, 500);
showHealth();
