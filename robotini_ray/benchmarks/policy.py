"""Measures the figures of ``policy``: the time of a policy call beside TF-Agents' own, and how far their actions differ.

Both policies have the same weights and get the same observations of six cars. Each carries its own recurrent state, so that
an error would add up. The weights are drawn wide enough for actions all over [-1, 1].
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tf_agents.policies import actor_policy, py_tf_eager_policy
from tf_agents.trajectories import time_step as ts

from robotini_ray.agents.factory import action_spec, actor_variables, make_actor_network, observation_spec
from robotini_ray.benchmarks.apparatus.figure import Figure, Measurement, Say, Target
from robotini_ray.benchmarks.apparatus.pairs import PAIRS, Spread, interleave, ratios, spread
from robotini_ray.config import Config, config_from_dict
from robotini_ray.policy.numpy_policy import NumpyPolicy
from robotini_ray.policy.policy_spec import PolicySpec

CARS = 6
NETWORK = "LSTM 64"
RATIO_TARGET = Target("at least", 15.0)
DIFFERENCE_TARGET = Target("at most", 1e-5)

EPISODE_STEPS = 500
SAID_EVERY = 2500
OBSERVATIONS = 64
"""Number of different observations in a timed stretch, which repeats them in order."""

NumpyStep = Callable[[NDArray[np.float32], bool], NDArray[np.float32]]
"""Maps ``<float32>[cars, observation]`` to ``<float32>[cars, action]``; the flag says that an episode begins."""


def make_config() -> Config:
    """Returns the config of a recurrent policy with 64 units in each layer."""
    agent = {"algorithm": "rdpg", "actor_layers": [64], "lstm_units": 64}
    return config_from_dict({"agent": agent})


def random_policy(config: Config, seed: int = 0) -> NumpyPolicy:
    """Returns the program's NumPy policy with random weights that give actions all over [-1, 1]."""
    policy = NumpyPolicy(PolicySpec.from_config(config))
    random = np.random.default_rng(seed)
    for weights in policy.weights.values():
        fan_in = weights.shape[0] if weights.ndim == 2 else 64
        weights[:] = random.normal(0.0, 1.5 / np.sqrt(fan_in), weights.shape)
    return policy


def tf_agents_policy(config: Config, policy: NumpyPolicy) -> py_tf_eager_policy.PyTFEagerPolicy:
    """Returns TF-Agents' policy for a batch of cars, called through a ``tf.function``, with a copy of the weights."""
    network = make_actor_network(config)
    network.create_variables()
    for name, variable in actor_variables(network.variables).items():
        variable.assign(policy.weights[name])
    specs = ts.time_step_spec(observation_spec(config))
    actor = actor_policy.ActorPolicy(specs, action_spec(), network, clip=True)
    return py_tf_eager_policy.PyTFEagerPolicy(actor, use_tf_function=True, batch_time_steps=False)


def our_step(policy: NumpyPolicy, cars: int = CARS) -> NumpyStep:
    """Returns a step of the NumPy policy that carries the recurrent states of the cars from call to call."""
    state = policy.initial_state(cars)

    def step(observations: NDArray[np.float32], begins: bool) -> NDArray[np.float32]:
        nonlocal state
        if begins:
            state = policy.initial_state(cars)
        actions, state = policy.act(observations, state)
        return actions

    return step


def their_step(policy: py_tf_eager_policy.PyTFEagerPolicy, cars: int = CARS) -> NumpyStep:
    """Returns a step of TF-Agents' policy that carries the recurrent states of the cars from call to call."""
    state: Any = policy.get_initial_state(cars)
    rewards, discounts = np.zeros(cars, np.float32), np.ones(cars, np.float32)

    def step(observations: NDArray[np.float32], begins: bool) -> NDArray[np.float32]:
        nonlocal state
        made = ts.restart(observations, cars) if begins else ts.transition(observations, rewards, discounts)
        decided = policy.action(made, state)
        state = decided.state
        return np.asarray(decided.action)

    return step


def measure(say: Say, *, window_s: float = 0.7, steps: int = 10_000, rounds: int = PAIRS) -> list[Figure]:
    """Times both policies in turn, then compares their actions.

    Args:
        say: Takes a line of progress at a time.
        window_s: Duration of a timed stretch.
        steps: Number of steps over which the actions are compared.
        rounds: Number of pairs of stretches.
    """
    say("policy: building TF-Agents' policy")
    config = make_config()
    policy = random_policy(config)
    with tf.device("/CPU:0"):
        theirs, ours = their_step(tf_agents_policy(config, policy)), our_step(policy)
        observations = _observations(config, OBSERVATIONS)
        paths = {
            "theirs": lambda: _call_s(theirs, observations, window_s),
            "ours": lambda: _call_s(ours, observations, window_s),
        }
        readings = interleave(paths, rounds, lambda number: say(f"policy: round {number} of {rounds}"))
        difference = largest_difference(theirs, ours, config, steps, say)
    return [
        Figure("policy_ratio", ratios(readings["theirs"], readings["ours"]), "x", RATIO_TARGET, network=NETWORK),
        Figure("policy_difference", Spread(difference, difference, difference, 1), "action", DIFFERENCE_TARGET, None, NETWORK),
        Figure("policy_tf_agents", spread([1e6 * call_s for call_s in readings["theirs"]]), "us/call", network=NETWORK),
        Figure("policy_ours", spread([1e6 * call_s for call_s in readings["ours"]]), "us/call", network=NETWORK),
    ]


def largest_difference(theirs: NumpyStep, ours: NumpyStep, config: Config, steps: int, say: Say) -> float:
    """Returns the largest difference between two actions of any car in ``steps`` steps; an episode begins every 500 steps."""
    random = np.random.default_rng(1)
    size = (CARS, config.environment.observation_size)
    largest = 0.0
    for number in range(steps):
        if number % SAID_EVERY == 0:
            say(f"policy: comparing actions, step {number:,} of {steps:,}")
        observations, begins = random.random(size, np.float32), number % EPISODE_STEPS == 0
        differences = np.abs(theirs(observations, begins) - ours(observations, begins))
        largest = max(largest, float(differences.max()))
    return largest


def _observations(config: Config, count: int) -> NDArray[np.float32]:
    return np.random.default_rng(2).random((count, CARS, config.environment.observation_size), np.float32)


def _call_s(step: NumpyStep, observations: NDArray[np.float32], window_s: float) -> float:
    """Returns the wall time of one call, as a mean over a stretch of calls."""
    step(observations[0], True)
    calls, began_s = 0, time.perf_counter()
    while (elapsed_s := time.perf_counter() - began_s) < window_s or not calls:
        step(observations[calls % len(observations)], False)
        calls += 1
    return elapsed_s / calls


MEASUREMENTS: tuple[Measurement, ...] = (measure,)
