"""Defines the spec of a policy: its network and the environment that it was trained for."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from robotini_ray import __version__
from robotini_ray.config import ACTION_SIZE, FRAMES_PER_SECOND, Config, EnvironmentConfig
from robotini_ray.errors import RobotiniError

Floats = NDArray[np.float32]
FORMAT = 1
"""The version of the file format of policies; files of another version are refused."""
FEATURES = "column-and-row-colours-8x3"
"""The kind of features computed from a frame (``robotini_ray.environment.observation.features``).

A policy that was trained on others is refused.
"""


class PolicyError(RobotiniError, ValueError):
    """A policy cannot be used; the message is one line that is written for a person."""


@dataclasses.dataclass(frozen=True)
class PolicySpec:
    """The spec of a policy: its network, the environment that it was trained for, and its origin.

    Attributes:
        network: Either ``mlp`` (feed-forward) or ``lstm``.
        layers: The numbers of units of the dense layers.
        lstm_units: The number of units of the LSTM; 0 for a feed-forward network.
        image_width: See ``EnvironmentConfig``, as for the fields from here to ``merge_frames``.
        throttle_scale: See ``EnvironmentConfig``; policies that were written before it existed are linear.
        algorithm: The algorithm of the agent that trained the policy.
        track: The track that the policy was trained on: the last path component of ``simulator.track``.
        features: The kind of features that the policy was trained on; only ``FEATURES`` is accepted.
        frames_per_s: The camera's frame rate in training; only ``FRAMES_PER_SECOND`` is accepted.
        program_version: The version of this program that trained the policy.
        format: The version of the file format.
    """

    network: Literal["mlp", "lstm"]
    layers: tuple[int, ...]
    lstm_units: int
    image_width: int
    throttle_low: float
    throttle_high: float
    turn_limit: float
    action_repeat: int
    observation_history: int
    action_history: int
    merge_frames: bool
    algorithm: str
    track: str
    throttle_scale: str = "linear"
    features: str = FEATURES
    frames_per_s: int = FRAMES_PER_SECOND
    program_version: str = "0.1.0"
    format: int = FORMAT

    def __post_init__(self) -> None:
        """Checks the values, which may come from files from elsewhere.

        Raises:
            ValueError: A value is invalid for every policy, or for the policies that this program can drive.
        """
        if self.features != FEATURES:
            raise ValueError(f"it was trained on features {self.features!r}; this program computes {FEATURES!r}")
        if self.frames_per_s != FRAMES_PER_SECOND:
            raise ValueError(f"it was trained at {self.frames_per_s!r} frames/s; this program drives at {FRAMES_PER_SECOND}")
        if self.network not in ("mlp", "lstm"):
            raise ValueError(f"network is {self.network!r}; allowed: mlp, lstm")
        units = (*self.layers, self.lstm_units) if self.network == "lstm" else self.layers
        if not units or not all(type(number) is int and 0 < number <= 4096 for number in units):
            raise ValueError(f"layers and LSTM have {units} units; allowed: whole numbers from 1 to 4096")
        for name in ("track", "algorithm", "program_version"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} is {getattr(self, name)!r}; allowed: text")
        for name, value in dataclasses.asdict(self.environment()).items():
            if name in _CAR_SETTINGS:
                object.__setattr__(self, name, value)

    @classmethod
    def from_config(cls, config: Config) -> PolicySpec:
        """Returns the spec of the policies that a run with this config trains."""
        environment = config.environment
        return cls(
            network="lstm" if config.agent.recurrent else "mlp",
            layers=config.agent.actor_layers,
            lstm_units=config.agent.lstm_units if config.agent.recurrent else 0,
            algorithm=config.agent.algorithm,
            track=Path(config.simulator.track).name,
            program_version=__version__,
            **{name: getattr(environment, name) for name in _CAR_SETTINGS},
        )

    def environment(self) -> EnvironmentConfig:
        """Returns the environment that this policy was trained for; rewards and episodes have their defaults."""
        return EnvironmentConfig(**{name: getattr(self, name) for name in _CAR_SETTINGS})

    def check_fits(self, environment: EnvironmentConfig) -> None:
        """Checks that the policy was trained for the given environment.

        Raises:
            PolicyError: The policy was trained with another picture, history, action range or decision rate.
        """
        for name in _CAR_SETTINGS:
            trained, given = getattr(self, name), getattr(environment, name)
            if trained != given:
                raise PolicyError(
                    f"the policy was trained with environment.{name} {trained}, but the environment has {given}: "
                    "drive it in the environment of its spec (PolicySpec.environment)"
                )

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Returns the names and shapes of the weights, in the order of the flat vector."""
        shapes: dict[str, tuple[int, ...]] = {}
        width = self.environment().observation_size
        for index, units in enumerate(self.layers):
            shapes[f"dense_{index}/kernel"] = (width, units)
            shapes[f"dense_{index}/bias"] = (units,)
            width = units
        if self.network == "lstm":
            shapes["lstm/kernel"] = (width, 4 * self.lstm_units)
            shapes["lstm/recurrent_kernel"] = (self.lstm_units, 4 * self.lstm_units)
            shapes["lstm/bias"] = (4 * self.lstm_units,)
            width = self.lstm_units
        shapes["action/kernel"] = (width, ACTION_SIZE)
        shapes["action/bias"] = (ACTION_SIZE,)
        return shapes

    @property
    def state_size(self) -> int:
        """The length of one car's recurrent state (hidden, then cell); 0 for a feed-forward network."""
        return 2 * self.lstm_units


_CAR_SETTINGS = (
    "image_width",
    "throttle_low",
    "throttle_high",
    "throttle_scale",
    "turn_limit",
    "action_repeat",
    "observation_history",
    "action_history",
    "merge_frames",
)
