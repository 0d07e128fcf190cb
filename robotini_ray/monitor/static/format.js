// Formats numbers and times as text; a missing value becomes a dash.

export const NONE = "–";

export function number(value, digits = 0) {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function withUnit(value, digits, unit) {
  const text = number(value, digits);
  return text === NONE ? text : `${text}\u202f${unit}`;
}

export function short(value) {
  if (value === null || value === undefined) return NONE;
  const size = Math.abs(value);
  if (size >= 1e6) return `${number(value / 1e6, size < 1e7 ? 1 : 0)}M`;
  if (size >= 1e4) return `${number(value / 1e3)}k`;
  if (size >= 1e3) return `${number(value / 1e3, value % 1e3 ? 1 : 0)}k`;
  return size >= 10 || Number.isInteger(value) ? number(value) : Number(value.toPrecision(2)).toString();
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return NONE;
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (hours) return `${hours}\u202fh ${minutes}\u202fmin`;
  return minutes ? `${minutes}\u202fmin ${rest}\u202fs` : `${rest}\u202fs`;
}

export function clockTime(unixSeconds) {
  return new Date(unixSeconds * 1000).toLocaleTimeString("en-GB");
}

// Returns, for example, "since 14:03:22 (12 s)".
export function since(unixSeconds, now) {
  return `since ${clockTime(unixSeconds)} (${duration(now - unixSeconds)})`;
}

// Returns the name of one of our own cars without the run's name in front; any other name is returned whole.
export function shortName(name) {
  const match = /-(car\d+|evaluator)$/.exec(name);
  return match ? match[1] : name;
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}
