"""One car of a collector: its environment, its writer and the decision that is under way."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from tf_agents.trajectories import time_step as ts

from robotini_ray.car.reconnection import Reconnection
from robotini_ray.environment.race_environment import RaceEnvironment
from robotini_ray.policy.exploration import ExplorationNoise
from robotini_ray.replay.table import WindowWriter
from robotini_ray.run.reports import CarSeat


@dataclasses.dataclass
class CollectingCar:
    """What a collector knows of one of its cars.

    Attributes:
        step: the newest time step of the episode under way, if there is one.
        seen: what the critic will see of it; None where nothing is to be written.
        acted_state: the policy's recurrent state before ``action``.
        reconnection: from the loss of the connection to the first time step after it.
    """

    seat: CarSeat
    environment: RaceEnvironment
    writer: WindowWriter
    noise: ExplorationNoise
    state: NDArray[np.float32]
    step: ts.TimeStep | None = None
    seen: NDArray[np.float32] | None = None
    acted_state: NDArray[np.float32] | None = None
    action: NDArray[np.float32] | None = None
    has_driven: bool = False
    frames_reported: int = 0
    crashes_reported: int = 0
    items_reported: int = 0
    reconnection: Reconnection | None = None

    @property
    def observation(self) -> NDArray[np.float32]:
        """Of the newest time step, which there must be."""
        assert self.step is not None
        return self.step.observation

    def truncate(self) -> None:
        """Ends the episode under way with its last whole decision, whose discount is 1; what came after is not written."""
        if self.seen is not None:
            self.writer.end_episode(self.seen)
        self.step = self.seen = None

    def close(self) -> None:
        """Leaves the track and gives up returning to it."""
        self.environment.close()
        if self.reconnection is not None:
            self.reconnection.close()
