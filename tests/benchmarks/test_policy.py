import numpy as np
import pytest

from robotini_ray.benchmarks.policy import (
    CARS,
    largest_difference,
    make_config,
    measure,
    our_step,
    random_policy,
    tf_agents_policy,
    their_step,
)


def say(line):
    pass


@pytest.fixture(scope="module")
def paths():
    config = make_config()
    policy = random_policy(config)
    return config, policy, their_step(tf_agents_policy(config, policy))


def test_a_short_measurement():
    figures = {figure.name: figure for figure in measure(say, window_s=0.01, steps=20, rounds=2)}
    assert list(figures) == ["policy_ratio", "policy_difference", "policy_tf_agents", "policy_ours"]
    assert (figures["policy_ratio"].target.value, figures["policy_difference"].target.value) == (15.0, 1e-5)
    assert figures["policy_ratio"].spread.low > 0 and figures["policy_difference"].spread.value < 1e-5


def test_the_same_weights_agree_over_episodes(paths):
    config, policy, theirs = paths
    assert largest_difference(theirs, our_step(policy), config, 1010, say) < 1e-5


@pytest.mark.parametrize("name", ["dense_0/kernel", "lstm/recurrent_kernel", "action/bias"])
def test_other_weights_are_noticed(paths, name):
    config, _, theirs = paths
    other = random_policy(config)
    other.weights[name] += 0.01
    assert largest_difference(theirs, our_step(other), config, 20, say) > 1e-4


def test_a_state_that_is_not_carried_on_is_noticed(paths):
    config, policy, theirs = paths
    forgetful = our_step(policy)
    assert largest_difference(theirs, lambda seen, begins: forgetful(seen, True), config, 20, say) > 1e-3


def test_actions_are_spread_over_the_range():
    config = make_config()
    policy = random_policy(config)
    observations = np.random.default_rng(0).random((CARS, config.environment.observation_size), np.float32)
    assert np.ptp(our_step(policy)(observations, True)) > 0.3
