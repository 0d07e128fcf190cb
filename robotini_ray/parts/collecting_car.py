"""Holds the data of one car of a collector: its environment, its writer and the decision under way."""

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
    """A car of a collector: its environment, its writer and the decision under way.

    Attributes:
        seat: The car's name, colour, noise and seed.
        environment: Drives the car; its blocking methods are not used.
        writer: Writes the car's decisions into replay.
        noise: The exploration noise that is added to the policy's actions.
        state: The policy's recurrent state before the next decision, ``<float32>[state_size]``.
        step: The newest time step of the episode under way; None if there is none.
        seen: The critic's observation at ``step``; None if nothing is to be written to replay.
        acted_state: The policy's recurrent state before ``action``.
        action: The newest action, exploration noise included, ``<float32>[2]`` in [-1, 1].
        has_driven: Whether the car has ever received a time step with its states.
        frames_reported: The part of ``environment.score.frames`` that the collector's reports already contain.
        crashes_reported: The same for ``environment.score.crashes``.
        items_reported: The same for ``writer.items``.
        reconnection: The reconnection, from the loss of the connection to the first time step after it; else None.
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
        """The observation of ``step``, which must not be None."""
        assert self.step is not None
        return self.step.observation

    def truncate(self) -> None:
        """Ends the episode under way with its last whole decision, whose discount is 1; frames after it are not written."""
        if self.seen is not None:
            self.writer.end_episode(self.seen)
        self.step = self.seen = None

    def close(self) -> None:
        """Leaves the track and abandons a reconnection in progress."""
        self.environment.close()
        if self.reconnection is not None:
            self.reconnection.close()
