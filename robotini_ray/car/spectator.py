"""The spectator stream: what the simulator says about every car, and the newest state of the cars that are followed."""

from __future__ import annotations

import collections
import dataclasses
import math
import socket
import time
from typing import Any

from robotini_ray.car.connection import wait_readable
from robotini_ray.car.errors import SpectatorLost, StateTimeout, TrackFieldsMissing
from robotini_ray.car.event_stream import EventStream
from robotini_ray.car.state import CarState
from robotini_ray.car.track_fields import TrackFields
from robotini_ray.track.track import Track

WORLD_FRAMES_PER_S = 60
MAX_STATES_KEPT = 600
MAX_SEGMENTS = 1000
STALE_S = 1.0
"""From this age on a state is not taken for the car's place any more, in real time."""

_SESSION_EVENTS = {"FreePracticeStart", "QualifyingStart", "StartingGridInit", "RaceStart"}
_COUNTED_EVENTS = {"CarCrashed": "crashes", "CarBumped": "bumps", "CarReturnedToTrack": "returns"}


@dataclasses.dataclass(slots=True)
class _FollowedCar:
    """What is remembered of a car between two events."""

    crashes: int = 0
    bumps: int = 0
    returns: int = 0
    newest: CarState | None = None
    track_fields: TrackFields | None = None
    """Where the simulator does not send them."""
    untaken: collections.deque[CarState] = dataclasses.field(default_factory=lambda: collections.deque(maxlen=MAX_STATES_KEPT))


