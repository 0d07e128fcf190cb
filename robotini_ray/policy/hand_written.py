"""Policies that nobody trained."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from robotini_ray.config import FEATURES_PER_FRAME, Config
from robotini_ray.policy.numpy_policy import NumpyPolicy
from robotini_ray.policy.policy_spec import PolicySpec

COLORS = 3
TURN_GAIN = 2.0
CRUISE = -0.5
THROTTLE_LOW, THROTTLE_HIGH = 0.06, 0.22
"""Throttle range of the environment: there ``CRUISE`` is 0.10, a steady 1.7 m/s, which rounds every shipped track."""


def color_balance_action(observation: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turns by the balance of red and green, at a steady throttle.

    The road is red on its left, blue in the middle and green on its right. A car that has drifted to the left, or comes to
    a bend to the right, sees more red than green, and must turn right.

    Args:
        observation: ``<float32>[>= 24]``, the newest 8x3 features first: 4 column groups from the left, then 4 row groups
            from the top, each red, green, blue.

    Returns:
        throttle and turn ``<float32>[2]`` in [-1, 1]; turn +1 is left.
    """
    colors = observation[:24].reshape(8, 3)
    red, green = colors[:, 0].mean(), colors[:, 1].mean()
    return np.array([CRUISE, np.clip(TURN_GAIN * (green - red), -1.0, 1.0)], np.float32)


def driving_policy(config: Config) -> NumpyPolicy:
    """Steady throttle, and a turn to the left the more, the more green than red is seen (see ``color_balance_action``).

    Args:
        config: of a feed-forward agent whose layers have at least two units.
    """
    policy = NumpyPolicy(PolicySpec.from_config(config))
    balance = np.zeros(FEATURES_PER_FRAME, np.float32)
    balance[0::COLORS], balance[1::COLORS] = -1.0, 1.0
    balance *= COLORS / FEATURES_PER_FRAME
    weights = policy.weights
    for index in range(len(config.agent.actor_layers)):
        kernel = weights[f"dense_{index}/kernel"]
        if index == 0:  # one unit for what is too green, one for what is too red
            kernel[:FEATURES_PER_FRAME, 0], kernel[:FEATURES_PER_FRAME, 1] = balance, -balance
        else:
            kernel[0, 0] = kernel[1, 1] = 1.0
    weights["action/kernel"][0, 1], weights["action/kernel"][1, 1] = TURN_GAIN, -TURN_GAIN
    weights["action/bias"][0] = np.arctanh(CRUISE)
    return policy
