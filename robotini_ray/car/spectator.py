"""Reads the spectator stream, in which the simulator reports every car, and keeps the states of the followed cars."""

from __future__ import annotations

import collections
import dataclasses
import math
import socket
import time
from typing import Any

from robotini_ray.car.connection import wait_readable
from robotini_ray.car.errors import SegmentsRefused, SpectatorLost, StateTimeout, TrackFieldsMissing
from robotini_ray.car.event_stream import EventStream
from robotini_ray.car.place_check import PlaceCheck
from robotini_ray.car.state import CarState
from robotini_ray.car.track_fields import TrackFields
from robotini_ray.track.track import Track

WORLD_FRAMES_PER_S = 60
MAX_STATES_KEPT = 600
MIN_SEGMENTS = 2
"""The lowest number of segments with which a crossing of the line can be recognised (``LapCounter``)."""

MAX_SEGMENTS = 1000
MAX_SPEED_M_S = 100.0
"""The greatest speed that is accepted, in metres per second; cars drive at up to 4 m/s."""

MAX_COORDINATE_M = 1e5
"""The greatest distance from the origin that is accepted along each axis, in metres."""

MAX_ANGLE_DEG = 360.0
"""The greatest absolute ``trackAngle`` that is accepted; the simulator sends 0 to 180."""

MAX_QUATERNION = 1.01
"""The greatest absolute component of a rotation that is accepted: a unit quaternion, but for rounding."""

STALE_S = 1.0
"""The age in seconds from which, in real time, a state no longer counts as the car's present state."""

_SESSION_EVENTS = {"FreePracticeStart", "QualifyingStart", "StartingGridInit", "RaceStart"}
_COUNTED_EVENTS = {"CarCrashed": "crashes", "CarBumped": "bumps", "CarReturnedToTrack": "returns"}


@dataclasses.dataclass(slots=True)
class _FollowedCar:
    """The data kept for a followed car between two events."""

    crashes: int = 0
    bumps: int = 0
    returns: int = 0
    newest: CarState | None = None
    track_fields: TrackFields | None = None
    """Computes the track fields; None if the simulator sends them."""
    place_check: PlaceCheck | None = None
    """Checks the car's places; None if the track is not known."""
    untaken: collections.deque[CarState] = dataclasses.field(default_factory=lambda: collections.deque(maxlen=MAX_STATES_KEPT))


