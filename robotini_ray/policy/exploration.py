"""Generates the exploration noise on the actions of a car, and spreads its strength over the cars."""

from __future__ import annotations

import numpy as np

from robotini_ray.config import ACTION_SIZE
from robotini_ray.policy.policy_spec import Floats


class ExplorationNoise:
    """Generates Ornstein-Uhlenbeck noise for one car (Uhlenbeck and Ornstein 1930; TF-Agents' ``OUProcess``).

    Each sample is ``(1 - damping) * last + stddev * scale * normal``, where ``scale = sqrt(1 - (1 - damping)**2)`` keeps the
    stationary standard deviation at ``stddev`` for every damping. ``damping=1`` is white noise.

    Args:
        stddev: The stationary standard deviation in action units.
        damping: The share of the last sample that is lost with each new one, above 0 and at most 1.
        seed: The seed of the random numbers.
    """

    def __init__(self, stddev: float, damping: float, seed: int) -> None:
        self._keep = 1.0 - damping
        self._scale = stddev * np.sqrt(1.0 - self._keep**2)
        self._random = np.random.default_rng(seed)
        self._value = np.zeros(ACTION_SIZE, np.float32)

    def sample(self) -> Floats:
        """Returns the next noise sample, ``<float32>[2]``."""
        fresh = self._scale * self._random.standard_normal(ACTION_SIZE)
        self._value = (self._keep * self._value + fresh).astype(np.float32)
        return self._value


def noise_ladder(cars: int, low: float, high: float) -> list[float]:
    """Returns one standard deviation per collecting car, geometric from low to high (Horgan et al. 2018, Ape-X).

    The steps are linear if one of the ends is 0, and a single car gets the greater end.

    Args:
        cars: The number of collecting cars.
        low: The lowest standard deviation, in action units.
        high: The highest standard deviation, in action units.
    """
    if cars == 1 or low == 0.0 or high == 0.0:
        return [max(low, high)] if cars == 1 else [float(step) for step in np.linspace(low, high, cars)]
    return [float(step) for step in np.geomspace(low, high, cars)]
