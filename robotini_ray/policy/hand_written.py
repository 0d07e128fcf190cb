"""Contains policies that are written by hand instead of trained."""

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
"""The environment's throttle range for these policies.

In it ``CRUISE`` is a throttle of 0.10 and gives a steady 1.7 m/s, at which a car gets round every shipped track.
"""


def color_balance_action(observation: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns an action with a steady throttle and a turn that follows the balance of red and green.

    The road is red on its left, blue in the middle and green on its right. A car that has drifted to the left, or approaches
    a bend to the right, sees more red than green and must turn right.

    Args:
        observation: ``<float32>[>= 24]``, the newest 8x3 features first: 4 column groups from the left, then 4 row groups
            from the top, each as red, green, blue.

    Returns:
        The throttle and turn, ``<float32>[2]`` in [-1, 1]; turn +1 is left.
    """
    colors = observation[:24].reshape(8, 3)
    red, green = colors[:, 0].mean(), colors[:, 1].mean()
    return np.array([CRUISE, np.clip(TURN_GAIN * (green - red), -1.0, 1.0)], np.float32)


def driving_policy(config: Config) -> NumpyPolicy:
    """Returns a network that acts like ``color_balance_action``: more green than red in the picture turns the car left.

    Args:
        config: The config of a feed-forward agent whose layers have at least two units each.
    """
    policy = NumpyPolicy(PolicySpec.from_config(config))
    balance = np.zeros(FEATURES_PER_FRAME, np.float32)
    balance[0::COLORS], balance[1::COLORS] = -1.0, 1.0
    balance *= COLORS / FEATURES_PER_FRAME
    weights = policy.weights
    for index in range(len(config.agent.actor_layers)):
        kernel = weights[f"dense_{index}/kernel"]
        if index == 0:  # One unit for an excess of green, one for an excess of red.
            kernel[:FEATURES_PER_FRAME, 0], kernel[:FEATURES_PER_FRAME, 1] = balance, -balance
        else:
            kernel[0, 0] = kernel[1, 1] = 1.0
    weights["action/kernel"][0, 1], weights["action/kernel"][1, 1] = TURN_GAIN, -TURN_GAIN
    weights["action/bias"][0] = np.arctanh(CRUISE)
    return policy
