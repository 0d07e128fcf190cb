import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robotini_ray.config import config_from_dict
from robotini_ray.policy.exploration import ExplorationNoise, noise_ladder
from robotini_ray.policy.numpy_policy import NumpyPolicy
from robotini_ray.policy.policy_spec import PolicyError, PolicySpec

SMALL = {"observation_history": 1, "action_history": 1}


def spec_of(algorithm="td3", layers=(7, 5), lstm_units=3, **environment):
    return PolicySpec.from_config(
        config_from_dict(
            {
                "agent": {"algorithm": algorithm, "actor_layers": list(layers), "lstm_units": lstm_units},
                "environment": {**SMALL, **environment},
            }
        )
    )


def random_policy(spec, seed=0):
    policy = NumpyPolicy(spec)
    policy.set_weights(np.random.default_rng(seed).normal(0, 0.4, policy.flat_weights().shape).astype(np.float32))
    return policy


def sigmoid(x):
    return 1.0 / (1.0 + math.exp(-x))


def slow_dense(x, kernel, bias):
    return [sum(x[i] * float(kernel[i][j]) for i in range(len(x))) + float(bias[j]) for j in range(len(bias))]


def slow_act(policy, observation, state):
    """One car's action, number by number, from the definitions; Keras' order of an LSTM's gates is i, f, c, o."""
    weights, units = policy.weights, policy.spec.lstm_units
    x = [float(number) for number in observation]
    for index in range(len(policy.spec.layers)):
        x = [max(0.0, y) for y in slow_dense(x, weights[f"dense_{index}/kernel"], weights[f"dense_{index}/bias"])]
    if policy.spec.network == "lstm":
        hidden, cell = [float(h) for h in state[:units]], [float(c) for c in state[units:]]
        from_input = slow_dense(x, weights["lstm/kernel"], weights["lstm/bias"])
        from_hidden = slow_dense(hidden, weights["lstm/recurrent_kernel"], [0.0] * (4 * units))
        gates = [a + b for a, b in zip(from_input, from_hidden, strict=True)]
        for k in range(units):
            keep, forget = sigmoid(gates[k]), sigmoid(gates[units + k])
            candidate, out = math.tanh(gates[2 * units + k]), sigmoid(gates[3 * units + k])
            cell[k] = forget * cell[k] + keep * candidate
            hidden[k] = out * math.tanh(cell[k])
        x, state = hidden, hidden + cell
    return [math.tanh(y) for y in slow_dense(x, weights["action/kernel"], weights["action/bias"])], state


class TestNetworks:
    @pytest.mark.parametrize("algorithm", ["td3", "ddpg", "rdpg", "rtd3"])
    @pytest.mark.parametrize("layers", [(6,), (7, 5), (4, 3, 2)])
    def test_they_equal_the_slow_reference_over_a_sequence(self, algorithm, layers):
        policy = random_policy(spec_of(algorithm, layers), seed=len(layers))
        random = np.random.default_rng(1)
        cars = 3
        state = policy.initial_state(cars)
        slow_states = [list(row) for row in state]
        for _ in range(4):
            observations = random.uniform(-1, 1, (cars, 26)).astype(np.float32)
            given_state = state.copy()
            actions, next_state = policy.act(observations, state)
            np.testing.assert_array_equal(state, given_state)
            for car in range(cars):
                expected, slow_states[car] = slow_act(policy, observations[car], slow_states[car])
                np.testing.assert_allclose(actions[car], expected, rtol=0, atol=2e-6)
                np.testing.assert_allclose(next_state[car], slow_states[car], rtol=0, atol=2e-6)
            assert actions.dtype == next_state.dtype == np.float32
            state = next_state

    def test_observations_are_not_changed(self):
        policy = random_policy(spec_of())
        observations = np.ones((2, 26), np.float32)
        policy.act(observations, policy.initial_state(2))
        np.testing.assert_array_equal(observations, 1.0)

    def test_state_makes_a_difference(self):
        policy = random_policy(spec_of("rdpg"))
        observation = np.ones((1, 26), np.float32)
        first, state = policy.act(observation, policy.initial_state(1))
        second, _ = policy.act(observation, state)
        assert not np.array_equal(first, second)

    def test_huge_numbers_give_actions_at_the_ends(self):
        for algorithm in ("td3", "rdpg"):
            policy = random_policy(spec_of(algorithm))
            policy.set_weights(policy.flat_weights() * np.float32(1e6))
            actions, state = policy.act(np.full((1, 26), 1e4, np.float32), policy.initial_state(1))
            assert np.all(np.abs(actions) <= 1.0) and np.all(np.isfinite(state))

    def test_no_weights_drive_neutrally(self):
        policy = NumpyPolicy(spec_of("rdpg"))
        actions, _ = policy.act(np.ones((2, 26), np.float32), policy.initial_state(2))
        np.testing.assert_array_equal(actions, np.zeros((2, 2)))


