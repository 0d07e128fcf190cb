"""Defines the actor and critic networks: TF-Agents' own where they suffice, and extensions of them.

A critic may see more than the camera shows: its observations are the actor's observations followed by privileged numbers
(see ``robotini_ray.environment.privileged``). An actor network accepts both kinds and uses only the actor's part.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tf_agents.agents.ddpg import actor_network, actor_rnn_network
from tf_agents.keras_layers import dynamic_unroll_layer
from tf_agents.networks import network, utils
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step
from tf_agents.utils import nest_utils

State = list[tf.Tensor]

LAYER_NORM_EPSILON = 1e-5

LONGEST_UNROLL = 64
"""Most rows whose loop is unrolled. The graph grows with the number of rows: tracing one of 100 rows takes half a minute."""


class UnrolledLstm(dynamic_unroll_layer.DynamicUnroll):
    """A ``DynamicUnroll`` of an ``LSTMCell`` whose loop over the rows is unrolled in the graph.

    The inputs' contribution to all gates is computed in one matrix product. On one core this is a quarter to a third faster
    than TF-Agents' loop, forwards and backwards. Sequences of more than ``LONGEST_UNROLL`` rows use TF-Agents' loop.
    """

    def call(
        self, inputs: tf.Tensor, initial_state: State, reset_mask: tf.Tensor, training: bool = False
    ) -> tuple[tf.Tensor, State]:
        """Returns the outputs ``<float32>[batch, rows, units]`` and the state (hidden, cell) after the last row.

        Args:
            inputs: ``<float32>[batch, rows, size]``; the number of rows must be known when the graph is traced.
            initial_state: Hidden and cell state, each ``<float32>[batch, units]``.
            reset_mask: ``<bool>[batch, rows]``, true for rows that start from a state of zeros.
            training: Has no effect.
        """
        if inputs.shape[1] > LONGEST_UNROLL:
            return super().call(inputs, initial_state, reset_mask, training)
        hidden, cell = initial_state
        kept = tf.unstack(1.0 - tf.cast(tf.transpose(reset_mask), tf.float32)[..., tf.newaxis])
        outputs = []
        for gates, keep in zip(self._input_gates(inputs), kept, strict=True):
            hidden, cell = keep * hidden, keep * cell
            keep_in, forget, candidate, keep_out = tf.split(gates + tf.matmul(hidden, self.cell.recurrent_kernel), 4, axis=1)
            cell = tf.sigmoid(forget) * cell + tf.sigmoid(keep_in) * tf.tanh(candidate)
            hidden = tf.sigmoid(keep_out) * tf.tanh(cell)
            outputs.append(hidden)
        return tf.stack(outputs, axis=1), [hidden, cell]

    def _input_gates(self, inputs: tf.Tensor) -> list[tf.Tensor]:
        """Returns the inputs' contribution to the gates: one ``<float32>[batch, 4 * units]`` per row."""
        _, rows, size = inputs.shape
        by_row = tf.transpose(inputs, (1, 0, 2))
        gates = tf.matmul(tf.reshape(by_row, (-1, size)), self.cell.kernel) + self.cell.bias
        return tf.unstack(tf.reshape(gates, (rows, -1, gates.shape[-1])))


class _TanhActor:
    """Gives an actor network its preactivations, and lets it accept a critic's observations.

    The last layer of the network below must be linear. A critic's first numbers are the actor's observation.
    """

    def __call__(self, inputs: tf.Tensor, *args: Any, **named: Any) -> tuple[tf.Tensor, Any]:
        preactivations, state = self.preactivations(inputs, *args, **named)
        return tf.tanh(preactivations), state

    def preactivations(self, inputs: tf.Tensor, *args: Any, **named: Any) -> tuple[tf.Tensor, Any]:
        """Returns the sums ``<float32>[..., 2]`` of which the actions are the tanh, and the next state.

        The arguments are those of a call of the network.
        """
        size = self.input_tensor_spec.shape[0]  # type: ignore[attr-defined]
        return super().__call__(inputs[..., :size], *args, **named)  # type: ignore[misc]


class DenseActorNetwork(_TanhActor, actor_network.ActorNetwork):
    """TF-Agents' feed-forward actor, which also accepts a critic's observations and returns its preactivations."""

    def __init__(
        self,
        input_tensor_spec: tf.TypeSpec,
        output_tensor_spec: tf.TypeSpec,
        layers: tuple[int, ...],
        name: str = "DenseActorNetwork",
    ) -> None:
        super().__init__(input_tensor_spec, output_tensor_spec, fc_layer_params=layers, name=name)
        self._mlp_layers[-1].activation = tf.keras.activations.linear


