"""From the agent's action to what the car is told."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from robotini_ray.config import EnvironmentConfig


def car_command(action: NDArray[np.float32], config: EnvironmentConfig) -> tuple[float, float]:
    """Throttle and turn (+1 full left) as the simulator takes them.

    Args:
        action: ``<float32>[2]`` in [-1, 1]: throttle from ``throttle_low`` to ``throttle_high``, and turn.
        config: the ranges.
    """
    share = 0.5 * (float(action[0]) + 1.0)
    throttle = config.throttle_low + share * (config.throttle_high - config.throttle_low)
    return throttle, float(action[1]) * config.turn_limit
