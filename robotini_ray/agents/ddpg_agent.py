"""DDPG whose actor loss can be read."""

from __future__ import annotations

import tensorflow as tf
from tf_agents.agents.ddpg import ddpg_agent
from tf_agents.trajectories import time_step


class MeanValueDdpgAgent(ddpg_agent.DdpgAgent):
    """TF-Agents' DDPG (Lillicrap et al. 2015), whose actor loss is minus the mean value of the actor's actions, as that of
    every other agent here. TF-Agents reports the mean square of the value's slope; the gradient is the same.
    """

    def actor_loss(self, time_steps: time_step.TimeStep, weights: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        """Minus the mean over the batch of the value of the actor's own actions.

        Args:
            time_steps: a batch of transitions' starts.
            weights: not supported, None.
            training: passed on to the actor.
        """
        if weights is not None:
            raise ValueError("weights are not supported")
        actions, _ = self._actor_network(time_steps.observation, time_steps.step_type, training=training)
        values, _ = self._critic_network((time_steps.observation, actions), time_steps.step_type)
        return -tf.reduce_mean(values)