class Spectator:
    """Reads the spectator stream without a thread of its own: it reads only during calls of its methods.

    The owner must call ``drain`` or ``wait_for`` regularly, or the simulator drops the connection. Only the constructor,
    ``wait_for`` and ``wait_for_parameters`` block, each with a time limit. To replace a lost connection, make a new
    ``Spectator``; its counters and its game time start from 0. The class is not thread-safe: one thread at a time may use an
    instance.

    ``trackAngle`` and ``trackSegment`` are taken from the stream if the simulator sends them, as the fork of Robotini does;
    otherwise they are computed from ``track``. A computed segment is -1 until the car crosses a trigger, even for a car that
    has been driving for a long time when it is first followed.
    """

    def __init__(
        self,
        host: str,
        port: int,
        timeout_s: float = 5.0,
        track: Track | None = None,
        sock: socket.socket | None = None,
        follow_all: bool = False,
    ) -> None:
        """Connects to the spectator port, or takes over a socket.

        Args:
            host: The simulator's host name or IP address.
            port: The simulator's spectator port.
            timeout_s: The longest wait for the TCP connection, in seconds.
            track: The track of the simulator; needed only if the simulator does not send the track fields. The places of
                followed cars are checked against it, unless all are followed, which only shows them.
            sock: A socket that ``open_socket`` returned; it is taken over, and no new connection is made.
            follow_all: Whether to follow every car that is on the track.

        Raises:
            SimulatorUnreachable: No TCP connection could be made.
        """
        self._follow_all = follow_all
        self.parameters: dict[str, Any] | None = None
        """The newest ``RaceParameters`` event; None before the first one."""
        self.bad_events = 0
        """The number of events of a known type, and of entries of cars in them, with missing or invalid fields.

        An entry of a ``GameStatus`` that is not usable is skipped; those of the other cars count.
        """
        self._bad_taken = 0
        self._track = track
        self._stream = EventStream(host, port, timeout_s, sock)
        self._followed: dict[str, _FollowedCar] = {}
        self._world_frames = 0
        self._last_timestamp: Any = None
        self._last_status_s = time.monotonic()

    @property
    def bad_lines(self) -> int:
        """The number of lines, so far, that were not events."""
        return self._stream.bad_lines

    def take_bad_lines(self) -> int:
        """Returns by how much the sum of ``bad_lines`` and ``bad_events`` has grown since the last call."""
        taken = self.bad_lines + self.bad_events - self._bad_taken
        self._bad_taken += taken
        return taken

    @property
    def game_time_s(self) -> float:
        """The game time since the start of the connection, counted in world frames; Unity's time stamps are wall time."""
        return self._world_frames / WORLD_FRAMES_PER_S

    @property
    def status_age_s(self) -> float:
        """The wall time since the last ``GameStatus`` was read; in real time states older than ``STALE_S`` are stale."""
        return time.monotonic() - self._last_status_s

    def fileno(self) -> int:
        """Returns the socket's file descriptor for ``select`` and ``poll``."""
        return self._stream.fileno()

    def follow(self, name: str) -> None:
        """Starts to keep the states of a car; discards what is kept if the car is followed already.

        In lock-step this must be called before the car joins: the state of its first frame is sent at once, and only once.
        """
        check = None if self._track is None or self._follow_all else PlaceCheck(self._track, self._stream.address)
        self._followed[name] = _FollowedCar(place_check=check)

    def unfollow(self, name: str) -> None:
        """Discards what is kept for a car and ignores its states from now on; does nothing if it is not followed."""
        self._followed.pop(name, None)

    @property
    def followed(self) -> list[str]:
        """The names of the followed cars."""
        return list(self._followed)

    def state(self, name: str) -> CarState | None:
        """Returns the newest state of a followed car; None before its first state and after it has left the track."""
        return self._followed[name].newest

    def has_state(self, name: str, frames_sent: int) -> bool:
        """Returns whether the newest state of a followed car is at least as new as its camera frame ``frames_sent``.

        If the simulator does not number its frames (Unity), any state that is not stale counts.
        """
        newest = self._followed[name].newest
        if newest is None:
            return False
        if newest.frames_sent < 0:
            return self.status_age_s <= STALE_S
        return newest.frames_sent >= frames_sent

    def take_states(self, name: str) -> list[CarState]:
        """Returns all states of a followed car since the last call, oldest first, at most the newest 600."""
        untaken = self._followed[name].untaken
        states = list(untaken)
        untaken.clear()
        return states

    def drain(self) -> None:
        """Reads and processes the events that have arrived, without blocking.

        Raises:
            SpectatorLost: The connection has ended.
            TrackFieldsMissing: The simulator sends no track fields, and the track or its parameters are not known.
            TrackMismatch: The simulator uses another track than the one given.
            SegmentsRefused: The first ``RaceParameters`` event has a number of segments by which laps cannot be counted.
        """
        for event in self._stream.read():
            self._apply(event)

    def wait_for(self, name: str, frames_sent: int, timeout_s: float) -> CarState:
        """Blocks until ``has_state`` is true for the car and frame, then returns the newest state of the car.

        Raises:
            StateTimeout: No such state arrived within ``timeout_s`` seconds.
            SpectatorLost: The connection has ended.
            TrackFieldsMissing: The simulator sends no track fields, and the track or its parameters are not known.
            TrackMismatch: The simulator uses another track than the one given.
            SegmentsRefused: The first ``RaceParameters`` event has a number of segments by which laps cannot be counted.
        """
        followed = self._followed[name]
        deadline_s = time.monotonic() + timeout_s
        while True:
            self.drain()
            newest = followed.newest
            if newest is not None and (newest.frames_sent >= frames_sent or self.has_state(name, frames_sent)):
                return newest
            if not wait_readable(self._stream, deadline_s):
                have = "none at all" if newest is None else f"frame {newest.frames_sent}, {self.status_age_s:.1f} s old"
                raise StateTimeout(
                    f"no state of car {name!r} for its frame {frames_sent} from {self._stream.address} in {timeout_s:g} s "
                    f"(have {have})"
                )

    def wait_for_parameters(self, timeout_s: float) -> dict[str, Any]:
        """Blocks until the ``RaceParameters`` event has arrived, which every simulator sends first, and returns it.

        Raises:
            SpectatorLost: No such event arrived within ``timeout_s`` seconds, or the connection has ended.
            TrackFieldsMissing: The simulator sends no track fields, and the track or its parameters are not known.
            TrackMismatch: The simulator uses another track than the one given.
            SegmentsRefused: The first ``RaceParameters`` event has a number of segments by which laps cannot be counted.
        """
        deadline_s = time.monotonic() + timeout_s
        self.drain()
        while self.parameters is None:
            if not wait_readable(self._stream, deadline_s):
                raise SpectatorLost(
                    f"no RaceParameters from {self._stream.address} in {timeout_s:g} s: is that the simulator's spectator port?"
                )
            self.drain()
        return self.parameters

    def close(self) -> None:
        """Closes the connection."""
        self._stream.close()

    def _apply(self, event: dict[str, Any]) -> None:
        kind = event["type"]
        try:
            if kind == "GameStatus":
                self._count_world_frame(event.get("timestamp"))
                self._apply_status(event["cars"])
            elif kind == "RaceParameters":
                _check_segments(event["numSegments"])
                self.parameters = event
            elif kind in _COUNTED_EVENTS or kind in ("CarAdded", "CarRemoved"):
                self._apply_car_event(kind, event["car"]["name"])
            elif kind in _SESSION_EVENTS:
                self._restart_track_fields()
        except (KeyError, TypeError, ValueError, OverflowError):
            self.bad_events += 1
            if kind == "RaceParameters" and self.parameters is None:  # there are none to go on with
                raise SegmentsRefused(
                    f"the simulator at {self._stream.address} sends numSegments {event.get('numSegments')!r:.40}, but counting "
                    f"laps takes {MIN_SEGMENTS} to {MAX_SEGMENTS}: set numSegments in its RaceParameters.json"
                ) from None

    def _apply_car_event(self, kind: str, name: str) -> None:
        car = self._followed.get(name)
        if car is None:
            return
        if kind in _COUNTED_EVENTS:
            counter = _COUNTED_EVENTS[kind]
            setattr(car, counter, getattr(car, counter) + 1)
            for follower in (car.track_fields, car.place_check) if kind == "CarReturnedToTrack" else ():
                if follower is not None:
                    follower.put_back()
        else:
            # Frame numbers restart with the next connection: a state of the last connection would pass for a later frame.
            car.newest = None
            car.untaken.clear()

    def _restart_track_fields(self) -> None:
        for car in self._followed.values():
            if car.track_fields is not None:
                car.track_fields.restart()

    def _count_world_frame(self, timestamp: Any) -> None:
        self._last_status_s = time.monotonic()
        # An embedded simulator in lock-step reports a joining car at once, in an additional status with the same timestamp.
        if timestamp is None or timestamp != self._last_timestamp:
            self._world_frames += 1
        self._last_timestamp = timestamp

    def _apply_status(self, cars: list[dict[str, Any]]) -> None:
        for status in cars:
            try:
                self._apply_car_status(status)
            except (KeyError, TypeError, ValueError, OverflowError):
                self.bad_events += 1

    def _apply_car_status(self, status: dict[str, Any]) -> None:
        followed = self._followed.get(status["name"])
        if followed is None and self._follow_all:
            status["name"].encode()  # a lone surrogate, with which no name can be stored, is a ValueError
            self.follow(status["name"])
            followed = self._followed[status["name"]]
        if followed is None:
            return
        if "trackAngle" in status or "trackSegment" in status:
            followed.track_fields = None
        elif followed.newest is None:
            followed.track_fields = self._track_fields(status["name"])
        state = _car_state(status, followed, self.game_time_s)
        if followed.track_fields is not None:
            state = followed.track_fields.complete(state)
        elif followed.place_check is not None:
            followed.place_check.check(state)
        followed.newest = state
        followed.untaken.append(followed.newest)

    def _track_fields(self, name: str) -> TrackFields:
        missing = f"the simulator at {self._stream.address} sends no trackAngle or trackSegment for car {name!r}"
        if self._track is None:
            raise TrackFieldsMissing(
                f"{missing}: this is the upstream Robotini simulator; give the file of its track with --track"
            )
        if self.parameters is None:
            raise TrackFieldsMissing(f"{missing}, and it has sent no RaceParameters from which to compute them")
        return TrackFields(self._track, int(self.parameters["numSegments"]))


