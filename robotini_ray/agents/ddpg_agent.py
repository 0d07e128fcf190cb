"""Defines a DDPG agent whose reported actor loss is minus the mean value."""

from __future__ import annotations

import tensorflow as tf
from tf_agents.agents.ddpg import ddpg_agent
from tf_agents.trajectories import time_step


class MeanValueDdpgAgent(ddpg_agent.DdpgAgent):
    """TF-Agents' DDPG (Lillicrap et al. 2015) with a readable actor loss.

    The actor loss is minus the mean value of the actor's actions, as for every other agent here. TF-Agents reports the mean
    square of the value's derivative with respect to the action instead; the gradient is the same.
    """

    def actor_loss(self, time_steps: time_step.TimeStep, weights: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        """Returns minus the mean value of the actor's own actions over the batch.

        Args:
            time_steps: The first time steps of a batch of transitions.
            weights: Not supported; must be None.
            training: Passed on to the actor network.

        Raises:
            ValueError: ``weights`` is given.
        """
        if weights is not None:
            raise ValueError("weights are not supported")
        actions, _ = self._actor_network(time_steps.observation, time_steps.step_type, training=training)
        values, _ = self._critic_network((time_steps.observation, actions), time_steps.step_type)
        return -tf.reduce_mean(values)
