"""Small agents with weights that are far from their initial ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from robotini_ray.config import Config, config_from_dict


@pytest.fixture(scope="session")
def small_config() -> Callable[..., Config]:
    """Makes a config of an algorithm with tiny networks and 24 observations; keywords go over the agent's settings."""

    def make(algorithm: str, **agent: Any) -> Config:
        small = {"actor_layers": [8, 6], "critic_layers": [7, 8], "lstm_units": 5, "burn_in": 2, "sequence_length": 4}
        return config_from_dict(
            {
                "environment": {"observation_history": 1, "action_history": 0},
                "agent": {**small, "algorithm": algorithm, "batch_size": 16, **agent},
            }
        )

    return make


@pytest.fixture(scope="session")
def randomise() -> Callable[[Iterable[tf.Variable], int], None]:
    """Sets variables to normal values; initial weights of the last layers are so small that mistakes would not show."""

    def assign(variables: Iterable[tf.Variable], seed: int) -> None:
        random = np.random.default_rng(seed)
        for variable in variables:
            spread = 1.3 / np.sqrt(variable.shape[0]) if variable.shape.rank == 2 else 0.2
            variable.assign(random.normal(0.0, spread, variable.shape))

    return assign
