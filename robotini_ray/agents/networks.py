"""Actor and critic networks: TF-Agents' own where they do, and what they lack.

A critic may see more than the camera: its observations are the actor's with further numbers behind them (see
``robotini_ray.environment.privileged``). An actor network takes either and looks at its own part only.
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
"""Rows. The graph of a written-out loop grows with them: tracing one of 100 takes half a minute."""


class UnrolledLstm(dynamic_unroll_layer.DynamicUnroll):
    """``DynamicUnroll`` of an ``LSTMCell``, with the loop written out and the inputs' part of all gates in one product.

    On one core a quarter to a third faster, forwards and backwards. Sequences over ``LONGEST_UNROLL`` keep TF-Agents' loop.
    """

    def call(
        self, inputs: tf.Tensor, initial_state: State, reset_mask: tf.Tensor, training: bool = False
    ) -> tuple[tf.Tensor, State]:
        """Outputs ``<float32>[batch, rows, units]`` and the state (hidden, cell) after the last row.

        Args:
            inputs: ``<float32>[batch, rows, size]``, the number of rows known.
            initial_state: hidden and cell ``<float32>[batch, units]``.
            reset_mask: ``<bool>[batch, rows]``: rows that begin with a state of zeros.
            training: of no effect.
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
        """What each row adds to the gates, ``<float32>[batch, 4 * units]``."""
        _, rows, size = inputs.shape
        by_row = tf.transpose(inputs, (1, 0, 2))
        gates = tf.matmul(tf.reshape(by_row, (-1, size)), self.cell.kernel) + self.cell.bias
        return tf.unstack(tf.reshape(gates, (rows, -1, gates.shape[-1])))


class _CameraOnly:
    """An actor network that may be called with a critic's observations: the first numbers are the actor's."""

    def __call__(self, inputs: tf.Tensor, *args: Any, **named: Any) -> tuple[tf.Tensor, Any]:
        size = self.input_tensor_spec.shape[0]  # type: ignore[attr-defined]
        return super().__call__(inputs[..., :size], *args, **named)  # type: ignore[misc]


class DenseActorNetwork(_CameraOnly, actor_network.ActorNetwork):
    """TF-Agents' feed-forward actor."""


class RecurrentActorNetwork(_CameraOnly, actor_rnn_network.ActorRnnNetwork):
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


class RecurrentCriticNetwork(network.Network):
    """The value of an action, where an LSTM remembers what was observed::

        the actor's observation -> LSTM -+
        privileged numbers --------------+-> dense layers -> value
        action --------------------------+

    The action does not pass through the LSTM. So its state is that of what has happened, whichever action is judged (past
    actions are part of the observations), and it runs once for any number of actions: ``remember``, then ``judge`` each.

    Args:
        input_tensor_spec: those of observation and action.
        remembered_size: numbers at the observation's front that the LSTM sees; the rest are privileged.
        lstm_units: of the LSTM.
        layers: units of the dense layers.
        activation: of the dense layers.
        name: of the network.
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
        # As TF-Agents' critics: the newer class would give layers of one shape the same values.
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
        """Values ``<float32>[batch]`` or ``[batch, rows]`` of the actions in the rows, and the state after them."""
        observation, action = inputs
        if nest_utils.get_outer_rank(observation, self.input_tensor_spec[0]) == 1:
            observation, action, step_type = observation[:, tf.newaxis], action[:, tf.newaxis], step_type[:, tf.newaxis]
            memory, state = self.remember(observation, step_type, network_state)
            return self.judge(memory, action)[:, 0], state
        memory, state = self.remember(observation, step_type, network_state)
        return self.judge(memory, action), state

    def remember(self, observation: tf.Tensor, step_type: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
        """What actions are judged by in each row, ``<float32>[batch, rows, ...]``, and the state after the last row."""
        seen, privileged = observation[..., : self._remembered_size], observation[..., self._remembered_size :]
        first = tf.equal(step_type, time_step.StepType.FIRST)
        memory, state = self._lstm(seen, initial_state=state, reset_mask=first)
        return tf.concat([memory, privileged], axis=-1), state

    def judge(self, memory: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
        """Values ``<float32>[batch, rows]`` of one action a row."""
        squash = utils.BatchSquash(2)
        x = squash.flatten(tf.concat([memory, action], axis=-1))
        for layer in self._layers_after:
            x = layer(x)
        return squash.unflatten(x[:, 0])


def normalized_relu(x: tf.Tensor) -> tf.Tensor:
    """ReLU after layer normalisation without gain and bias (Ba et al. 2016; the bias before it and the next layer's weights
    do their work). ``<float32>[..., units]``."""
    mean, variance = tf.nn.moments(x, axes=[-1], keepdims=True)
    return tf.nn.relu((x - mean) * tf.math.rsqrt(variance + LAYER_NORM_EPSILON))
