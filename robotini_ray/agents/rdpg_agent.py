"""Recurrent DDPG (RDPG; Heess et al. 2015) with stored state and burn-in (Kapturowski et al. 2019, R2D2)."""

from __future__ import annotations

import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.agents.ddpg import ddpg_agent

from robotini_ray.agents.windows import Windows

State = list[tf.Tensor]


class RdpgAgent(ddpg_agent.DdpgAgent):
    """TF-Agents' DDPG, trained on windows of decisions instead of transitions.

    A window is ``burn_in`` rows that only warm the recurrent states, then the trained rows, then one row that is only
    bootstrapped from. The actor starts from the state that was stored when it acted; the critic, which does not act, from
    zero. Losses are means over the trained rows in which an action was taken: padding and episode ends have none.

    Args:
        burn_in: rows in front of each window that are not trained.
        **settings: those of ``DdpgAgent``; both networks carry a state.
    """

    def __init__(self, *args: object, burn_in: int, **settings: object) -> None:
        super().__init__(*args, **settings)
        self._burn_in = burn_in

    def _train(self, experience: Windows, weights: tf.Tensor | None = None) -> tf_agent.LossInfo:
        if weights is not None:
            raise ValueError("weights are not supported")
        actor, critic = self._warm_states(experience, self._actor_network, self._critic_network)
        targets = tf.stop_gradient(self._targets(experience))
        with tf.GradientTape() as tape:
            critic_loss = self.window_critic_loss(experience, targets, critic)
        variables = self._critic_network.trainable_variables
        self._apply_gradients(tape.gradient(critic_loss, variables), variables, self._critic_optimizer)
        with tf.GradientTape() as tape:
            actor_loss = self.window_actor_loss(experience, actor, critic)
        variables = self._actor_network.trainable_variables
        self._apply_gradients(tape.gradient(actor_loss, variables), variables, self._actor_optimizer)
        self.train_step_counter.assign_add(1)
        self._update_target()
        return tf_agent.LossInfo(actor_loss + critic_loss, ddpg_agent.DdpgInfo(actor_loss, critic_loss))

    def _loss(self, experience: Windows, weights: tf.Tensor | None = None, training: bool = False) -> tf_agent.LossInfo:
        actor, critic = self._warm_states(experience, self._actor_network, self._critic_network)
        critic_loss = self.window_critic_loss(experience, self._targets(experience), critic)
        actor_loss = self.window_actor_loss(experience, actor, critic)
        return tf_agent.LossInfo(actor_loss + critic_loss, ddpg_agent.DdpgInfo(actor_loss, critic_loss))

    def window_critic_loss(self, windows: Windows, targets: tf.Tensor, state: State) -> tf.Tensor:
        """Mean TD loss of the trained rows.

        Args:
            targets: ``<float32>[batch, trained]``.
            state: the critic's recurrent state after the burn-in.
        """
        trained = self._trained(windows)
        values, _ = self._critic_network(
            (trained.observation, trained.action), step_type=trained.step_type, network_state=state, training=True
        )
        return _masked_mean(self._td_errors_loss_fn(targets, values), trained.decided)

    def window_actor_loss(self, windows: Windows, actor_state: State, critic_state: State) -> tf.Tensor:
        """Minus the mean value that the critic gives to the actor's own actions in the trained rows."""
        trained = self._trained(windows)
        actions, _ = self._actor_network(
            trained.observation, step_type=trained.step_type, network_state=actor_state, training=True
        )
        values, _ = self._critic_network(
            (trained.observation, actions), step_type=trained.step_type, network_state=critic_state
        )
        return -_masked_mean(values, trained.decided)

    def _targets(self, windows: Windows) -> tf.Tensor:
        """One-step targets ``<float32>[batch, trained]``; the target networks run over the bootstrap row too."""
        actor, critic = self._warm_states(windows, self._target_actor_network, self._target_critic_network)
        rest = windows.between(self._burn_in, None)
        actions, _ = self._target_actor_network(rest.observation, step_type=rest.step_type, network_state=actor)
        values, _ = self._target_critic_network((rest.observation, actions), step_type=rest.step_type, network_state=critic)
        return rest.reward[:, :-1] + self._gamma * rest.discount[:, :-1] * values[:, 1:]

    def _warm_states(self, windows: Windows, actor_network: tf.Module, critic_network: tf.Module) -> tuple[State, State]:
        """Both networks' states after the burn-in rows, cut off from the gradient."""
        hidden, cell = tf.split(windows.state, 2, axis=1)
        actor_state: State = [hidden, cell]
        batch = tf.shape(windows.state)[0]
        critic_state: State = [tf.zeros((batch, *spec.shape)) for spec in tf.nest.flatten(critic_network.state_spec)]
        if self._burn_in:
            warm = windows.between(0, self._burn_in)
            _, actor_state = actor_network(warm.observation, step_type=warm.step_type, network_state=actor_state)
            _, critic_state = critic_network(
                (warm.observation, warm.action), step_type=warm.step_type, network_state=critic_state
            )
        return tf.nest.map_structure(tf.stop_gradient, (actor_state, critic_state))

    def _trained(self, windows: Windows) -> Windows:
        return windows.between(self._burn_in, -1)


def _masked_mean(values: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(values * mask) / tf.maximum(tf.reduce_sum(mask), 1.0)
