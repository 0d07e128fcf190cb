"""Every agent solves a task that is known to be solvable: a point on a line must go to its goal and stay there.

Everything but Reverb is the program's own: acting, noise, windows, transitions, agent. Windows are kept in memory and drawn
with a seed, so that a test does the same every time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from robotini_ray.agents.factory import experience_map, flat_actor_weights, make_agent
from robotini_ray.config import Config
from robotini_ray.policy.exploration import ExplorationNoise
from robotini_ray.policy.numpy_policy import NumpyPolicy
from robotini_ray.policy.policy_spec import PolicySpec
from robotini_ray.replay.table import WindowLayout, WindowWriter

POINTS = 16
"""Episodes driven at the same time."""


class MemoryReplay:
    """Stands in for the Reverb client, its trajectory writer and its table."""

    def __init__(self) -> None:
        self.items: list[dict[str, np.ndarray]] = []

    def trajectory_writer(self, num_keep_alive_refs: int) -> MemoryWriter:
        return MemoryWriter(self.items, num_keep_alive_refs)

    def batch(self, size: int, random: np.random.Generator) -> dict[str, tf.Tensor]:
        drawn = [self.items[index] for index in random.integers(len(self.items), size=size)]
        return {name: tf.constant(np.stack([item[name] for item in drawn])) for name in drawn[0]}


class MemoryWriter:
    """Keeps what ``WindowWriter`` writes."""

    def __init__(self, items: list[dict[str, np.ndarray]], keep: int) -> None:
        self._items = items
        self._keep = keep
        self.history: dict[str, list[np.ndarray]] = {}

    def configure(self, column: tuple[str], **settings: Any) -> None:
        pass

    def append(self, columns: dict[str, np.ndarray]) -> None:
        for name, value in columns.items():
            self.history[name] = [*self.history.get(name, []), value.copy()][-self._keep :]

    def create_item(self, table: str, priority: float, trajectory: dict[str, list[np.ndarray]]) -> None:
        self._items.append({name: np.stack(rows) for name, rows in trajectory.items()})

    def flush(self, block_until_num_items: int, timeout_ms: int) -> None:
        """Nothing ever waits."""


@dataclasses.dataclass(frozen=True)
class Line:
    """Points that start and are bound for somewhere in [-1, 1].

    The reward is minus the distance to the goal after the move. ``hidden`` points see where they are in their first
    observation alone, then only their last action, and have the middle as their goal. A point that leaves [-2, 2] has crashed.
    """

    hidden: bool
    decisions: int
    reach: float

    def begin(self, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Places and goals ``<float32>[points]``."""
        if self.hidden:
            return (random.choice([-1.0, 1.0], POINTS) * random.uniform(0.5, 1.0, POINTS)).astype(np.float32), np.zeros(POINTS)
        return random.uniform(-1, 1, POINTS).astype(np.float32), random.uniform(-1, 1, POINTS).astype(np.float32)

    def observe(self, places: np.ndarray, goals: np.ndarray, decision: int, last_actions: np.ndarray) -> np.ndarray:
        """``<float32>[points, 24]``, or 26 with the last action."""
        observations = np.zeros((POINTS, 24), np.float32)
        if not self.hidden:
            observations[:, 0], observations[:, 1] = places, goals
            return observations
        if decision == 0:
            observations[:, 0], observations[:, 1] = places, 1.0
        return np.concatenate([observations, last_actions], axis=1)


def drive(line: Line, policy: NumpyPolicy, random: np.random.Generator, recorder: Recorder | None = None) -> np.ndarray:
    """One episode of all points; returns how far each is from its goal in the end. Without a recorder it is greedy."""
    places, goals = line.begin(random)
    state = policy.initial_state(POINTS)
    alive = np.ones(POINTS, bool)
    actions = np.zeros((POINTS, 2), np.float32)
    for decision in range(line.decisions):
        observations = line.observe(places, goals, decision, actions)
        before = state
        actions, state = policy.act(observations, state)
        if recorder is not None:
            actions = recorder.noisy(actions)
        places = np.where(alive, places + line.reach * actions[:, 0], places).astype(np.float32)
        rewards, crashed = -np.abs(places - goals), np.abs(places) > 2.0
        if recorder is not None:
            last = crashed | (decision == line.decisions - 1)
            following = line.observe(places, goals, decision + 1, actions)
            for point in np.flatnonzero(alive):
                step = (observations[point], actions[point], float(rewards[point] - 5.0 * crashed[point]))
                recorder.record(point, *step, bool(crashed[point]), decision == 0, before[point])
                if last[point]:
                    recorder.writers[point].end_episode(following[point])
        alive &= ~crashed
    return np.abs(places - goals)


