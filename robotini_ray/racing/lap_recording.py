"""Records a lap of a policy: the car's state and its camera picture, frame by frame."""

from __future__ import annotations

import dataclasses

from robotini_ray.car.connection import Login
from robotini_ray.car.spectator import Spectator
from robotini_ray.config import FRAMES_PER_SECOND
from robotini_ray.environment.observation import LATENCY_FRAMES
from robotini_ray.errors import RobotiniError
from robotini_ray.policy.numpy_policy import NumpyPolicy
from robotini_ray.racing.policy_car import Moment, PolicyCar
from robotini_ray.simulator_address import SimulatorAddress
from robotini_ray.track.track import Track

FRAME_TIMEOUT_S = 120.0
SECONDS_PER_LAP = 120.0
"""The game time per lap after which the policy counts as unable to finish a lap."""


class RecordingError(RobotiniError):
    """Raised if there is nothing to record; the message is one line for the user."""


@dataclasses.dataclass(frozen=True)
class Recording:
    """The moments of a drive in chronological order, one for each camera frame.

    Attributes:
        moments: The moments.
        lap_time_s: The lap time, if the moments are one lap; None if they are simply a stretch of driving.
    """

    moments: list[Moment]
    lap_time_s: float | None


def record(
    policy: NumpyPolicy,
    address: SimulatorAddress,
    login: Login,
    track: Track,
    laps: int,
    seconds: float | None,
    latency_frames: int = LATENCY_FRAMES,
) -> Recording:
    """Drives and returns the recording of the fastest flying lap, or of a fixed time from the start.

    Args:
        policy: The policy that drives.
        address: The simulator's address.
        login: The car's login.
        track: The track that the simulator drives on.
        laps: The number of flying laps from which the fastest is kept.
        seconds: The game time to record from the start, in seconds; None to record a lap.
        latency_frames: See ``Pilot``.

    Raises:
        RecordingError: The policy needed more than 120 s of game time for a flying lap.
        CarError: The connection to the simulator was lost.
        TrackMismatch: The simulator uses another track than the one given.
    """
    spectator = Spectator(address.host, address.log_port, track=track)
    try:
        car = PolicyCar(policy, address, login, spectator, latency_frames)
        try:
            if seconds is not None:
                return Recording([car.advance(FRAME_TIMEOUT_S) for _ in range(round(seconds * FRAMES_PER_SECOND))], None)
            recorded = [_lap(car) for _ in range(laps)]
            return Recording(*min(recorded, key=lambda lap: lap[1]))
        finally:
            car.close()
    finally:
        spectator.close()


def _lap(car: PolicyCar) -> tuple[list[Moment], float]:
    """Drives the next flying lap; returns its moments and its time."""
    moments: list[Moment] = []
    while len(moments) < SECONDS_PER_LAP * FRAMES_PER_SECOND:
        moments.append(car.advance(FRAME_TIMEOUT_S))
        finished, _ = car.score.take()
        if finished:
            lap_time_s = finished[-1].time_s
            began_s = moments[-1].state.game_time_s - lap_time_s
            return [moment for moment in moments if moment.state.game_time_s >= began_s], lap_time_s
    raise RecordingError(
        f"the policy finished no lap in {SECONDS_PER_LAP:g} s of game time; use --seconds to record its driving without a lap"
    )
