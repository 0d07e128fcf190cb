"""Trains a recurrent agent on windows of decisions instead of single transitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.agents.ddpg import ddpg_agent

from robotini_ray.agents.actor_objective import ActorObjective, refuse_weights
from robotini_ray.agents.networks import RecurrentCriticNetwork, State
from robotini_ray.agents.windows import Windows, n_step_returns


class WindowTraining(ActorObjective):
    """Mixin, placed before TF-Agents' DDPG or TD3, that trains them with stored state and burn-in.

    The method is that of R2D2 (Kapturowski et al. 2019). A window consists of ``burn_in`` rows that only warm up the
    recurrent states, the trained rows, and ``n_step`` rows whose rewards are summed and from which values are bootstrapped.
    The actor starts from the state that was stored when it acted; the critics, which do not act, start from zeros. Losses
    are means over the trained rows in which an action was taken, so padding and episode ends do not count.

    Both losses use the critics' weights from the beginning of the train step. Each critic's LSTM therefore runs only once,
    for the actions that were taken and for the actor's own actions.

    A train step with a loss or a gradient that is not finite fails with ``tf.errors.InvalidArgumentError`` before these
    gradients change a weight, as TF-Agents' own train steps do for their losses.

    Args:
        burn_in: Rows at the front of each window that are not trained.
        n_step: Decisions summed into one return.
        **settings: Settings of TF-Agents' agent; the critics must be ``RecurrentCriticNetwork`` instances.
    """

    # Attributes of TF-Agents' agents that this mixin uses.
    train_step_counter: tf.Variable
    _actor_network: Any
    _target_actor_network: Any
    _actor_optimizer: Any
    _critic_optimizer: Any
    _apply_gradients: Callable[..., None]
    _update_target: Callable[[], None]
    _td_errors_loss_fn: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    _gamma: float

    def __init__(self, *args: Any, burn_in: int, n_step: int, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._burn_in = burn_in
        self._n_step = n_step

    def critics(self) -> list[RecurrentCriticNetwork]:
        """Returns the critic networks; the actor is trained to maximise the first one's value."""
        raise NotImplementedError

    def target_critics(self) -> list[RecurrentCriticNetwork]:
        """Returns the critics' target networks, in the same order."""
        raise NotImplementedError

    def target_actions(self, actions: tf.Tensor) -> tf.Tensor:
        """Returns the actions at which the target values are computed.

        Args:
            actions: ``<float32>[batch, rows, 2]``, chosen by the target actor. Subclasses may change them, for example add
                noise.
        """
        return actions

    def _train(self, experience: Windows, weights: tf.Tensor | None = None) -> tf_agent.LossInfo:
        refuse_weights(weights)
        targets = tf.stop_gradient(self.window_targets(experience))
        states = self.warm_critic_states(experience)
        variables = [variable for critic in self.critics() for variable in critic.trainable_variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            memories = self.memories(experience, states)
            critic_loss = self.window_critic_loss(experience, memories, targets)
        gradients = tape.gradient(critic_loss, variables)
        with tf.control_dependencies(_checks("Critic", critic_loss, gradients)):
            actor_loss = self._train_actor(experience, memories[0])
            self._apply_gradients(gradients, variables, self._critic_optimizer)
        self.train_step_counter.assign_add(1)
        self._update_target()
        return tf_agent.LossInfo(actor_loss + critic_loss, ddpg_agent.DdpgInfo(actor_loss, critic_loss))

    def _train_actor(self, windows: Windows, memory: tf.Tensor) -> tf.Tensor:
        """Trains the actor for one step and returns its loss."""
        state = self.warm_actor_state(windows)
        variables = self._actor_network.trainable_variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            loss = self.window_actor_loss(windows, state, memory)
        gradients = tape.gradient(loss, variables)
        with tf.control_dependencies(_checks("Actor", loss, gradients)):
            self._apply_gradients(gradients, variables, self._actor_optimizer)
        return loss

    def _loss(self, experience: Windows, weights: tf.Tensor | None = None, training: bool = False) -> tf_agent.LossInfo:
        refuse_weights(weights)
        memories = self.memories(experience, self.warm_critic_states(experience))
        critic_loss = self.window_critic_loss(experience, memories, self.window_targets(experience))
        actor_loss = self.window_actor_loss(experience, self.warm_actor_state(experience), memories[0])
        return tf_agent.LossInfo(actor_loss + critic_loss, ddpg_agent.DdpgInfo(actor_loss, critic_loss))

    def window_targets(self, windows: Windows) -> tf.Tensor:
        """Returns the targets ``<float32>[batch, trained]`` for the values of the trained rows.

        They are n-step returns, bootstrapped from the smallest of the target critics' values.
        """
        returns = n_step_returns(windows, self._burn_in, self._n_step, self._gamma)
        chosen, _ = self._target_actor_network(
            windows.observation, step_type=windows.step_type, network_state=_stored_state(windows)
        )
        actions = self.target_actions(chosen[:, self._burn_in :])
        values = []
        for critic in self.target_critics():
            memory, _ = critic.remember(windows.observation, windows.step_type, _zero_state(critic, windows))
            values.append(critic.judge(memory[:, self._burn_in :], actions))
        rows = tf.range(returns.steps.shape[1]) + returns.steps
        smallest = tf.reduce_min(values, axis=0)
        return returns.reward + returns.factor * tf.gather(smallest, rows, axis=1, batch_dims=1)

    def warm_critic_states(self, windows: Windows) -> list[State]:
        """Returns each critic's state after the burn-in rows, without gradient."""
        warm = windows.between(0, self._burn_in)
        states = []
        for critic in self.critics():
            state = _zero_state(critic, windows)
            if self._burn_in:
                _, state = critic.remember(warm.observation, warm.step_type, state)
            states.append([tf.stop_gradient(part) for part in state])
        return states

    def warm_actor_state(self, windows: Windows) -> State:
        """Returns the actor's state after the burn-in rows, without gradient."""
        state = _stored_state(windows)
        if self._burn_in:
            warm = windows.between(0, self._burn_in)
            _, state = self._actor_network(warm.observation, step_type=warm.step_type, network_state=state)
        return [tf.stop_gradient(part) for part in state]

    def memories(self, windows: Windows, states: list[State]) -> list[tf.Tensor]:
        """Returns each critic's memory of the trained rows (see ``RecurrentCriticNetwork.remember``).

        Args:
            states: Each critic's state before the trained rows.
        """
        trained = self.trained(windows)
        pairs = zip(self.critics(), states, strict=True)
        return [critic.remember(trained.observation, trained.step_type, state)[0] for critic, state in pairs]

    def window_critic_loss(self, windows: Windows, memories: list[tf.Tensor], targets: tf.Tensor) -> tf.Tensor:
        """Returns the sum over the critics of their mean TD losses in the trained rows.

        Args:
            memories: Each critic's memory of the trained rows.
            targets: ``<float32>[batch, trained]``.
        """
        trained = self.trained(windows)
        values = [critic.judge(memory, trained.action) for critic, memory in zip(self.critics(), memories, strict=True)]
        return tf.add_n([_masked_mean(self._td_errors_loss_fn(targets, value), trained.decided) for value in values])

    def window_actor_loss(self, windows: Windows, state: State, memory: tf.Tensor) -> tf.Tensor:
        """Returns the mean objective, by the first critic, of the actor's own actions in the trained rows.

        Args:
            state: The actor's state before the trained rows.
            memory: The first critic's memory of the trained rows; no gradient flows through it.
        """
        trained = self.trained(windows)
        sums, _ = self._actor_network.preactivations(
            trained.observation, step_type=trained.step_type, network_state=state, training=True
        )
        values = self.critics()[0].judge(tf.stop_gradient(memory), tf.tanh(sums))
        return _masked_mean(self.objective(values, sums), trained.decided)

    def trained(self, windows: Windows) -> Windows:
        """Returns the trained rows of the windows."""
        return windows.between(self._burn_in, -self._n_step)


def _checks(name: str, loss: tf.Tensor, gradients: list[tf.Tensor]) -> list[tf.Tensor]:
    """Returns operations that fail if the loss or a gradient is not finite, in the words of TF-Agents' checks."""
    return [
        tf.debugging.check_numerics(loss, f"{name} loss is inf or nan."),
        tf.debugging.check_numerics(tf.linalg.global_norm(gradients), f"{name} gradients are inf or nan."),
    ]


def _stored_state(windows: Windows) -> State:
    return tf.split(windows.state, 2, axis=1)


def _zero_state(critic: RecurrentCriticNetwork, windows: Windows) -> State:
    return critic.get_initial_state(tf.shape(windows.state)[0])


def _masked_mean(values: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(values * mask) / tf.maximum(tf.reduce_sum(mask), 1.0)
