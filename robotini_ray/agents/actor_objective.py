"""Defines what the actors of all agents minimise, and the setting that it takes."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


class ActorObjective:
    """Mixin, placed before TF-Agents' DDPG or TD3, that keeps an actor's actions away from the ends of their range.

    Where an action's tanh is saturated, its gradient is close to zero, and the actor learns nothing more there. A small
    penalty on the squares of the sums before the tanh leads it back (the action itself is not penalised). Hausknecht and
    Stone (arXiv 1511.04143) describe the fault and other cures.

    Args:
        preactivation_penalty: Factor of the penalty; 0 for none.
        **settings: Settings of TF-Agents' agent.
    """

    def __init__(self, *args: Any, preactivation_penalty: float, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._preactivation_penalty = preactivation_penalty

    def objective(self, values: tf.Tensor, preactivations: tf.Tensor) -> tf.Tensor:
        """Returns the penalty minus the value for each action, ``<float32>[...]``.

        Args:
            values: ``<float32>[...]``, the critic's values of the actor's own actions.
            preactivations: ``<float32>[..., 2]``, the sums of which these actions are the tanh.
        """
        return self._preactivation_penalty * tf.reduce_mean(tf.square(preactivations), axis=-1) - values
