"""Keeps the cars' newest states for the monitor, and derives what needs several states: rates, crashes and laps."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import math
import re
from collections.abc import Iterable
from typing import Any

from robotini_ray.car.state_store import StoredCar

SILENT_AFTER_S = 2.0
"""Age of a car's state from which on the car is shown as silent."""

FORGET_AFTER_S = 600.0
MOST_CARS = 64
RATE_WINDOW_S = 2.0
CRASH_MARKS = 60
BOARD_ROWS = 10
LONGEST_TEXT = 200
LARGEST_COUNT = 2**53
"""The largest whole number up to which JavaScript's numbers are exact."""

NUMBERS = (
    "x", "z", "y", "heading_rad", "speed_m_s", "throttle", "turn", "return", "episode", "step", "track_segment",
    "segment_time_s", "lap_time_s", "last_lap_s", "best_lap_s", "laps", "crashes", "returns", "track_angle_deg", "distance_m",
    "game_time_s", "weights_version", "weights_age_s",
)  # fmt: skip
"""The numeric fields of a car's state that the page gets; other fields that a writer stores are not passed on."""

_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclasses.dataclass
class WatchedCar:
    """The newest known state of a car.

    Attributes:
        key: The car's identifier on the page, a hash of its name.
        name: The car's name.
        first_seen_at: Unix time at which the monitor first saw the car, in seconds.
        role: ``collector``, ``evaluator`` or ``racer``.
        color: ``#RRGGBB``, or None if the writer stored no valid colour.
        status: The state of its connection.
        written_at: Unix time at which the state was written, in seconds of the writer's clock.
        numbers: Values of the fields ``NUMBERS``; None if missing or not finite.
        faults: Number of faults by cause.
        frame_png: The newest camera picture; empty without one.
        frame_number: Number of different pictures seen so far.
        frames_per_s: Camera frames per second of wall time; None while it is not known.
        frame_counts: Pairs of ``written_at`` and the car's count of frames, over the last ``RATE_WINDOW_S``.
    """

    key: str
    name: str
    first_seen_at: float
    role: str = ""
    color: str | None = None
    status: str = ""
    written_at: float = 0.0
    numbers: dict[str, float | None] = dataclasses.field(default_factory=dict)
    faults: dict[str, int] = dataclasses.field(default_factory=dict)
    frame_png: bytes = b""
    frame_number: int = 0
    frames_per_s: float | None = None
    frame_counts: collections.deque[tuple[float, float]] = dataclasses.field(default_factory=collections.deque)


@dataclasses.dataclass(frozen=True)
class BestLap:
    """The fastest lap of a car since it was first seen."""

    key: str
    name: str
    role: str
    color: str | None
    time_s: float
    weights_version: float | None


class Fleet:
    """Follows the cars through repeated reads of the store; all times are Unix times in seconds."""

    def __init__(self) -> None:
        self.cars: dict[str, WatchedCar] = {}
        self.crashes: collections.deque[dict[str, Any]] = collections.deque(maxlen=CRASH_MARKS)
        self.best_laps: dict[str, BestLap] = {}

    def update(self, stored: Iterable[StoredCar], now: float) -> None:
        """Takes the newest states from the store and forgets cars without a new one for ``FORGET_AFTER_S``."""
        for car in stored:
            key = hashlib.sha256(car.name.encode()).hexdigest()[:16]
            watched = self.cars.get(key) or WatchedCar(key, _text(car.name), now)
            if car.written_at > watched.written_at:
                self.cars[key] = watched
                self._take(watched, car, now)
        for watched in list(self.cars.values()):
            if now - watched.written_at > FORGET_AFTER_S:
                del self.cars[watched.key]
        while len(self.cars) > MOST_CARS:
            del self.cars[min(self.cars.values(), key=lambda watched: watched.written_at).key]

    def rows(self, now: float) -> list[dict[str, Any]]:
        """Returns the cars in JSON types for the page, the evaluator's car first."""
        cars = sorted(self.cars.values(), key=lambda car: (car.role != "evaluator", car.first_seen_at, car.name))
        return [
            {
                "key": car.key,
                "name": car.name,
                "role": car.role,
                "color": car.color,
                "status": car.status if now - car.written_at < SILENT_AFTER_S else "silent",
                "age_s": round(max(0.0, now - car.written_at), 2),
                "written_at": car.written_at,
                "frames_per_s": car.frames_per_s,
                **car.numbers,
            }
            for car in cars
        ]

    def board(self) -> list[dict[str, Any]]:
        """Returns the ``BOARD_ROWS`` fastest laps, one per car, in JSON types."""
        laps = sorted(self.best_laps.values(), key=lambda lap: lap.time_s)[:BOARD_ROWS]
        return [dataclasses.asdict(lap) for lap in laps]

    def faults(self) -> dict[str, int]:
        """Returns the number of faults of all cars by cause."""
        total: collections.Counter[str] = collections.Counter()
        for car in self.cars.values():
            total.update(car.faults)
        return dict(total)

    def _take(self, watched: WatchedCar, car: StoredCar, now: float) -> None:
        fields, before = car.fields, watched.numbers
        watched.written_at = car.written_at
        watched.role = _text(fields.get("role"))
        watched.status = _text(fields.get("status")) or "driving"
        color = fields.get("color")
        watched.color = color if isinstance(color, str) and _COLOR.fullmatch(color) else None
        watched.numbers = {name: _number(fields.get(name)) for name in NUMBERS}
        watched.faults = _counts(fields.get("faults"))
        if car.frame_png is not None and car.frame_png != watched.frame_png:
            watched.frame_png = car.frame_png
            watched.frame_number += 1
        _measure_rate(watched, _number(fields.get("frames")))
        self._mark_crash(watched, before, now)
        self._note_lap(watched)

    def _mark_crash(self, car: WatchedCar, before: dict[str, float | None], now: float) -> None:
        was, crashes = before.get("crashes"), car.numbers["crashes"]
        if was is None or crashes is None or crashes <= was:
            return
        self.crashes.append({"key": car.key, "x": car.numbers["x"], "z": car.numbers["z"], "at": round(now, 2)})

    def _note_lap(self, car: WatchedCar) -> None:
        time_s = car.numbers["best_lap_s"]
        best = self.best_laps.get(car.key)
        if time_s is not None and (best is None or time_s < best.time_s):
            version = car.numbers["weights_version"]
            self.best_laps[car.key] = BestLap(car.key, car.name, car.role, car.color, time_s, version)


def _measure_rate(car: WatchedCar, frames: float | None) -> None:
    """Updates a car's camera frames per second of wall time, measured over the last ``RATE_WINDOW_S``."""
    counts = car.frame_counts
    if frames is None or (counts and frames < counts[-1][1]):  # a car that has connected again counts from 0
        counts.clear()
        car.frames_per_s = None
    if frames is None:
        return
    counts.append((car.written_at, frames))
    while counts[-1][0] - counts[0][0] > RATE_WINDOW_S:
        counts.popleft()
    took_s = counts[-1][0] - counts[0][0]
    if took_s > 0.5:
        car.frames_per_s = round((counts[-1][1] - counts[0][1]) / took_s, 1)


def _number(value: Any) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return round(float(value), 4) if math.isfinite(value) else None
    except OverflowError:  # an integer of hundreds of digits
        return None


def _text(value: Any) -> str:
    return value[:LONGEST_TEXT] if isinstance(value, str) else ""


def _counts(value: Any) -> dict[str, int]:
    if not isinstance(value, dict):
        return {}
    return {_text(cause): count for cause, count in value.items() if type(count) is int and 0 <= count <= LARGEST_COUNT}
