"""Agents from configs: the same network in NumPy, seeds, and checkpoints that fit the next process."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.train import learner as tf_agents_learner

from robotini_ray.agents import factory
from robotini_ray.agents.factory import experience_map, flat_actor_weights, make_agent
from robotini_ray.config import PRIVILEGED_SIZE, Config
from robotini_ray.policy.numpy_policy import NumpyPolicy
from robotini_ray.policy.policy_spec import PolicySpec
from robotini_ray.replay.table import MID, WindowLayout

ALGORITHMS = ["ddpg", "td3", "rdpg", "rtd3"]


def new_agent(config: Config) -> tf_agent.TFAgent:
    return make_agent(config, tf.Variable(0, dtype=tf.int64, name="train_step"))


def critics(agent: tf_agent.TFAgent) -> list[Any]:
    names = ("_critic_network", "_critic_network_1", "_critic_network_2")
    return [getattr(agent, name) for name in names if hasattr(agent, name)]


def target_critics(agent: tf_agent.TFAgent) -> list[Any]:
    names = ("_target_critic_network", "_target_critic_network_1", "_target_critic_network_2")
    return [getattr(agent, name) for name in names if hasattr(agent, name)]


def test_numpy_policy_is_the_feed_forward_actor(
    small_config: Callable[..., Config], randomise: Callable[[Any, int], None]
) -> None:
    config = small_config("td3", actor_layers=[32, 16])
    agent = new_agent(config)
    randomise(agent._actor_network.variables, 1)
    policy = NumpyPolicy(PolicySpec.from_config(config), flat_actor_weights(config, agent))
    observations = np.random.default_rng(0).normal(size=(1000, 24)).astype(np.float32)
    expected, _ = agent._actor_network(tf.constant(observations), step_type=tf.ones(1000, tf.int32))
    actions, _ = policy.act(observations, policy.initial_state(1000))
    assert np.abs(actions - expected.numpy()).max() <= 1e-5
    assert actions.std(axis=0).min() > 0.1, "not the near-zero actions of a new network"


def test_numpy_policy_is_the_recurrent_actor(
    small_config: Callable[..., Config], randomise: Callable[[Any, int], None]
) -> None:
    config = small_config("rdpg", actor_layers=[32], lstm_units=16)
    agent = new_agent(config)
    randomise(agent._actor_network.variables, 1)
    policy = NumpyPolicy(PolicySpec.from_config(config), flat_actor_weights(config, agent))
    cars, steps = 3, 1000
    observations = np.random.default_rng(0).normal(size=(cars, steps, 24)).astype(np.float32)
    kinds = np.ones((cars, steps), np.int32)
    kinds[:, 0] = 0
    zeros = [tf.zeros((cars, 16)), tf.zeros((cars, 16))]
    expected, final = agent._actor_network(tf.constant(observations), step_type=tf.constant(kinds), network_state=zeros)
    state = policy.initial_state(cars)
    for step in range(steps):
        actions, state = policy.act(observations[:, step], state)
        assert np.abs(actions - expected[:, step].numpy()).max() <= 1e-5
    assert np.abs(state - np.concatenate(final, axis=1)).max() <= 1e-5
    assert expected.numpy().std(axis=(0, 1)).min() > 0.1


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_flat_weights_are_in_the_order_of_the_spec(small_config: Callable[..., Config], algorithm: str) -> None:
    config = small_config(algorithm)
    agent = new_agent(config)
    names = list(PolicySpec.from_config(config).weight_shapes())
    for variable in agent._actor_network.variables:
        layer = variable.name.removesuffix(":0").split("/", 1)[1]
        layer = layer.replace("input_mlp/dense", "dense_")
        variable.assign(tf.fill(variable.shape, float(names.index(layer))))
    policy = NumpyPolicy(PolicySpec.from_config(config), flat_actor_weights(config, agent))
    assert [set(np.unique(value)) for value in policy.weights.values()] == [{float(place)} for place in range(len(names))]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_second_agent_in_one_process_has_flat_weights_too(small_config: Callable[..., Config], algorithm: str) -> None:
    """Keras counts layers of the same kind up through the whole process."""
    config = small_config(algorithm)
    first, second = (flat_actor_weights(config, new_agent(config)) for _ in range(2))
    assert first.shape == second.shape


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_privileged_reaches_the_critic_and_not_the_policy(
    small_config: Callable[..., Config], randomise: Callable[[Any, int], None], algorithm: str
) -> None:
    config = small_config(algorithm, privileged_critic=True, target_policy_noise=0.0)
    agents = [new_agent(config) for _ in range(2)]
    for agent in agents:
        for seed, network in enumerate(all_networks(agent)):
            randomise(network.variables, seed)
    layout = WindowLayout.from_config(config)
    assert layout.observation_size == 24 + PRIVILEGED_SIZE
    random = np.random.default_rng(0)
    item = {"rows": random.normal(size=(8, layout.rows, layout.row_size)).astype(np.float32)}
    item["rows"][..., -2:] = 1.0, MID
    if layout.state_size:
        item["state"] = random.normal(size=(8, 1, layout.state_size)).astype(np.float32)
    told = {**item, "rows": item["rows"].copy()}
    told["rows"][..., 24 : 24 + PRIVILEGED_SIZE] += 1.0
    batches = [{name: tf.constant(column) for name, column in each.items()} for each in (item, told)]
    to_experience = experience_map(config)
    losses, others = (agent.train(to_experience(batch)[0]).extra for agent, batch in zip(agents, batches, strict=True))
    assert float(losses.critic_loss) != float(others.critic_loss)
    assert float(losses.actor_loss) != float(others.actor_loss), "the critic values the actor's actions otherwise"
    plain = small_config(algorithm)
    assert flat_actor_weights(config, agents[0]).shape == flat_actor_weights(plain, new_agent(plain)).shape
    assert PolicySpec.from_config(config) == PolicySpec.from_config(plain)


def all_networks(agent: tf_agent.TFAgent) -> list[Any]:
    return [agent._actor_network, agent._target_actor_network, *critics(agent), *target_critics(agent)]


def values(agent: tf_agent.TFAgent) -> list[np.ndarray]:
    return [variable.numpy() for network in all_networks(agent) for variable in network.variables]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_seed_decides_every_weight(small_config: Callable[..., Config], algorithm: str) -> None:
    config = small_config(algorithm)
    other = dataclasses.replace(config, run=dataclasses.replace(config.run, seed=1))
    first, again, different = (values(new_agent(each)) for each in (config, config, other))
    for ours, theirs in zip(first, again, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(first, different, strict=True):
        if ours.ndim == 2:
            assert (ours != theirs).any()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_targets_begin_as_copies_and_twin_critics_differ(small_config: Callable[..., Config], algorithm: str) -> None:
    agent = new_agent(small_config(algorithm))
    online = [agent._actor_network, *critics(agent)]
    targets = [agent._target_actor_network, *target_critics(agent)]
    for network, target in zip(online, targets, strict=True):
        for ours, theirs in zip(network.variables, target.variables, strict=True):
            assert ours is not theirs
            np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    twins = algorithm in ("td3", "rtd3")
    assert len(critics(agent)) == (2 if twins else 1)
    if twins:
        for ours, theirs in zip(*(critic.trainable_variables for critic in critics(agent)), strict=True):
            assert ours.shape.rank == 1 or (ours.numpy() != theirs.numpy()).any()


def moments(agent: tf_agent.TFAgent) -> dict[str, np.ndarray]:
    """Adam's moments of every trained variable, by the variable's place."""
    found = {}
    for optimizer, trained in ((agent._critic_optimizer, critics(agent)), (agent._actor_optimizer, [agent._actor_network])):
        for place, network in enumerate(trained):
            for number, variable in enumerate(network.trainable_variables):
                for slot in ("m", "v"):
                    found[f"{network.name} {place} {number} {slot}"] = optimizer.get_slot(variable, slot).numpy()
    return found


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_moments_find_their_variables_whatever_the_order_they_were_made_in(
    small_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, algorithm: str
) -> None:
    """TF-Agents' TD3 hands its variables over as a set, whose order no two processes share."""

    def backwards(agent: tf_agent.TFAgent) -> None:
        variables = [variable for critic in critics(agent) for variable in critic.trainable_variables]
        agent._critic_optimizer._create_all_weights(variables[::-1])
        agent._actor_optimizer._create_all_weights(agent._actor_network.trainable_variables[::-1])

    config = small_config(algorithm)
    old = new_agent(config)
    for number, optimizer in enumerate((old._critic_optimizer, old._actor_optimizer)):
        for place, variable in enumerate(optimizer.weights[1:]):  # the first one counts steps
            variable.assign(tf.fill(variable.shape, 100.0 * number + place))
    written = tf.train.Checkpoint(agent=old).write(str(tmp_path / "learner"))
    monkeypatch.setattr(factory, "_make_slots", backwards)
    fresh = new_agent(config)
    assert all(not value.any() for value in moments(fresh).values())
    tf.train.Checkpoint(agent=fresh).read(written).assert_existing_objects_matched()
    assert_same(moments(fresh), moments(old))


