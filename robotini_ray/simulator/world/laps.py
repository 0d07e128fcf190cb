"""Counts the segments and laps of a car by Unity's rules, from the triggers that it crosses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from robotini_ray.track.track import Track


class Crossing(NamedTuple):
    """The crossing of a trigger, in either direction.

    Attributes:
        segment: The segment that the trigger belongs to.
        part: The part of the move (0..1) after which the car crossed the trigger.
    """

    segment: int
    part: float


class Triggers:
    """The triggers of a track, where its segments begin.

    Trigger 0 is the finish line at arc 0, and trigger i + 1 begins segment i. The triggers are equally spaced. The finish
    line counts as segment 0 too, which is therefore longer than the others.
    """

    def __init__(self, track: Track, num_segments: int) -> None:
        self.num_segments = num_segments
        self._length_m = track.length_m
        self._spacing_m = track.length_m / (num_segments + 1)

    def crossed(self, before_m: float, after_m: float) -> list[Crossing]:
        """Returns the triggers that a car has crossed in a move, in the order of crossing.

        A car exactly on a trigger has not crossed it yet; it crosses it when it moves on.

        Args:
            before_m: The arc before the move, in metres.
            after_m: The arc after the move; the move is taken to be shorter than half a lap.
        """
        moved_m = math.remainder(after_m - before_m, self._length_m)
        first = math.ceil(before_m / self._spacing_m)
        last = math.ceil((before_m + moved_m) / self._spacing_m)
        met = range(first, last) if moved_m > 0 else range(first - 1, last - 1, -1)
        return [Crossing(self._segment(trigger), (trigger * self._spacing_m - before_m) / moved_m) for trigger in met]

    def segment_at(self, arc_m: float) -> int:
        """Returns the segment in which ``arc_m`` lies."""
        return self._segment(math.floor(arc_m / self._spacing_m))

    def _segment(self, trigger: int) -> int:
        return max(0, trigger % (self.num_segments + 1) - 1)


@dataclass
class LapAccount:
    """The laps of one car in a session, as Unity keeps them. Times are game seconds, NaN as long as there is none.

    Attributes:
        lap_count: The number of laps completed; -1 before the first crossing of the finish line, 0 on the first lap.
        last_lap_s: The time of the last lap.
        best_lap_s: The time of the best lap.
        total_time_s: The time of the session at the last counted crossing of the finish line.
        dnf: True if the car left before it finished, or had not finished when the race ended.
        finished: True when the car's race is over: it may drive on, but its laps no longer count.
        segment: The segment of the last crossing; -1 until the first.
        lap_started_s: The time of the session at which the current lap began.
    """

    lap_count: int = -1
    last_lap_s: float = math.nan
    best_lap_s: float = math.nan
    total_time_s: float = 0.0
    dnf: bool = False
    finished: bool = False
    segment: int = -1
    lap_started_s: float = math.nan

    def cross(self, segment: int, num_segments: int, time_s: float) -> tuple[bool, bool]:
        """Records the crossing of a trigger.

        Args:
            segment: The segment of the trigger.
            num_segments: The number of segments of the track.
            time_s: The time since the beginning of the session.

        Returns:
            Whether the crossing started the next segment in order, and whether it completed a lap.
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
        """The sort key for standings by the best lap; smaller is better."""
        return math.inf if math.isnan(self.best_lap_s) else self.best_lap_s

    @property
    def race_rank(self) -> tuple[int, float]:
        """The sort key for standings by laps completed, then by the time of the last one; smaller is better."""
        return -self.lap_count, self.total_time_s if self.lap_count > 0 else 0.0

    def to_json(self) -> dict[str, Any]:
        """Returns the laps with the keys and values of the event ``LapCompleted``."""
        return {
            "lapCount": self.lap_count,
            "lastLap": self.last_lap_s,
            "bestLap": self.best_lap_s,
            "totalTime": self.total_time_s,
            "dnf": self.dnf,
        }
