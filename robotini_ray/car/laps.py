"""Laps that were really driven, counted from the states of one car."""

from __future__ import annotations

import dataclasses

from robotini_ray.car.state import CarState


@dataclasses.dataclass(frozen=True, slots=True)
class Lap:
    """One flying lap, in game time; clean means that nothing was hit on it."""

    time_s: float
    clean: bool


class LapCounter:
    """Finds flying laps: every segment crossed in order from the line to the line, with no return to track in between.

    The line is seen as `track_segment` going from the last segment to 0, and only so. A car at its start has segment
    -1, and its step from -1 to 0 does not start a lap: segment 0 has two triggers, the line at 0 and one at
    1/(num_segments + 1) of the track, and from -1 nobody knows which of them was crossed (a car that starts between
    the two has not crossed the line); besides, a lap from a standing start is no flying lap. After a return to track
    the recorded segment need not be where the car is, so the line counts only once another segment was crossed.
    """

    def __init__(self, num_segments: int) -> None:
        """`num_segments` is the simulator's (RaceParameters). Raises ValueError below 2: such a line cannot be seen."""
        if num_segments < 2:
            raise ValueError(f"num_segments is {num_segments}; laps can be counted from 2 segments on")
        self._last_segment = num_segments - 1
        self._previous: CarState | None = None
        self._start: CarState | None = None
        self._place_known = False

    @property
    def began_s(self) -> float | None:
        """Game time at which the lap under way began; None where none is."""
        return None if self._start is None else self._start.game_time_s

    def reset(self) -> None:
        """Forgets the lap in progress, after a gap in the states."""
        self._previous = self._start = None
        self._place_known = False

    def update(self, state: CarState) -> Lap | None:
        """Takes the car's state in the next world frame (none may be left out); returns the lap that it completes."""
        previous, self._previous = self._previous, state
        if previous is None:
            return None
        if state.returns != previous.returns:
            self._start = None
            self._place_known = False
            return None
        if state.track_segment == previous.track_segment:
            return None
        place_was_known, self._place_known = self._place_known, True
        if previous.track_segment == self._last_segment and state.track_segment == 0:
            return self._cross_line(state) if place_was_known else None
        if state.track_segment != previous.track_segment + 1:
            self._start = None
        return None

    def _cross_line(self, state: CarState) -> Lap | None:
        start, self._start = self._start, state
        if start is None:
            return None
        return Lap(time_s=state.game_time_s - start.game_time_s, clean=state.crashes == start.crashes)