class TestWeights:
    def test_the_flat_vector_is_in_the_order_of_the_shapes(self):
        policy = NumpyPolicy(spec_of("rdpg"))
        policy.set_weights(np.arange(len(policy.flat_weights()), dtype=np.float32))
        start = 0
        for name, shape in policy.spec.weight_shapes().items():
            stop = start + math.prod(shape)
            np.testing.assert_array_equal(policy.weights[name], np.arange(start, stop).reshape(shape))
            start = stop
        assert start == len(policy.flat_weights())

    def test_shapes(self):
        assert spec_of("rdpg", (7,), 3).weight_shapes() == {
            "dense_0/kernel": (26, 7),
            "dense_0/bias": (7,),
            "lstm/kernel": (7, 12),
            "lstm/recurrent_kernel": (3, 12),
            "lstm/bias": (12,),
            "action/kernel": (3, 2),
            "action/bias": (2,),
        }

    def test_the_vector_is_copied_in_and_out(self):
        policy = NumpyPolicy(spec_of())
        given_weights = np.ones_like(policy.flat_weights())
        policy.set_weights(given_weights)
        given_weights[:] = 5
        policy.flat_weights()[:] = 7
        np.testing.assert_array_equal(policy.flat_weights(), 1.0)

    def test_another_length_is_refused(self):
        policy = NumpyPolicy(spec_of())
        with pytest.raises(PolicyError, match="not the same network"):
            policy.set_weights(policy.flat_weights()[:-1])


class TestNoise:
    def test_a_ladder_is_geometric_from_low_to_high(self):
        ladder = noise_ladder(6, 0.05, 0.4)
        assert ladder[0] == pytest.approx(0.05) and ladder[-1] == pytest.approx(0.4)
        ratios = [b / a for a, b in itertools.pairwise(ladder)]
        assert ratios == pytest.approx([8 ** (1 / 5)] * 5)

    @settings(deadline=None)
    @given(cars=st.integers(1, 40), low=st.floats(0, 2), high=st.floats(0, 2))
    def test_any_ladder_has_a_rung_for_each_car_between_its_ends(self, cars, low, high):
        ladder = noise_ladder(cars, low, high)
        assert len(ladder) == cars
        assert all(type(step) is float for step in ladder)
        slack = 1e-9 * max(low, high)
        assert all(min(low, high) - slack <= step <= max(low, high) + slack for step in ladder)
        steps = [b - a if low <= high else a - b for a, b in itertools.pairwise(ladder)]
        assert all(step >= -slack for step in steps)

    @pytest.mark.parametrize("damping", [0.05, 0.15, 0.3, 0.7, 1.0])
    @pytest.mark.parametrize("stddev", [0.1, 0.4])
    def test_the_standard_deviation_is_the_promised_one_for_every_damping(self, stddev, damping):
        noise = ExplorationNoise(stddev, damping, seed=1)
        samples = np.array([noise.sample() for _ in range(22_000)])[2000:]
        independent = len(samples) * damping  # about: correlation dies out within 1 / damping samples
        assert samples.std(axis=0) == pytest.approx(stddev, rel=5 / math.sqrt(independent))
        assert np.abs(samples.mean(axis=0)).max() < 5 * stddev * math.sqrt(2 / independent)
        correlation = [np.corrcoef(samples[:-1, k], samples[1:, k])[0, 1] for k in (0, 1)]
        assert correlation == pytest.approx([1 - damping] * 2, abs=0.05)
        assert abs(np.corrcoef(samples[:, 0], samples[:, 1])[0, 1]) < 5 / math.sqrt(independent)

    def test_seeds_make_the_difference(self):
        def walk(seed):
            noise = ExplorationNoise(0.3, 0.2, seed)
            return np.array([noise.sample() for _ in range(50)])

        np.testing.assert_array_equal(walk(3), walk(3))
        assert not np.isclose(walk(3), walk(4)).any()

    def test_samples_are_the_callers_own(self):
        noise = ExplorationNoise(0.3, 0.2, 0)
        first = noise.sample()
        kept = first.copy()
        noise.sample()
        np.testing.assert_array_equal(first, kept)
        assert first.dtype == np.float32 and first.shape == (2,)

    def test_no_noise_is_none(self):
        noise = ExplorationNoise(0.0, 0.3, 0)
        np.testing.assert_array_equal([noise.sample() for _ in range(5)], np.zeros((5, 2)))
