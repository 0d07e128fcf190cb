"""A lap as it is driven: where the car was and what it saw, frame by frame."""

from __future__ import annotations

import dataclasses

from robotini_ray.car.connection import Login
from robotini_ray.car.spectator import Spectator
from robotini_ray.config import FRAMES_PER_SECOND
from robotini_ray.errors import RobotiniError
from robotini_ray.policy.numpy_policy import NumpyPolicy
from robotini_ray.racing.policy_car import Moment, PolicyCar
from robotini_ray.simulator_address import SimulatorAddress
from robotini_ray.track.track import Track

FRAME_TIMEOUT_S = 120.0
SECONDS_PER_LAP = 120.0
"""Game time after which a policy is taken for one that finishes no lap."""


class RecordingError(RobotiniError):
    """There is nothing to record; the message is one line for a person."""


@dataclasses.dataclass(frozen=True)
class Recording:
    """Moments in the order of time, one a camera frame.

    Attributes:
        lap_time_s: of the lap that they are; None where they are simply a time of driving.
    """

    moments: list[Moment]
    lap_time_s: float | None


def record(
    policy: NumpyPolicy, address: SimulatorAddress, login: Login, track: Track, laps: int, seconds: float | None
) -> Recording:
    """Drives and keeps the quickest of so many flying laps, or what happens in so many seconds from the start.

    Args:
        policy: that drives.
        address: of the simulator.
        login: of the car.
        track: that the simulator drives on.
        laps: to choose from.
        seconds: of game time; None for a lap.

    Raises:
        RecordingError: no flying lap within 120 s of game time for each.
        CarError: the simulator is lost.
    """
    spectator = Spectator(address.host, address.log_port, track=track)
    try:
        car = PolicyCar(policy, address, login, spectator)
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
    """The next flying lap and its time."""
    moments: list[Moment] = []
    while len(moments) < SECONDS_PER_LAP * FRAMES_PER_SECOND:
        moments.append(car.advance(FRAME_TIMEOUT_S))
        finished, _ = car.score.take()
        if finished:
            lap_time_s = finished[-1].time_s
            began_s = moments[-1].state.game_time_s - lap_time_s
            return [moment for moment in moments if moment.state.game_time_s >= began_s], lap_time_s
    raise RecordingError(
        f"the policy finished no lap in {SECONDS_PER_LAP:g} s of game time; --seconds records how it drives all the same"
    )