class Recorder:
    """One writer and one noise for every point."""

    def __init__(self, replay: MemoryReplay, layout: WindowLayout, noise: float) -> None:
        self.writers = [WindowWriter(replay, layout) for _ in range(POINTS)]
        self._noise = [ExplorationNoise(noise, 0.5, seed) for seed in range(POINTS)]

    def noisy(self, actions: np.ndarray) -> np.ndarray:
        return np.clip(actions + np.stack([noise.sample() for noise in self._noise]), -1.0, 1.0)

    def record(
        self,
        point: int,
        observation: np.ndarray,
        action: np.ndarray,
        reward: float,
        crashed: bool,
        first: bool,
        state: np.ndarray,
    ) -> None:
        if first:
            self.writers[point].begin_episode()
        self.writers[point].add(observation, action, reward, 0.0 if crashed else 1.0, first, state)


def final_distance(line: Line, policy: NumpyPolicy) -> float:
    """Mean over 64 episodes that nobody trained on."""
    random = np.random.default_rng(1000)
    return float(np.mean([drive(line, policy, random) for _ in range(4)]))


@dataclasses.dataclass(frozen=True)
class Effort:
    """So many times an episode of all points with exploration noise, then so many train steps."""

    rounds: int
    steps_per_round: int
    noise: float


def learn(config: Config, line: Line, effort: Effort) -> tuple[float, float]:
    """Final distances of the untrained and of the trained policy."""
    agent = make_agent(config, tf.Variable(0, dtype=tf.int64))
    policy = NumpyPolicy(PolicySpec.from_config(config), flat_actor_weights(config, agent))
    untrained = final_distance(line, policy)
    to_experience, batch_size = experience_map(config, dealt=True), config.agent.batch_size
    replay = MemoryReplay()
    recorder = Recorder(replay, WindowLayout.from_config(config), effort.noise)
    random = np.random.default_rng(config.run.seed)

    @tf.function
    def train(batch: dict[str, tf.Tensor]) -> None:
        experience = to_experience(batch)[0]
        if not config.agent.recurrent:  # each window has several transitions: about one of each
            experience = tf.nest.map_structure(lambda column: column[:batch_size], experience)
        agent.train(experience)

    for _ in range(8):  # so that the first batches are not one episode
        drive(line, policy, random, recorder)
    for _ in range(effort.rounds):
        drive(line, policy, random, recorder)
        for _ in range(effort.steps_per_round):
            train(replay.batch(config.agent.batch_size, random))
        policy.set_weights(flat_actor_weights(config, agent))
    return untrained, final_distance(line, policy)


QUICK = {"actor_learning_rate": 2e-3, "critic_learning_rate": 4e-3, "target_update_tau": 0.02, "horizon_s": 0.5}
"""For minutes of game time instead of hours: a discount of 0.9."""


@pytest.mark.parametrize("algorithm", ["ddpg", "td3"])
def test_a_point_that_sees_its_goal_goes_there(small_config: Callable[..., Config], algorithm: str) -> None:
    layers = {"actor_layers": [32, 32], "critic_layers": [32, 32]}
    config = small_config(algorithm, **QUICK, **layers, batch_size=64, target_policy_noise=0.1)
    line = Line(hidden=False, decisions=16, reach=0.2)
    untrained, trained = learn(config, line, Effort(rounds=40, steps_per_round=20, noise=0.4))
    assert untrained > 0.5
    assert trained < 0.1


@pytest.mark.parametrize("algorithm", ["rdpg", "rtd3"])
def test_a_point_that_must_remember_where_it_is_goes_to_the_middle(small_config: Callable[..., Config], algorithm: str) -> None:
    """Without memory it can do no better than one move at the start, which leaves it 0.5 away."""
    networks = {"actor_layers": [16], "critic_layers": [32], "lstm_units": 16, "burn_in": 4, "sequence_length": 8}
    rates = {"actor_learning_rate": 1e-3, "critic_learning_rate": 1e-2}
    config = small_config(algorithm, action_history=1, **{**QUICK, **networks, **rates}, batch_size=32)
    line = Line(hidden=True, decisions=8, reach=0.25)
    untrained, trained = learn(config, line, Effort(rounds=40, steps_per_round=20, noise=0.7))
    assert untrained > 0.6
    assert trained < 0.2
