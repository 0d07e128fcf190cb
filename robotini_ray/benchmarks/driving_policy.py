"""A policy that nobody trained, as weights of the program's default network: it follows the road by its colours."""

from __future__ import annotations

import numpy as np

from robotini_ray.acting import NumpyPolicy, PolicySpec
from robotini_ray.agents.policies import CRUISE, TURN_GAIN
from robotini_ray.config import FEATURES_PER_FRAME, Config

COLORS = 3


def driving_policy(config: Config) -> NumpyPolicy:
    """Steady throttle, and a turn to the left the more, the more green than red is seen (see ``agents.policies``).

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
