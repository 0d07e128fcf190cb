"""Defines a TD3 agent whose target actions stay inside the action range and whose actor's sums are penalised."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tf_agents.agents.td3 import td3_agent
from tf_agents.trajectories import time_step

from robotini_ray.agents.actor_objective import TransitionObjective, refuse_weights


class BoundedTd3Agent(TransitionObjective, td3_agent.Td3Agent):
    """TF-Agents' TD3 with the objective of ``ActorObjective`` and target actions that are clipped to [-1, 1].

    They are clipped after the noise is added, as in algorithm 1 of Fujimoto et al. 2018. TF-Agents leaves the noisy actions
    outside the range, where the critic has never seen a sample.
    """

    def critic_loss(
        self,
        time_steps: time_step.TimeStep,
        actions: tf.Tensor,
        next_time_steps: time_step.TimeStep,
        weights: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """Returns the mean over the batch of both critics' losses against the smaller target value.

        Args:
            time_steps: The first time steps of a batch of transitions.
            actions: ``<float32>[batch, 2]``, the actions taken in these time steps.
            next_time_steps: The time steps to which the transitions lead; reward and discount may cover n steps.
            weights: Not supported; must be None.
            training: Passed on to the critics.

        Raises:
            ValueError: ``weights`` is given.
        """
        refuse_weights(weights)
        targets = tf.stop_gradient(self._targets(next_time_steps))
        loss = 0.0
        for critic in (self._critic_network_1, self._critic_network_2):
            values, _ = critic((time_steps.observation, actions), time_steps.step_type, training=training)
            loss += self._td_errors_loss_fn(targets, values)
        return tf.reduce_mean(loss)

    def judge(self) -> Any:
        """Returns the first critic."""
        return self._critic_network_1

    def _targets(self, following: time_step.TimeStep) -> tf.Tensor:
        actions, _ = self._target_actor_network(following.observation, following.step_type)
        actions = with_target_noise(actions, self._target_policy_noise, self._target_policy_noise_clip)
        values: list[Any] = [
            critic((following.observation, actions), following.step_type)[0]
            for critic in (self._target_critic_network_1, self._target_critic_network_2)
        ]
        return following.reward + self._gamma * following.discount * tf.minimum(*values)


def with_target_noise(actions: tf.Tensor, stddev: float, clip: float) -> tf.Tensor:
    """Returns the actions with clipped normal noise added, inside [-1, 1] (target policy smoothing).

    Args:
        actions: ``<float32>[..., 2]``.
        stddev: Standard deviation of the noise.
        clip: Largest absolute value of the noise.
    """
    noise = tf.random.normal(tf.shape(actions), stddev=stddev)
    return tf.clip_by_value(actions + tf.clip_by_value(noise, -clip, clip), -1.0, 1.0)
