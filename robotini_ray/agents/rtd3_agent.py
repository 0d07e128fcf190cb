"""Defines the recurrent TD3 agent (Fujimoto et al. 2018), trained on windows like RDPG."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tf_agents.agents.td3 import td3_agent

from robotini_ray.agents.networks import RecurrentCriticNetwork
from robotini_ray.agents.td3_agent import with_target_noise
from robotini_ray.agents.window_training import WindowTraining
from robotini_ray.agents.windows import Windows


class Rtd3Agent(WindowTraining, td3_agent.Td3Agent):
    """TF-Agents' TD3, trained on windows.

    It has twin critics, noise on the target actions, and an actor that is trained every ``actor_update_period`` train
    steps. In between, the reported actor loss is that of the actor's last training.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._last_actor_loss = tf.Variable(0.0, trainable=False, name="last_actor_loss")

    def critics(self) -> list[RecurrentCriticNetwork]:
        """Returns the twin critics."""
        return [self._critic_network_1, self._critic_network_2]

    def target_critics(self) -> list[RecurrentCriticNetwork]:
        """Returns the target networks of the twin critics."""
        return [self._target_critic_network_1, self._target_critic_network_2]

    def target_actions(self, actions: tf.Tensor) -> tf.Tensor:
        """Returns the target actor's actions with noise, clipped to the action range."""
        return with_target_noise(actions, self._target_policy_noise, self._target_policy_noise_clip)

    def _train_actor(self, windows: Windows, memory: tf.Tensor) -> tf.Tensor:
        def train() -> tf.Tensor:
            return self._last_actor_loss.assign(super(Rtd3Agent, self)._train_actor(windows, memory))

        due = tf.equal(tf.math.mod(self.train_step_counter, self._actor_update_period), 0)
        return tf.cond(due, train, self._last_actor_loss.read_value)
