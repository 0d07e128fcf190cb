"""Counts the laps that a car has really driven, from its states."""

from __future__ import annotations

import dataclasses

from robotini_ray.car.state import CarState


@dataclasses.dataclass(frozen=True, slots=True)
class Lap:
    """One flying lap."""

    time_s: float
    """The lap time in seconds of game time."""
    clean: bool
    """True if the car did not crash on the lap."""


class LapCounter:
    """Detects flying laps: all segments crossed in order from the line to the line, and the car not put back in between.

    A crossing of the line is recognised only as a change of ``track_segment`` from the last segment to 0. A car at its start
    has segment -1, and its step from -1 to 0 does not start a lap: segment 0 has two triggers, the line at 0 and one at
    1/(num_segments + 1) of the track, and after -1 it is unknown which of them was crossed (a car that starts between the
    two has not crossed the line). Besides, a lap from a standing start is not a flying lap. After the car has been put back,
    the reported segment need not be the one in which the car is, so the line counts only after another segment was crossed.
    """

    def __init__(self, num_segments: int) -> None:
        """Starts without a lap in progress.

        Args:
            num_segments: The track's number of segments, from the simulator's ``RaceParameters``.

        Raises:
            ValueError: There are fewer than 2 segments, so that a crossing of the line cannot be recognised.
        """
        if num_segments < 2:
            raise ValueError(f"num_segments is {num_segments}; counting laps takes at least 2 segments")
        self._last_segment = num_segments - 1
        self._previous: CarState | None = None
        self._start: CarState | None = None
        self._place_known = False

    @property
    def began_s(self) -> float | None:
        """The game time in seconds at which the flying lap in progress began; None if there is none."""
        return None if self._start is None else self._start.game_time_s

    def reset(self) -> None:
        """Discards the lap in progress; call it after a gap in the states."""
        self._previous = self._start = None
        self._place_known = False

    def update(self, state: CarState) -> Lap | None:
        """Processes the car's state in the next world frame; no frame may be left out.

        Returns:
            The flying lap that ends in this frame, or None.
        """
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
