"""Small agents with weights that are far from their initial ones, and what references of them have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from robotini_ray.config import Config, config_from_dict

EPSILON = 1e-4
"""Adam's, large: with the usual 1e-7 a first step is the gradient's sign alone, whatever its size, and mere noise near zero."""


@pytest.fixture(scope="session")
def small_config() -> Callable[..., Config]:
    """Makes a config of an algorithm with tiny networks and 24 observations; keywords go over the agent's settings."""

    def make(algorithm: str, action_history: int = 0, **agent: Any) -> Config:
        small = {"actor_layers": [8, 6], "critic_layers": [7, 8], "lstm_units": 5, "burn_in": 2, "sequence_length": 4}
        return config_from_dict(
            {
                "environment": {"observation_history": 1, "action_history": action_history},
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


@pytest.fixture(scope="session")
def enlarge_epsilons() -> Callable[[Any], None]:
    """Makes an agent's optimizers take the steps of ``first_adam_step``."""

    def assign(agent: Any) -> None:
        agent._actor_optimizer.epsilon = agent._critic_optimizer.epsilon = EPSILON

    return assign


@pytest.fixture(scope="session")
def first_adam_step() -> Callable[[Iterable[tf.Variable], list[tf.Tensor], float, float], None]:
    """Kingma and Ba 2015 with zero moments, in the form before their section 2.1; each gradient clipped to a norm."""

    def step(variables: Iterable[tf.Variable], gradients: list[tf.Tensor], rate: float, clip: float) -> None:
        for variable, gradient in zip(variables, gradients, strict=True):
            g = gradient.numpy().astype(np.float64)
            if clip and np.linalg.norm(g) > clip:
                g *= clip / np.linalg.norm(g)
            mean, square = 0.1 * g, 0.001 * g**2
            variable.assign_sub(rate * np.sqrt(0.001) / 0.1 * mean / (np.sqrt(square) + EPSILON))

    return step
