"""Converts the agent's actions into commands for the car."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from robotini_ray.config import EnvironmentConfig


def car_command(action: NDArray[np.float32], config: EnvironmentConfig) -> tuple[float, float]:
    """Returns the throttle (0 to 1) and the turn (-1 to 1, +1 full left) of an action, as the simulator expects them.

    Args:
        action: ``<float32>[2]`` in [-1, 1]: throttle, then turn. -1 to 1 is mapped to ``throttle_low`` to ``throttle_high``,
            along a line or an exponential curve, and to ``-turn_limit`` to ``turn_limit``.
        config: The ranges of throttle and turn.
    """
    share = 0.5 * (float(action[0]) + 1.0)
    low, high = config.throttle_low, config.throttle_high
    throttle = low + share * (high - low) if config.throttle_scale == "linear" else low * (high / low) ** share
    return throttle, float(action[1]) * config.turn_limit