@dataclasses.dataclass
class Training:
    """A learner as ``robotini_ray.parts.learner`` builds it, with a batch of its own instead of a Reverb table."""

    agent: tf_agent.TFAgent
    train_step: tf.Variable
    batch: Any
    saved: tf.train.Checkpoint

    def run(self, steps: int) -> None:
        """Train steps without the learner's own loop, whose graph takes long to build."""
        for _ in range(steps):
            self.agent.train(self.batch)

    def everything(self) -> dict[str, np.ndarray]:
        """Every variable that a checkpoint of the agent can reach, by its path in it."""
        agent = self.agent
        found = {f"network {place}": value for place, value in enumerate(values(agent))}
        for name in ("_actor_optimizer", "_critic_optimizer"):
            for place, variable in enumerate(getattr(agent, name).weights):
                found[f"{name} {place}"] = variable.numpy()
        found["target update counter"] = agent._update_target._counter.numpy()
        found["train step"] = self.train_step.numpy()
        return found


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., Training]:
    count = iter(range(100))

    def build(config: Config, seed: int = 0) -> Training:
        config = dataclasses.replace(config, run=dataclasses.replace(config.run, seed=seed))
        layout = WindowLayout.from_config(config)
        random = np.random.default_rng(0)
        batch = {"rows": random.normal(size=(8, layout.rows, layout.row_size)).astype(np.float32)}
        batch["rows"][..., -2:] = 1.0, MID
        if layout.state_size:
            batch["state"] = random.normal(size=(8, 1, layout.state_size)).astype(np.float32)
        data = tf.data.Dataset.from_tensors(batch).repeat().map(experience_map(config))
        train_step = tf.Variable(0, dtype=tf.int64, name="train_step")
        agent = make_agent(config, train_step)
        root = str(tmp_path / str(next(count)))
        tf_agents_learner.Learner(root, train_step, agent, lambda: data, checkpoint_interval=-1, summary_interval=0)
        saved = tf.train.Checkpoint(agent=agent, train_step=train_step)
        return Training(agent, train_step, next(iter(data))[0], saved)

    return build


