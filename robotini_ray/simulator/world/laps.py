"""Segments and laps of one car, by Unity's rules: which triggers it crosses, when that completes a lap."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from robotini_ray.track.track import Track


class Crossing(NamedTuple):
    """A trigger crossed in either direction: its segment, and when, in parts (0..1) of the move."""

    segment: int
    part: float


class Triggers:
    """Where the segments of a track begin: trigger 0 is the finish line at arc 0, trigger i + 1 that of segment i.

    They stand at equal distances. The line counts as segment 0 as well, which is so longer than the others.
    """

    def __init__(self, track: Track, num_segments: int) -> None:
        self.num_segments = num_segments
        self._length_m = track.length_m
        self._spacing_m = track.length_m / (num_segments + 1)

    def crossed(self, before_m: float, after_m: float) -> list[Crossing]:
        """Triggers between two places of a car that moved less than half a lap, in the order it met them.

        A car exactly on a trigger has not crossed it yet: it does as it moves on.
        """
        moved_m = math.remainder(after_m - before_m, self._length_m)
        first = math.ceil(before_m / self._spacing_m)
        last = math.ceil((before_m + moved_m) / self._spacing_m)
        met = range(first, last) if moved_m > 0 else range(first - 1, last - 1, -1)
        return [Crossing(self._segment(trigger), (trigger * self._spacing_m - before_m) / moved_m) for trigger in met]

    def segment_at(self, arc_m: float) -> int:
        """The segment that a car at `arc_m` has entered last."""
        return self._segment(math.floor(arc_m / self._spacing_m))

    def _segment(self, trigger: int) -> int:
        return max(0, trigger % (self.num_segments + 1) - 1)


@dataclass
class LapAccount:
    """What Unity keeps for one car. Times are game seconds, NaN where there is none yet."""

    lap_count: int = -1  # before the first crossing of the line; 0 on the first lap
    last_lap_s: float = math.nan
    best_lap_s: float = math.nan
    total_time_s: float = 0.0
    dnf: bool = False
    finished: bool = False  # its race is over: it may drive on, but its laps do not count any more
    segment: int = -1  # until the first trigger is crossed
    lap_started_s: float = math.nan

    def cross(self, segment: int, num_segments: int, time_s: float) -> tuple[bool, bool]:
        """Note the crossing of a trigger: (did it start the next segment in order, did that complete a lap).

        `time_s` counts from the beginning of the session.
        """
        progress = segment == (self.segment + 1) % num_segments
        self.segment = segment
        if not progress or segment != 0 or self.finished:
            return progress, False
        self.lap_count += 1
        self.total_time_s = time_s
        completed = self.lap_count > 0
        if completed:
            self.last_lap_s = time_s - self.lap_started_s
            self.best_lap_s = min(self.last_lap_s, self.best_lap_s) if self.lap_count > 1 else self.last_lap_s
        self.lap_started_s = time_s
        return True, completed

    @property
    def best_lap_rank(self) -> float:
        """Smaller is better: for standings by the best lap."""
        return math.inf if math.isnan(self.best_lap_s) else self.best_lap_s

    @property
    def race_rank(self) -> tuple[int, float]:
        """Smaller is better: for standings by laps completed, then by when the last one was."""
        return -self.lap_count, self.total_time_s if self.lap_count > 0 else 0.0

    def to_json(self) -> dict[str, Any]:
        return {
            "lapCount": self.lap_count,
            "lastLap": self.last_lap_s,
            "bestLap": self.best_lap_s,
            "totalTime": self.total_time_s,
            "dnf": self.dnf,
        }
