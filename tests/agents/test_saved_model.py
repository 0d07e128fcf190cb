"""The exported SavedModel acts as the NumPy policy does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.trajectories import time_step

from robotini_ray.agents.saved_model import SavedModelExporter
from robotini_ray.config import Config
from robotini_ray.policy.numpy_policy import NumpyPolicy
from robotini_ray.policy.policy_spec import PolicySpec


def random_policy(config: Config, seed: int) -> NumpyPolicy:
    policy = NumpyPolicy(PolicySpec.from_config(config))
    weights = np.random.default_rng(seed).normal(0.0, 0.5, policy.flat_weights().shape)
    policy.set_weights(weights.astype(np.float32))
    return policy


def largest_difference(directory: Path, policy: NumpyPolicy, steps: int = 20, cars: int = 3) -> float:
    """Between the actions of both, over an episode of random observations."""
    loaded = tf.saved_model.load(str(directory))
    state, numpy_state = loaded.get_initial_state(cars), policy.initial_state(cars)
    random = np.random.default_rng(0)
    differences, spreads = [], []
    for step in range(steps):
        observations = random.normal(size=(cars, 24)).astype(np.float32)
        kinds = tf.fill([cars], 1 if step else 0)
        now = time_step.TimeStep(kinds, tf.zeros(cars), tf.ones(cars), tf.constant(observations))
        done = loaded.action(now, state)
        state = done.state
        actions, numpy_state = policy.act(observations, numpy_state)
        differences.append(np.abs(done.action.numpy() - actions).max())
        spreads.append(actions.std())
    assert np.mean(spreads) > 0.2, "not the near-zero actions of a new network"
    return float(max(differences))


@pytest.mark.parametrize("algorithm", ["td3", "rdpg", "rtd3"])
def test_each_export_acts_as_its_policy(small_config: Callable[..., Config], tmp_path: Path, algorithm: str) -> None:
    config = small_config(algorithm)
    exporter = SavedModelExporter(config)
    first, second = random_policy(config, 1), random_policy(config, 2)
    exporter.save(first, tmp_path / "first")
    exporter.save(second, tmp_path / "second")
    assert largest_difference(tmp_path / "first", first) <= 1e-5
    assert largest_difference(tmp_path / "second", second) <= 1e-5
    assert largest_difference(tmp_path / "second", first) > 0.1


def test_a_second_exporter_in_one_process(small_config: Callable[..., Config], tmp_path: Path) -> None:
    """Keras numbers the recurrent layers of a process, so their names are not those of the first one."""
    config = small_config("rdpg")
    SavedModelExporter(config)
    policy = random_policy(config, 3)
    SavedModelExporter(config).save(policy, tmp_path / "policy")
    assert largest_difference(tmp_path / "policy", policy) <= 1e-5