def assert_same(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        np.testing.assert_array_equal(value, theirs[name], err_msg=name)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_checkpoint_goes_on_in_a_fresh_agent(
    small_config: Callable[..., Config], train: Callable[..., Training], tmp_path: Path, algorithm: str
) -> None:
    config = small_config(algorithm, target_policy_noise=0.0, target_update_period=2)
    old = train(config)
    old.run(5)
    written = old.saved.write(str(tmp_path / "learner"))
    at_checkpoint = old.everything()
    fresh = train(config, seed=1)
    untouched = fresh.everything()
    fresh.saved.read(written).assert_existing_objects_matched()
    assert_same(fresh.everything(), at_checkpoint)
    assert int(fresh.train_step) == int(fresh.agent.train_step_counter) == 5
    assert any((untouched[name] != at_checkpoint[name]).any() for name in untouched if "optimizer" in name)
    old.run(4)
    fresh.run(4)
    for name, value in old.everything().items():
        np.testing.assert_allclose(fresh.everything()[name], value, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    ("algorithm", "settings", "other", "other_settings"),
    [
        pytest.param("td3", {}, "td3", {"actor_layers": [9, 6]}, id="another width"),
        pytest.param("td3", {}, "td3", {"actor_layers": [8]}, id="a layer less"),
        pytest.param("td3", {}, "td3", {"critic_layers": [7, 8, 8]}, id="a layer more"),
        pytest.param("ddpg", {}, "td3", {}, id="another algorithm"),
        pytest.param("rdpg", {}, "ddpg", {}, id="no recurrence"),
        pytest.param("rdpg", {}, "rtd3", {}, id="another recurrent algorithm"),
        pytest.param("rtd3", {}, "rtd3", {"privileged_critic": True}, id="a critic that sees more"),
    ],
)
def test_a_checkpoint_of_another_network_fails_loudly(
    small_config: Callable[..., Config],
    tmp_path: Path,
    algorithm: str,
    settings: dict[str, Any],
    other: str,
    other_settings: dict[str, Any],
) -> None:
    written = tf.train.Checkpoint(agent=new_agent(small_config(algorithm, **settings))).write(str(tmp_path / "learner"))
    fresh = tf.train.Checkpoint(agent=new_agent(small_config(other, **other_settings)))
    with pytest.raises((AssertionError, ValueError)):
        fresh.read(written).assert_existing_objects_matched()


@pytest.mark.parametrize("missing", ["_actor_optimizer", "_target_actor_network", "_target_critic_network_2", "_update_target"])
def test_a_checkpoint_without_a_part_fails_loudly(small_config: Callable[..., Config], tmp_path: Path, missing: str) -> None:
    agent = new_agent(small_config("td3"))
    parts = {name: getattr(agent, name) for name in agent._trackable_children() if name.startswith("_")}
    kept = tf.train.Checkpoint()
    kept.agent = tf.Module()
    for name, part in parts.items():
        if name != missing:
            setattr(kept.agent, name, part)
    assert missing in parts
    written = kept.write(str(tmp_path / "learner"))
    fresh = tf.train.Checkpoint(agent=new_agent(small_config("td3")))
    with pytest.raises(AssertionError):
        fresh.read(written).assert_existing_objects_matched()
