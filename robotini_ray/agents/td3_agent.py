"""TD3 whose target actions stay inside the action range."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tf_agents.agents.td3 import td3_agent
from tf_agents.trajectories import time_step


class BoundedTd3Agent(td3_agent.Td3Agent):
    """TF-Agents' TD3 with one correction: a target action is clipped to [-1, 1] after its noise (Fujimoto et al. 2018,
    algorithm 1). TF-Agents leaves it outside, where the critic has never seen a sample.
    """

    def critic_loss(
        self,
        time_steps: time_step.TimeStep,
        actions: tf.Tensor,
        next_time_steps: time_step.TimeStep,
        weights: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """Mean over the batch of both critics' losses against the smaller target value.

        Args:
            time_steps: a batch of transitions' starts.
            actions: ``<float32>[batch, 2]``.
            next_time_steps: where they lead; reward and discount may be those of n steps.
            weights: not supported, None.
            training: passed on to the critics.
        """
        if weights is not None:
            raise ValueError("weights are not supported")
        targets = tf.stop_gradient(self._targets(next_time_steps))
        loss = 0.0
        for critic in (self._critic_network_1, self._critic_network_2):
            values, _ = critic((time_steps.observation, actions), time_steps.step_type, training=training)
            loss += self._td_errors_loss_fn(targets, values)
        return tf.reduce_mean(loss)

    def _targets(self, following: time_step.TimeStep) -> tf.Tensor:
        actions, _ = self._target_actor_network(following.observation, following.step_type)
        actions = with_target_noise(actions, self._target_policy_noise, self._target_policy_noise_clip)
        values: list[Any] = [
            critic((following.observation, actions), following.step_type)[0]
            for critic in (self._target_critic_network_1, self._target_critic_network_2)
        ]
        return following.reward + self._gamma * following.discount * tf.minimum(*values)


def with_target_noise(actions: tf.Tensor, stddev: float, clip: float) -> tf.Tensor:
    """Actions ``<float32>[..., 2]`` with normal noise of at most ``clip``, inside [-1, 1] (target policy smoothing)."""
    noise = tf.random.normal(tf.shape(actions), stddev=stddev)
    return tf.clip_by_value(actions + tf.clip_by_value(noise, -clip, clip), -1.0, 1.0)
