"""Defines what the actors of all agents minimise."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tf_agents.trajectories import time_step


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


class TransitionObjective(ActorObjective):
    """The objective's mean over a batch of transitions; TF-Agents calls ``actor_loss`` in its train step."""

    _actor_network: Any

    def judge(self) -> Any:
        """Returns the critic network whose value the actor is trained to maximise."""
        raise NotImplementedError

    def actor_loss(self, time_steps: time_step.TimeStep, weights: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        """Returns the mean objective of the actor's own actions over the batch.

        Args:
            time_steps: The first time steps of a batch of transitions.
            weights: Not supported; must be None.
            training: Passed on to the actor network.

        Raises:
            ValueError: ``weights`` is given.
        """
        refuse_weights(weights)
        sums, _ = self._actor_network.preactivations(time_steps.observation, time_steps.step_type, training=training)
        values, _ = self.judge()((time_steps.observation, tf.tanh(sums)), time_steps.step_type)
        return tf.reduce_mean(self.objective(values, sums))


def refuse_weights(weights: tf.Tensor | None) -> None:
    """Checks that no weights of a batch's samples are given, which TF-Agents offers and no agent here supports.

    Raises:
        ValueError: ``weights`` is given.
    """
    if weights is not None:
        raise ValueError("weights are not supported")
