"""A lap as it is driven: where the car was and what it saw, frame by frame."""

from __future__ import annotations

import dataclasses

from robotini_ray.acting import NumpyPolicy
from robotini_ray.car.address import SimulatorAddress
from robotini_ray.car.connection import CarConnection, Login
from robotini_ray.car.laps import LapCounter
from robotini_ray.car.spectator import Spectator
from robotini_ray.car.state import CarState
from robotini_ray.config import FRAMES_PER_SECOND
from robotini_ray.errors import RobotiniError
from robotini_ray.pilot import Pilot
from robotini_ray.track import Track

FRAME_TIMEOUT_S = 120.0
STATE_TIMEOUT_S = 5.0
SECONDS_PER_LAP = 120.0
"""Game time after which a policy is taken for one that finishes no lap."""


class RecordingError(RobotiniError):
    """There is nothing to record; the message is one line for a person."""


@dataclasses.dataclass(frozen=True)
class Moment:
    """One camera frame, the state that belongs to it, and what it was answered with: throttle and turn."""

    state: CarState
    png: bytes
    command: tuple[float, float]


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
    spectator.follow(login.name)
    connection = CarConnection.connect(address.host, address.car_port, login)
    try:
        drive = _Drive(Pilot(policy), connection, spectator)
        if seconds is not None:
            return Recording([drive.advance() for _ in range(round(seconds * FRAMES_PER_SECOND))], None)
        return min((_lap(drive) for _ in range(laps)), key=lambda lap: lap.lap_time_s or 0.0)
    finally:
        connection.close()
        spectator.close()


class _Drive:
    """One car, moment by moment."""

    def __init__(self, pilot: Pilot, connection: CarConnection, spectator: Spectator) -> None:
        self._pilot = pilot
        self._connection = connection
        self._spectator = spectator
        self._returns = 0
        self.counter: LapCounter | None = None

    def advance(self) -> Moment:
        """Takes in the next frame and answers it."""
        pngs = self._connection.receive(FRAME_TIMEOUT_S)
        name = self._connection.login.name
        state = self._spectator.wait_for(name, self._connection.frames_received, STATE_TIMEOUT_S)
        if self.counter is None:
            parameters = self._spectator.parameters  # sent before any state
            assert parameters is not None
            self.counter = LapCounter(int(parameters["numSegments"]))
        if state.returns > self._returns:
            self._returns = state.returns
            self._pilot.put_back()
        command = self._pilot.answer(pngs)
        self._connection.send(*command)
        return Moment(state, pngs[-1], command)

    def laps_since(self) -> float | None:
        """The time of the lap that the states since the last call complete, if they do."""
        assert self.counter is not None
        finished = [self.counter.update(state) for state in self._spectator.take_states(self._connection.login.name)]
        return next((lap.time_s for lap in finished if lap is not None), None)


def _lap(drive: _Drive) -> Recording:
    """The next flying lap."""
    moments: list[Moment] = []
    while len(moments) < SECONDS_PER_LAP * FRAMES_PER_SECOND:
        moments.append(drive.advance())
        lap_time_s = drive.laps_since()
        if lap_time_s is not None:
            began_s = moments[-1].state.game_time_s - lap_time_s
            return Recording([moment for moment in moments if moment.state.game_time_s >= began_s], lap_time_s)
    raise RecordingError(
        f"the policy finished no lap in {SECONDS_PER_LAP:g} s of game time; --seconds records how it drives all the same"
    )
