"""Our networks: the LSTM against TF-Agents' own, and what passes through a critic's memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.keras_layers import dynamic_unroll_layer
from tf_agents.specs import tensor_spec

from robotini_ray.agents.factory import make_actor_network, make_critic_network
from robotini_ray.agents.networks import LONGEST_UNROLL, RecurrentCriticNetwork, UnrolledLstm, normalized_relu
from robotini_ray.config import Config

BATCH, ROWS = 3, 6
OBSERVED, PRIVILEGED = 24, 10


def normal(seed: int, *shape: int) -> tf.Tensor:
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


@pytest.mark.parametrize("rows", [1, 2, 9, LONGEST_UNROLL + 1])
@pytest.mark.parametrize("resets", [0.0, 0.4, 1.0])
def test_the_unrolled_lstm_is_tf_agents(rows: int, resets: float) -> None:
    ours, theirs = (kind(tf.keras.layers.LSTMCell(4)) for kind in (UnrolledLstm, dynamic_unroll_layer.DynamicUnroll))
    for layer in (ours, theirs):
        layer.build((BATCH, rows, 5))
        layer.set_weights([normal(number, *weights.shape) for number, weights in enumerate(layer.get_weights())])
    inputs, state = normal(0, BATCH, rows, 5), [normal(1, BATCH, 4), normal(2, BATCH, 4)]
    mask = tf.constant(np.random.default_rng(3).random((BATCH, rows)) < resets)
    results = []
    for layer in (theirs, ours):
        with tf.GradientTape() as tape:
            tape.watch([inputs, *state])
            outputs, final = layer(inputs, initial_state=state, reset_mask=mask)
            loss = tf.reduce_sum(outputs * normal(4, BATCH, rows, 4)) + tf.reduce_sum(final[0] * final[1])
        watched = [inputs, *state, *layer.trainable_variables]
        gradients = tape.gradient(loss, watched, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        results.append([outputs, *final, *gradients])
    assert len(ours.trainable_variables) == 3
    for expected, found in zip(*results, strict=True):
        np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-5)


@pytest.fixture
def critic(randomise: Callable[[Any, int], None]) -> RecurrentCriticNetwork:
    specs = (tensor_spec.TensorSpec((OBSERVED + PRIVILEGED,)), tensor_spec.TensorSpec((2,)))
    network = RecurrentCriticNetwork(specs, OBSERVED, 5, (7, 6), tf.nn.relu)
    network.create_variables()
    randomise(network.variables, 0)
    return network


def judged(critic: RecurrentCriticNetwork, observation: Any, action: Any, first_at: int | None = None) -> np.ndarray:
    kinds = np.ones((BATCH, ROWS), np.int32)
    if first_at is not None:
        kinds[:, first_at] = 0
    values, _ = critic(
        (tf.constant(observation), tf.constant(action)),
        step_type=tf.constant(kinds),
        network_state=[normal(7, BATCH, 5), normal(8, BATCH, 5)],
    )
    return values.numpy()


def changed_rows(before: np.ndarray, after: np.ndarray) -> list[int]:
    return np.flatnonzero((before != after).any(axis=0)).tolist()


def test_what_passes_through_a_critics_memory(critic: RecurrentCriticNetwork) -> None:
    """Observations do; actions and privileged numbers count in their own row only."""
    observation, action = normal(0, BATCH, ROWS, OBSERVED + PRIVILEGED).numpy(), normal(1, BATCH, ROWS, 2).numpy()
    before = judged(critic, observation, action)
    acted, seen, told = action.copy(), observation.copy(), observation.copy()
    acted[:, 2] += 1.0
    seen[:, 2, :OBSERVED] += 1.0
    told[:, 2, OBSERVED:] += 1.0
    assert changed_rows(before, judged(critic, observation, acted)) == [2]
    assert changed_rows(before, judged(critic, seen, action)) == [2, 3, 4, 5]
    assert changed_rows(before, judged(critic, told, action)) == [2]


def test_a_critic_forgets_what_was_before_an_episode(critic: RecurrentCriticNetwork) -> None:
    observation, action = normal(0, BATCH, ROWS, OBSERVED + PRIVILEGED).numpy(), normal(1, BATCH, ROWS, 2).numpy()
    earlier = observation.copy()
    earlier[:, :3] += 1.0
    assert changed_rows(*(judged(critic, each, action, first_at=3) for each in (observation, earlier))) == [0, 1, 2]


def test_a_critic_row_by_row_is_the_whole_sequence(critic: RecurrentCriticNetwork) -> None:
    observation, action = normal(0, BATCH, ROWS, OBSERVED + PRIVILEGED), normal(1, BATCH, ROWS, 2)
    state = [normal(7, BATCH, 5), normal(8, BATCH, 5)]
    expected = judged(critic, observation, action)
    for row in range(ROWS):
        kinds = tf.ones(BATCH, tf.int32)
        values, state = critic((observation[:, row], action[:, row]), step_type=kinds, network_state=state)
        np.testing.assert_allclose(values.numpy(), expected[:, row], atol=1e-5)


def test_layers_of_one_shape_begin_with_different_weights() -> None:
    specs = (tensor_spec.TensorSpec((3,)), tensor_spec.TensorSpec((2,)))
    network = RecurrentCriticNetwork(specs, 3, 5, (7, 7, 7), tf.nn.relu)
    network.create_variables()
    first, second, third = (variable.numpy() for variable in network.variables if variable.shape == (7, 7))
    assert (first != second).all() and (second != third).all() and (first != third).all()


@pytest.mark.parametrize("algorithm", ["td3", "rtd3"])
def test_actors_look_at_the_camera_alone(small_config: Callable[..., Config], algorithm: str) -> None:
    config = small_config(algorithm, privileged_critic=True)
    network = make_actor_network(config)
    network.create_variables()
    assert network.input_tensor_spec.shape == (OBSERVED,)
    observation = normal(0, BATCH, ROWS, OBSERVED + PRIVILEGED)
    state = network.get_initial_state(BATCH)
    if algorithm == "td3":
        observation = observation[:, 0]
    kinds = tf.ones(observation.shape[:-1], tf.int32)
    all_seen, _ = network(observation, step_type=kinds, network_state=state)
    camera, _ = network(observation[..., :OBSERVED], step_type=kinds, network_state=state)
    np.testing.assert_array_equal(all_seen.numpy(), camera.numpy())


@pytest.mark.parametrize("algorithm", ["td3", "rtd3"])
@pytest.mark.parametrize("layer_norm", [False, True])
def test_layer_normalisation_is_in_the_critics_dense_layers(
    small_config: Callable[..., Config], algorithm: str, layer_norm: bool
) -> None:
    """With it, and without biases, the first dense layer's weights may grow as they like."""
    network = make_critic_network(small_config(algorithm, critic_layer_norm=layer_norm))
    network.create_variables()
    rows = () if algorithm == "td3" else (1,)
    inputs = (normal(0, BATCH, *rows, OBSERVED), normal(1, BATCH, *rows, 2))
    arguments = {"step_type": tf.ones((BATCH, *rows), tf.int32), "network_state": network.get_initial_state(BATCH)}
    before, _ = network(inputs, **arguments)
    kernel = next(variable for variable in network.variables if variable.name.endswith("dense0/kernel:0"))
    kernel.assign(100.0 * kernel)
    after, _ = network(inputs, **arguments)
    assert np.allclose(before, after, rtol=1e-2) is layer_norm


def test_normalised_units_have_mean_0_and_variance_1() -> None:
    x = 5.0 + 3.0 * np.random.default_rng(0).normal(size=(4, 50))
    expected = np.maximum((x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True), 0.0)
    np.testing.assert_allclose(normalized_relu(tf.constant(x, tf.float32)).numpy(), expected, atol=1e-4)