def _check_segments(number: Any) -> None:
    """Raises ``ValueError`` or ``TypeError`` for a number of segments that would fill the memory, or of a single one.

    The line is recognised by the step from the last segment to the first; see ``LapCounter``.
    """
    if not MIN_SEGMENTS <= int(number) <= MAX_SEGMENTS:
        raise ValueError(f"{number} segments")


def _car_state(status: dict[str, Any], counters: _FollowedCar, game_time_s: float) -> CarState:
    """Returns the state of one car of a ``GameStatus``; track fields that must be computed are left at 0 and -1.

    The car's forward axis is its rotation, a unit quaternion, applied to +z.

    Raises:
        KeyError, TypeError, ValueError, OverflowError: A field is missing, is not a number, or is beyond all that a car can do.
    """
    sends_fields = counters.track_fields is None
    position, velocity, rotation = status["position"], status["velocity"], status["rotation"]
    qx, qy, qz, qw = rotation["x"], rotation["y"], rotation["z"], rotation["w"]
    vx, vy, vz = velocity["x"], velocity["y"], velocity["z"]
    forward_x = 2.0 * (qx * qz + qy * qw)
    forward_y = 2.0 * (qy * qz - qx * qw)
    forward_z = 1.0 - 2.0 * (qx * qx + qy * qy)
    state = CarState(
        name=status["name"],
        frames_sent=int(status.get("frames_sent", -1)),
        game_time_s=game_time_s,
        x=float(position["x"]),
        z=float(position["z"]),
        y=float(position["y"]),
        speed_m_s=math.sqrt(vx * vx + vy * vy + vz * vz),
        forward_speed_m_s=vx * forward_x + vy * forward_y + vz * forward_z,
        heading_rad=math.atan2(forward_x, forward_z),
        track_angle_deg=float(status["trackAngle"]) if sends_fields else 0.0,
        track_segment=int(status["trackSegment"]) if sends_fields else -1,
        crashes=counters.crashes,
        bumps=counters.bumps,
        returns=counters.returns,
    )
    possible = (  # every comparison with NaN is false; ``max`` might drop one
        abs(state.x) <= MAX_COORDINATE_M
        and abs(state.y) <= MAX_COORDINATE_M
        and abs(state.z) <= MAX_COORDINATE_M
        and state.speed_m_s <= MAX_SPEED_M_S
        and abs(qx) <= MAX_QUATERNION
        and abs(qy) <= MAX_QUATERNION
        and abs(qz) <= MAX_QUATERNION
        and abs(qw) <= MAX_QUATERNION
        and abs(state.track_angle_deg) <= MAX_ANGLE_DEG
        and -1 <= state.track_segment < MAX_SEGMENTS
    )
    if not possible:
        raise ValueError(f"car {state.name!r} has a number that is beyond all that a car can do")
    return state