class RecurrentActorNetwork(_TanhActor, actor_rnn_network.ActorRnnNetwork):
    """TF-Agents' recurrent actor (dense layers, LSTM, action) with the faster LSTM."""

    def __init__(
        self,
        input_tensor_spec: tf.TypeSpec,
        output_tensor_spec: tf.TypeSpec,
        layers: tuple[int, ...],
        lstm_units: int,
        name: str = "RecurrentActorNetwork",
    ) -> None:
        super().__init__(
            input_tensor_spec,
            output_tensor_spec,
            input_fc_layer_params=layers,
            lstm_size=(lstm_units,),
            output_fc_layer_params=None,
            name=name,
        )
        self._dynamic_unroll: UnrolledLstm = UnrolledLstm(self._dynamic_unroll.cell, name="lstm")
        self._action_layers[0].activation = tf.keras.activations.linear


class RecurrentCriticNetwork(network.Network):
    """Estimates the value of an action, with an LSTM that remembers the past observations.

    The layers are::

        the actor's observation -> LSTM -+
        privileged numbers --------------+-> dense layers -> value
        action --------------------------+

    The action does not pass through the LSTM, so the LSTM's state describes what has happened, whichever action is judged
    (past actions are part of the observations). One run of the LSTM therefore serves any number of actions: call ``remember``
    once, then ``judge`` for each action.

    Args:
        input_tensor_spec: The specs of the observation and the action.
        remembered_size: How many numbers at the front of the observation the LSTM sees; the rest are privileged.
        lstm_units: Number of units of the LSTM.
        layers: Numbers of units of the dense layers.
        activation: The activation function of the dense layers.
        name: The network's name.
    """

    def __init__(
        self,
        input_tensor_spec: tuple[tf.TypeSpec, tf.TypeSpec],
        remembered_size: int,
        lstm_units: int,
        layers: tuple[int, ...],
        activation: Any,
        name: str = "RecurrentCriticNetwork",
    ) -> None:
        state_spec = [tensor_spec.TensorSpec((lstm_units,), tf.float32, part) for part in ("hidden", "cell")]
        super().__init__(input_tensor_spec=input_tensor_spec, state_spec=state_spec, name=name)
        self._remembered_size = remembered_size
        self._lstm = UnrolledLstm(tf.keras.layers.LSTMCell(lstm_units), name="lstm")
        # The initializer of TF-Agents' critics. The newer class would give layers of equal shape the same values.
        initial = tf.compat.v1.keras.initializers.VarianceScaling(1.0 / 3.0, "fan_in", "uniform")
        self._layers_after = utils.mlp_layers(
            fc_layer_params=layers, activation_fn=activation, kernel_initializer=initial, name="joint_mlp"
        )
        last = tf.keras.initializers.RandomUniform(-0.003, 0.003)
        self._layers_after.append(tf.keras.layers.Dense(1, kernel_initializer=last, name="value"))

    def call(
        self,
        inputs: tuple[tf.Tensor, tf.Tensor],
        step_type: tf.Tensor,
        network_state: State,
        training: bool = False,
    ) -> tuple[tf.Tensor, State]:
        """Computes the values of the actions and the state after the last row.

        Args:
            inputs: Observation and action, each with leading dimensions ``[batch]`` or ``[batch, rows]``.
            step_type: TF-Agents' step types, with the same leading dimensions; FIRST resets the state.
            network_state: Hidden and cell state before the first row.
            training: Has no effect.

        Returns:
            The values ``<float32>[batch]`` or ``<float32>[batch, rows]``, and the state (hidden, cell).
        """
        observation, action = inputs
        if nest_utils.get_outer_rank(observation, self.input_tensor_spec[0]) == 1:
            observation, action, step_type = observation[:, tf.newaxis], action[:, tf.newaxis], step_type[:, tf.newaxis]
            memory, state = self.remember(observation, step_type, network_state)
            return self.judge(memory, action)[:, 0], state
        memory, state = self.remember(observation, step_type, network_state)
        return self.judge(memory, action), state

    def remember(self, observation: tf.Tensor, step_type: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
        """Runs the LSTM over the observations.

        Returns:
            The memory ``<float32>[batch, rows, ...]`` from which ``judge`` computes values (each row's LSTM output and
            privileged numbers), and the state after the last row.
        """
        seen, privileged = observation[..., : self._remembered_size], observation[..., self._remembered_size :]
        first = tf.equal(step_type, time_step.StepType.FIRST)
        memory, state = self._lstm(seen, initial_state=state, reset_mask=first)
        return tf.concat([memory, privileged], axis=-1), state

    def judge(self, memory: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
        """Returns the values ``<float32>[batch, rows]`` of one action per row, given the memory of ``remember``."""
        squash = utils.BatchSquash(2)
        x = squash.flatten(tf.concat([memory, action], axis=-1))
        for layer in self._layers_after:
            x = layer(x)
        return squash.unflatten(x[:, 0])


def normalized_relu(x: tf.Tensor) -> tf.Tensor:
    """Applies layer normalisation (Ba et al. 2016) without gain and bias, then ReLU.

    The bias of the layer before and the weights of the layer after take the place of bias and gain.

    Args:
        x: ``<float32>[..., units]``.
    """
    mean, variance = tf.nn.moments(x, axes=[-1], keepdims=True)
    return tf.nn.relu((x - mean) * tf.math.rsqrt(variance + LAYER_NORM_EPSILON))
