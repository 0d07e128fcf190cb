"""Exploration: the noise on the actions of one car, and how much of it each car has."""

from __future__ import annotations

import numpy as np

from robotini_ray.config import ACTION_SIZE
from robotini_ray.policy.policy_spec import Floats


class ExplorationNoise:
    """Ornstein-Uhlenbeck noise of one car, in action units (Uhlenbeck and Ornstein 1930; TF-Agents' ``OUProcess``).

    Each sample is ``(1 - damping) * last + stddev * scale * normal``; the scale keeps the stationary standard deviation at
    ``stddev`` for every damping. ``damping=1`` is white noise.
    """

    def __init__(self, stddev: float, damping: float, seed: int) -> None:
        self._keep = 1.0 - damping
        self._scale = stddev * np.sqrt(1.0 - self._keep**2)
        self._random = np.random.default_rng(seed)
        self._value = np.zeros(ACTION_SIZE, np.float32)

    def sample(self) -> Floats:
        """The next noise ``<float32>[2]``."""
        fresh = self._scale * self._random.standard_normal(ACTION_SIZE)
        self._value = (self._keep * self._value + fresh).astype(np.float32)
        return self._value


def noise_ladder(cars: int, low: float, high: float) -> list[float]:
    """Standard deviations for the collecting cars, geometric from low to high (Horgan et al. 2018, Ape-X)."""
    if cars == 1 or low == 0.0 or high == 0.0:
        return [max(low, high)] if cars == 1 else [float(step) for step in np.linspace(low, high, cars)]
    return [float(step) for step in np.geomspace(low, high, cars)]
