"""Defines a DDPG agent whose reported actor loss is minus the mean value, plus the penalty on preactivations."""

from __future__ import annotations

import tensorflow as tf
from tf_agents.agents.ddpg import ddpg_agent
from tf_agents.trajectories import time_step

from robotini_ray.agents.actor_objective import ActorObjective


class MeanValueDdpgAgent(ActorObjective, ddpg_agent.DdpgAgent):
    """TF-Agents' DDPG (Lillicrap et al. 2015) with a readable actor loss.

    The actor loss is that of every other agent here (see ``ActorObjective``). TF-Agents reports the mean
    square of the value's derivative with respect to the action instead; its gradient is that of the value.
    """

    def actor_loss(self, time_steps: time_step.TimeStep, weights: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        """Returns the mean objective of the actor's own actions over the batch.

        Args:
            time_steps: The first time steps of a batch of transitions.
            weights: Not supported; must be None.
            training: Passed on to the actor network.

        Raises:
            ValueError: ``weights`` is given.
        """
        if weights is not None:
            raise ValueError("weights are not supported")
        sums, _ = self._actor_network.preactivations(time_steps.observation, time_steps.step_type, training=training)
        values, _ = self._critic_network((time_steps.observation, tf.tanh(sums)), time_steps.step_type)
        return tf.reduce_mean(self.objective(values, sums))
