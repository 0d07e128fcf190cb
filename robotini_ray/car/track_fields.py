"""Computes ``trackAngle`` and ``trackSegment`` of a car from its positions, for simulators that do not send them.

The rules are the simulator's: segment 0 begins at the finish line and has, besides the line, a trigger of its own; triggers
stand at equal distances; and every crossing of a trigger in either direction sets the segment. A car that has been put back
gets the segment of its true place.
"""

from __future__ import annotations

import dataclasses
import math
from bisect import bisect_left, bisect_right

from robotini_ray.car.errors import TrackMismatch
from robotini_ray.car.state import CarState
from robotini_ray.track.track import Track, TrackPlace

OFF_TRACK_M = 0.6
"""The distance in metres from the track's line beyond which a car is not on the road: the walls stand at 0.45 m."""

JUMP_M = 0.5
"""The distance in metres between two frames beyond which a car was moved: it drives at most 0.07 m per frame."""

ASTRAY_LIMIT_FRAMES = 60
"""The number of frames after which a car that stays off the line must be on another track.

A car that has flown over a wall falls, and is put back in less than 1 s.
"""

LEAPS_LIMIT = 3
"""The number of jumps after which the car must be on another track, whose road crosses the walls of the given one.

A car may fly from one part of the track to another, but not more often than this between two put-backs.
"""

ROLLED_M = 0.01
"""The distance in metres past a trigger within which a starting car was placed on the trigger and has rolled a little.

In its first frame a car rolls at most 1.4 mm.
"""

RESOLUTION_M = 0.0001
"""The distance in metres past a trigger within which a starting car still stands on the trigger, but for rounding."""


class TrackFields:
    """Computes the track fields of one car from its states.

    ``complete`` must be given every state in order; ``put_back`` must be called each time the car is put back, and
    ``restart`` at each new session.

    Args:
        track: The track of the simulator.
        num_segments: The track's number of segments, from ``RaceParameters``.
    """

    def __init__(self, track: Track, num_segments: int) -> None:
        self._track = track
        # The triggers of three laps, so that a move across the line is no special case in either direction.
        triggers_m = [0.0, *track.trigger_arcs_m(num_segments).tolist()]
        self._triggers_m = [lap * track.length_m + arc_m for lap in (-1, 0, 1) for arc_m in triggers_m]
        self._segments = [0, *range(num_segments)] * 3
        self._last: CarState | None = None
        self.restart()

    def restart(self) -> None:
        """Starts anew at the place of the car's next state, with no trigger crossed yet."""
        self._segment = -1
        self._place: TrackPlace | None = None
        self._was_put_back = False
        self._astray_frames = 0
        self._leaps = 0

    def put_back(self) -> None:
        """Records that the simulator has put the car back: its next state may be at any other place."""
        self._was_put_back = True
        self._leaps = 0

    def complete(self, state: CarState) -> CarState:
        """Returns the same state with the two track fields filled in.

        Raises:
            TrackMismatch: The car starts off the track's line, stays off it, or drives through its walls again and again, so
                it is on another track.
        """
        if self._place is None or self._last is None:
            place = self._start(state)
        elif self._was_put_back or math.hypot(state.x - self._last.x, state.z - self._last.z) > JUMP_M:
            place = self._land(state, self._place)
        else:
            place = self._drive(state, self._place)
        self._place, self._last = place, state
        angle_rad = abs(math.remainder(state.heading_rad - place.heading_rad, 2 * math.pi))
        return dataclasses.replace(state, track_angle_deg=math.degrees(angle_rad), track_segment=self._segment)

    def _start(self, state: CarState) -> TrackPlace:
        place = self._track.locate(state.x, state.z, y=state.y)
        if abs(place.offset_m) > OFF_TRACK_M:
            raise self._mismatch(state.name, place)
        index = bisect_right(self._triggers_m, place.arc_m) - 1
        past_m = place.arc_m - self._triggers_m[index]
        if past_m <= RESOLUTION_M:
            return place._replace(arc_m=self._triggers_m[index])
        if past_m <= ROLLED_M:
            self._segment = self._segments[index]
        return place

    def _drive(self, state: CarState, last: TrackPlace) -> TrackPlace:
        place = self._track.locate(state.x, state.z, last.arc_m)
        if abs(place.offset_m) > OFF_TRACK_M:  # over the wall, perhaps to another part of the track
            return self._land(state, last)
        self._astray_frames = 0
        moved_m = math.remainder(place.arc_m - last.arc_m, self._track.length_m)
        reached_m = last.arc_m + moved_m
        # A car that stands on a trigger crosses it when it moves on.
        first = bisect_left(self._triggers_m, min(last.arc_m, reached_m))
        behind = bisect_left(self._triggers_m, max(last.arc_m, reached_m))
        if first < behind:
            self._segment = self._segments[behind - 1 if moved_m > 0 else first]
        return place

    def _land(self, state: CarState, last: TrackPlace) -> TrackPlace:
        """Returns the place of a car that did not drive there; its last place as long as it is on no part of the road."""
        place = self._track.locate(state.x, state.z, y=state.y)
        if abs(place.offset_m) > OFF_TRACK_M:
            self._astray_frames += 1
            if self._astray_frames > ASTRAY_LIMIT_FRAMES:
                raise self._mismatch(state.name, place)
            return last
        if not self._was_put_back:
            self._leaps += 1
            if self._leaps > LEAPS_LIMIT:
                raise self._mismatch(state.name, self._track.locate(state.x, state.z, last.arc_m))
        self._astray_frames = 0
        self._was_put_back = False
        self._segment = self._segments[bisect_right(self._triggers_m, place.arc_m) - 1]
        return place

    def _mismatch(self, name: str, place: TrackPlace) -> TrackMismatch:
        return TrackMismatch(
            f"car {name!r} is {abs(place.offset_m):.2f} m from the line of track {self._track.name!r} "
            f"({self._track.path}): the car drives on another track; give the file of that track with --track"
        )
