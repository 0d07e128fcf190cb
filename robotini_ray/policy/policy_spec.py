"""What a policy is: its network, and what it expects of the car that it drives."""

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
"""Version of the files of a policy; another one is refused."""
FEATURES = "column-and-row-colours-8x3"
"""What the numbers of a frame are (``environment.observation.features``); a policy trained on others is refused."""


class PolicyError(RobotiniError, ValueError):
    """A policy directory that cannot be used; the message is one line for a person."""


@dataclasses.dataclass(frozen=True)
class PolicySpec:
    """What a policy is and what it expects of the car that it drives."""

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
    features: str = FEATURES
    frames_per_s: int = FRAMES_PER_SECOND
    program_version: str = "0.1.0"
    format: int = FORMAT

    def __post_init__(self) -> None:
        """Raises ValueError: a value that no policy has, or none that this program can drive, in files from elsewhere."""
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
        """The spec of the policies that a run with this config trains."""
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
        """The environment that this policy was trained for (rewards and episodes aside)."""
        return EnvironmentConfig(**{name: getattr(self, name) for name in _CAR_SETTINGS})

    def check_fits(self, environment: EnvironmentConfig) -> None:
        """Raises PolicyError if the policy was trained with another picture, history, range or decision rate."""
        for name in _CAR_SETTINGS:
            trained, given = getattr(self, name), getattr(environment, name)
            if trained != given:
                raise PolicyError(
                    f"the policy was trained with environment.{name} {trained}, but the environment has {given}: "
                    "drive it in that of its spec (PolicySpec.environment)"
                )

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the weights, in the order of the flat vector."""
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
        """Length of the recurrent state of one car (hidden, then cell), 0 for a feed-forward network."""
        return 2 * self.lstm_units


_CAR_SETTINGS = (
    "image_width",
    "throttle_low",
    "throttle_high",
    "turn_limit",
    "action_repeat",
    "observation_history",
    "action_history",
    "merge_frames",
)