class Spectator:
    """A reader of the spectator stream without a thread: it reads when it is asked to.

    Whoever follows cars must call `drain` or `wait_for` regularly, or the simulator drops the connection. Blocking:
    only the constructor and `wait_for`, each with a limit. A lost connection is replaced by a new Spectator, whose
    counters and game time start from 0. Threads: one at a time.

    `trackAngle` and `trackSegment` are the simulator's where it sends them, as the fork does; otherwise they are computed
    from `track`, the track that it drives on. A segment is then -1 until the car crosses a trigger, also for a car that
    has been driving for long when it is first followed.
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
        """Connects, or takes over a socket of `open_socket`; may follow every car that is on the track.

        Raises SimulatorUnreachable.
        """
        self._follow_all = follow_all
        self.parameters: dict[str, Any] | None = None
        """The newest RaceParameters event."""
        self.bad_events = 0
        """Events of a known type whose fields are not what they should be."""
        self._bad_taken = 0
        self._track = track
        self._stream = EventStream(host, port, timeout_s, sock)
        self._followed: dict[str, _FollowedCar] = {}
        self._world_frames = 0
        self._last_timestamp: Any = None
        self._last_status_s = time.monotonic()

    @property
    def bad_lines(self) -> int:
        """Lines that were no events."""
        return self._stream.bad_lines

    def take_bad_lines(self) -> int:
        """`bad_lines` and `bad_events` since the last call."""
        taken = self.bad_lines + self.bad_events - self._bad_taken
        self._bad_taken += taken
        return taken

    @property
    def game_time_s(self) -> float:
        """Game time since the connection began; Unity's own time stamps are wall clock."""
        return self._world_frames / WORLD_FRAMES_PER_S

    @property
    def status_age_s(self) -> float:
        """Wall time since the last GameStatus was read; in real time the states are stale beyond `STALE_S`."""
        return time.monotonic() - self._last_status_s

    def fileno(self) -> int:
        return self._stream.fileno()

    def follow(self, name: str) -> None:
        """Begins to keep the states of a car; one followed already starts afresh.

        In lock-step do it before the car joins: the state of its first frame is sent at once, and only then.
        """
        self._followed[name] = _FollowedCar()

    def unfollow(self, name: str) -> None:
        self._followed.pop(name, None)

    @property
    def followed(self) -> list[str]:
        """Names of the cars that are followed."""
        return list(self._followed)

    def state(self, name: str) -> CarState | None:
        """The newest state of a followed car; None before its first one and after it left the track."""
        return self._followed[name].newest

    def has_state(self, name: str, frames_sent: int) -> bool:
        """Whether what has been read tells where a followed car is in its camera frame `frames_sent`.

        Where the simulator does not number its frames (Unity) any state will do that is not stale.
        """
        newest = self._followed[name].newest
        if newest is None:
            return False
        if newest.frames_sent < 0:
            return self.status_age_s <= STALE_S
        return newest.frames_sent >= frames_sent

    def take_states(self, name: str) -> list[CarState]:
        """Every state of a followed car since the last call, oldest first; of more than 600 the newest 600."""
        untaken = self._followed[name].untaken
        states = list(untaken)
        untaken.clear()
        return states

    def drain(self) -> None:
        """Reads and applies all that has arrived, without blocking.

        Raises SpectatorLost, TrackFieldsMissing, TrackMismatch.
        """
        for event in self._stream.read():
            self._apply(event)

    def wait_for(self, name: str, frames_sent: int, timeout_s: float) -> CarState:
        """The newest state of a followed car, once `has_state` holds.

        Raises StateTimeout, SpectatorLost, TrackFieldsMissing, TrackMismatch.
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
        """The RaceParameters event, with which every simulator greets. Raises SpectatorLost if none comes in time."""
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

    def _apply_car_event(self, kind: str, name: str) -> None:
        car = self._followed.get(name)
        if car is None:
            return
        if kind in _COUNTED_EVENTS:
            counter = _COUNTED_EVENTS[kind]
            setattr(car, counter, getattr(car, counter) + 1)
            if kind == "CarReturnedToTrack" and car.track_fields is not None:
                car.track_fields.put_back()
        else:
            # Frame numbers start again with the next connection: a state of the last one would pass for a later frame.
            car.newest = None
            car.untaken.clear()

    def _restart_track_fields(self) -> None:
        for car in self._followed.values():
            if car.track_fields is not None:
                car.track_fields.restart()

    def _count_world_frame(self, timestamp: Any) -> None:
        self._last_status_s = time.monotonic()
        # An embedded simulator in lock-step shows a car that joins at once, in one more status of the same moment.
        if timestamp is None or timestamp != self._last_timestamp:
            self._world_frames += 1
        self._last_timestamp = timestamp

    def _apply_status(self, cars: list[dict[str, Any]]) -> None:
        for status in cars:
            followed = self._followed.get(status["name"])
            if followed is None and self._follow_all:
                self.follow(status["name"])
                followed = self._followed[status["name"]]
            if followed is None:
                continue
            if "trackAngle" in status or "trackSegment" in status:
                followed.track_fields = None
            elif followed.newest is None:
                followed.track_fields = self._track_fields(status["name"])
            state = _car_state(status, followed, self.game_time_s)
            followed.newest = state if followed.track_fields is None else followed.track_fields.complete(state)
            followed.untaken.append(followed.newest)

    def _track_fields(self, name: str) -> TrackFields:
        missing = f"the simulator at {self._stream.address} sends no trackAngle and trackSegment for car {name!r}"
        if self._track is None:
            raise TrackFieldsMissing(
                f"{missing}: it is the upstream Robotini simulator; give the file of its track with --track"
            )
        if self.parameters is None:
            raise TrackFieldsMissing(f"{missing}, and no RaceParameters to compute them with")
        return TrackFields(self._track, int(self.parameters["numSegments"]))


def _check_segments(number: Any) -> None:
    """Raises ValueError or TypeError for a number of segments that no track has, and no memory could hold."""
    if not 1 <= int(number) <= MAX_SEGMENTS:
        raise ValueError(f"{number} segments")


def _car_state(status: dict[str, Any], counters: _FollowedCar, game_time_s: float) -> CarState:
    """One car of a GameStatus. Its forward axis is its rotation, a unit quaternion, applied to +z.

    Fields of the track that are to be computed are left at 0 and -1.
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
    total = (
        state.x + state.y + state.z + state.speed_m_s + state.forward_speed_m_s + state.track_angle_deg + forward_x + forward_z
    )
    if not math.isfinite(total):
        raise ValueError(f"car {state.name!r} has a number that is not finite")
    return state
