"""Drives a car with a policy and reads its state from the spectator stream, for the demo and for recordings.

The module needs no TensorFlow.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from robotini_ray.car.connection import CarConnection, Login
from robotini_ray.car.errors import FrameTimeout
from robotini_ray.car.spectator import Spectator
from robotini_ray.car.state import CarState
from robotini_ray.environment.observation import LATENCY_FRAMES
from robotini_ray.environment.score import RaceScore, live_state
from robotini_ray.policy.numpy_policy import NumpyPolicy
from robotini_ray.racing.pilot import Pilot
from robotini_ray.simulator_address import SimulatorAddress

PARAMETERS_TIMEOUT_S = 60.0
STATE_TIMEOUT_S = 60.0
"""Only a simulator that hangs meets these limits, however busy the machine is."""


@dataclasses.dataclass(frozen=True)
class Moment:
    """One camera frame and the decision that it led to.

    Attributes:
        state: The car's state at this frame.
        png: The camera picture.
        command: The throttle and turn that answered the frame.
    """

    state: CarState
    png: bytes
    command: tuple[float, float]


class PolicyCar:
    """A car on a simulator that a policy drives.

    Args:
        policy: The policy that drives.
        address: The simulator's address.
        login: The car's login.
        spectator: A spectator of the same simulator; several cars may share one.
        latency_frames: See ``Pilot``.

    Attributes:
        name: The car's name.
        color: The car's colour, as ``#rrggbb``.
        newest: The newest moment; None before the first frame.
        score: The laps, crashes and returns of the car so far.
        returns: How often the simulator has put the car back on the track.

    Raises:
        CarError: The simulator cannot be reached. ``advance`` raises it too, when the connection is lost.
    """

    def __init__(
        self,
        policy: NumpyPolicy,
        address: SimulatorAddress,
        login: Login,
        spectator: Spectator,
        latency_frames: int = LATENCY_FRAMES,
    ) -> None:
        self.name = login.name
        self.color = login.color
        self.newest: Moment | None = None
        self.score = RaceScore(int(spectator.wait_for_parameters(PARAMETERS_TIMEOUT_S)["numSegments"]))
        self._pilot = Pilot(policy, latency_frames)
        self._spectator = spectator
        self.returns = 0
        spectator.follow(login.name)
        self._connection = CarConnection.connect(address.host, address.car_port, login)

    def advance(self, timeout_s: float) -> Moment:
        """Waits for the next frame, answers it and returns its moment.

        Args:
            timeout_s: The longest wait for the frame, in seconds.

        Raises:
            FrameTimeout: No frame has arrived in time.
        """
        pngs = self._connection.receive(timeout_s)
        if not pngs:
            raise FrameTimeout(f"no camera frame for car {self.name!r} in {timeout_s:g} s")
        state = self._spectator.wait_for(self.name, self._connection.frames_received, STATE_TIMEOUT_S)
        self.score.update(self._spectator.take_states(self.name))
        if state.returns > self.returns:
            self.returns = state.returns
            self._pilot.put_back()
        command = self._pilot.answer(pngs)
        self._connection.send(*command)
        self.newest = Moment(state, pngs[-1], command)
        return self.newest

    def live_state(self) -> dict[str, Any]:
        """Returns the car's live state for the monitor, in JSON types; empty before the first frame."""
        if self.newest is None:
            return {}
        fields = live_state(self.newest.state, self.newest.command, self.score)
        return {**fields, "role": "racer", "color": self.color, "status": "driving"}

    def close(self) -> None:
        """Stops the car and removes it from the track."""
        self._connection.close()
