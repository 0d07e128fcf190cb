"""Notices that a car drives on another track than the one given, though the simulator calls both by the same name.

Simulators that send no track fields need no such check: ``TrackFields`` notices it itself.
"""

from __future__ import annotations

from robotini_ray.car.errors import TrackMismatch
from robotini_ray.car.state import CarState
from robotini_ray.car.track_fields import ASTRAY_LIMIT_FRAMES, OFF_TRACK_M
from robotini_ray.track.track import Track

FORGOTTEN_PER_FRAME = 1 / 30
"""Frames outside the walls that a frame within them makes up for.

A car of the given track flies over a wall now and then, and lands on another part of it some tenths of a second later. On
another track it leaves the walls of the given one in every lap.
"""


class PlaceCheck:
    """Checks that the places of one car lie within the walls of the given track.

    ``check`` must be given every state in order, and ``put_back`` be called each time the car is put back.

    Args:
        track: The track of the simulator.
        address: The simulator's address in the error message.
    """

    def __init__(self, track: Track, address: str) -> None:
        self._track = track
        self._address = address
        self._near_arc_m: float | None = None
        self._frames_outside = 0.0

    def put_back(self) -> None:
        """Records that the simulator has put the car back: the time outside the walls is over."""
        self._frames_outside = 0.0

    def check(self, state: CarState) -> None:
        """Counts the state if it lies outside the walls.

        Raises:
            TrackMismatch: The car has been outside for a second in all; a car of the given track is put back by then.
        """
        place = self._track.locate(state.x, state.z, self._near_arc_m, state.y)
        if abs(place.offset_m) > OFF_TRACK_M:
            place = self._track.locate(state.x, state.z, y=state.y)
        if abs(place.offset_m) <= OFF_TRACK_M:
            self._near_arc_m = place.arc_m
            self._frames_outside = max(0.0, self._frames_outside - FORGOTTEN_PER_FRAME)
            return
        self._frames_outside += 1.0
        if self._frames_outside > ASTRAY_LIMIT_FRAMES:
            raise TrackMismatch(
                f"car {state.name!r} is {abs(place.offset_m):.2f} m from the line of track {self._track.name!r} "
                f"({self._track.path}): the simulator at {self._address} drives on another geometry of that name; "
                "give the file of its track with --track"
            )
