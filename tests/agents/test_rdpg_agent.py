"""Recurrent DDPG: masks, burn-in, stored state and targets, against loops that take one row at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from robotini_ray.acting import NumpyPolicy, PolicySpec
from robotini_ray.agents.factory import flat_actor_weights, make_agent
from robotini_ray.agents.rdpg_agent import RdpgAgent
from robotini_ray.agents.windows import Windows, unpack
from robotini_ray.config import Config
from robotini_ray.replay import FIRST, LAST, MID, PAD, WindowLayout

Item = dict[str, np.ndarray]

BURN_IN = 2

KINDS = [
    [MID, MID, MID, MID, MID, MID, MID],
    [PAD, PAD, FIRST, MID, MID, MID, MID],
    [PAD, FIRST, MID, MID, MID, MID, LAST],
    [MID, MID, MID, MID, MID, LAST, PAD],
    [MID, MID, MID, LAST, PAD, PAD, PAD],
    [PAD, PAD, FIRST, LAST, PAD, PAD, PAD],
]
"""Windows of 2 rows burn-in, 4 trained ones and one to bootstrap from."""

CRASHES = [False, False, True, False, True, False]


@pytest.fixture(scope="module")
def config(small_config: Callable[..., Config]) -> Config:
    return small_config("rdpg", burn_in=BURN_IN, sequence_length=4)


@pytest.fixture
def new_agent(config: Config, randomise: Callable[[Any, int], None]) -> Callable[[], RdpgAgent]:
    """Makes agents that are all the same, with targets unlike the networks."""

    def make() -> RdpgAgent:
        agent = make_agent(config, tf.Variable(0, dtype=tf.int64))
        assert isinstance(agent, RdpgAgent)
        for seed, network in enumerate(networks(agent)):
            randomise(network.variables, seed)
        return agent

    return make


@pytest.fixture
def agent(new_agent: Callable[[], RdpgAgent]) -> RdpgAgent:
    return new_agent()


def networks(agent: RdpgAgent) -> list[Any]:
    return [agent._actor_network, agent._critic_network, agent._target_actor_network, agent._target_critic_network]


@pytest.fixture
def item(config: Config) -> Item:
    """A batch of one window of each kind, as replay holds them."""
    layout = WindowLayout.from_config(config)
    random = np.random.default_rng(5)
    rows = random.normal(size=(len(KINDS), layout.rows, layout.row_size)).astype(np.float32)
    rows[..., layout.observation_size : layout.observation_size + 2] = random.uniform(-1, 1, (len(KINDS), layout.rows, 2))
    rows[..., -2] = 1.0
    rows[..., -1] = KINDS
    for window, kinds, crash in zip(rows, KINDS, CRASHES, strict=True):
        for t, kind in enumerate(kinds):
            if kind == PAD:
                window[t, :-1] = 0.0
            if kind == LAST:
                window[t, layout.observation_size : -1] = 0.0
                window[t - 1, -2] = 0.0 if crash else 1.0
    state = random.normal(size=(len(KINDS), 1, layout.state_size)).astype(np.float32)
    state[[kinds[0] == PAD for kinds in KINDS]] = 0.0
    return {"rows": rows, "state": state}


def windows(item: Item, config: Config) -> Windows:
    return unpack({name: tf.constant(column) for name, column in item.items()}, WindowLayout.from_config(config))


def losses(agent: RdpgAgent, item: Item, config: Config) -> tuple[float, float]:
    info = agent.loss(windows(item, config)).extra
    return float(info.critic_loss), float(info.actor_loss)


def weights_after_training(agent: RdpgAgent, item: Item, config: Config) -> list[np.ndarray]:
    agent.train(windows(item, config))
    return [variable.numpy() for network in networks(agent) for variable in network.variables]


def with_garbage(item: Item, kind: float, columns: slice) -> Item:
    """Other values in the columns of all rows of a kind."""
    rows = item["rows"].copy()
    found = rows[..., -1] == kind
    assert found.any()
    changed = rows[found]
    changed[:, columns] = np.random.default_rng(9).normal(3.0, 2.0, changed[:, columns].shape)
    rows[found] = changed
    return {**item, "rows": rows}


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        pytest.param(PAD, slice(0, -1), id="padding"),
        pytest.param(LAST, slice(24, -1), id="action, reward and discount of an episode's end"),
    ],
)
def test_rows_without_a_decision_change_nothing(
    new_agent: Callable[[], RdpgAgent], item: Item, config: Config, kind: float, columns: slice
) -> None:
    garbage = with_garbage(item, kind, columns)
    assert losses(new_agent(), garbage, config) == losses(new_agent(), item, config)
    clean, dirty = (weights_after_training(new_agent(), batch, config) for batch in (item, garbage))
    for ours, theirs in zip(clean, dirty, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("sequence", "matters"), [(3, True), (2, False), (4, False)])
def test_the_last_observation_matters_after_a_time_limit_only(
    agent: RdpgAgent, item: Item, config: Config, sequence: int, matters: bool
) -> None:
    rows = item["rows"].copy()
    rows[sequence, KINDS[sequence].index(LAST), :24] += 1.0
    changed = losses(agent, {**item, "rows": rows}, config)
    assert (changed[0] != losses(agent, item, config)[0]) is matters
    assert changed[1] == losses(agent, item, config)[1]


def test_the_state_before_an_episode_does_not_matter_within_it(agent: RdpgAgent, item: Item, config: Config) -> None:
    state = item["state"].copy()
    state[[kinds[0] == PAD for kinds in KINDS]] = 3.0
    assert losses(agent, {**item, "state": state}, config) == losses(agent, item, config)
    assert losses(agent, {**item, "state": state + 1.0}, config) != losses(agent, item, config)


def slow_losses(agent: RdpgAgent, item: Item, config: Config) -> tuple[float, float, list[float]]:
    """Critic loss, actor loss and the targets of the valid rows: one sequence, one row after the other."""
    critic_losses, actor_values, targets = [], [], []
    for rows, state in zip(item["rows"], item["state"], strict=True):
        online = slow_values(agent._actor_network, agent._critic_network, rows, state)
        target = slow_values(agent._target_actor_network, agent._target_critic_network, rows, state)
        for t in range(BURN_IN, len(rows) - 1):
            if rows[t, -1] not in (FIRST, MID):
                continue
            reward, discount = rows[t, -3:-1]
            expected = reward + config.discount * discount * target["actor"][t + 1]
            error = abs(expected - online["action"][t])
            critic_losses.append(0.5 * error**2 if error <= 1 else error - 0.5)
            actor_values.append(online["actor"][t])
            targets.append(expected)
    return float(np.mean(critic_losses)), -float(np.mean(actor_values)), targets


def slow_values(actor: Any, critic: Any, rows: np.ndarray, state: np.ndarray) -> dict[str, list[float]]:
    """Values of every row for the ``action`` that was taken and for the ``actor``'s own one.

    Each critic keeps its own state; both hear the actions that were taken during the burn-in.
    """
    hidden, cell = np.split(state, 2, axis=1)
    actor_state: Any = [tf.constant(hidden), tf.constant(cell)]
    states: dict[str, Any] = {name: [tf.zeros((1, 5)), tf.zeros((1, 5))] for name in ("action", "actor")}
    values: dict[str, list[float]] = {"action": [], "actor": []}
    for t, row in enumerate(rows):
        observation, action = tf.constant(row[np.newaxis, :24]), tf.constant(row[np.newaxis, 24:26])
        kind = tf.constant([1 if row[-1] == PAD else int(row[-1])])
        chosen, actor_state = actor(observation, step_type=kind, network_state=actor_state)
        for name, judged in (("action", action), ("actor", action if t < BURN_IN else chosen)):
            value, states[name] = critic((observation, judged), step_type=kind, network_state=states[name])
            values[name].append(float(value[0]))
    return values


def test_losses_are_means_over_the_valid_rows(agent: RdpgAgent, item: Item, config: Config) -> None:
    critic_loss, actor_loss = losses(agent, item, config)
    slow_critic_loss, slow_actor_loss, targets = slow_losses(agent, item, config)
    assert len(targets) == 4 + 4 + 4 + 3 + 1 + 1
    assert critic_loss == pytest.approx(slow_critic_loss, rel=1e-4)
    assert actor_loss == pytest.approx(slow_actor_loss, rel=1e-4)
    found = agent._targets(windows(item, config)).numpy()
    valid = np.isin(item["rows"][:, BURN_IN:-1, -1], (FIRST, MID))
    np.testing.assert_allclose(found[valid], targets, rtol=1e-4, atol=1e-5)


def test_a_batch_with_the_same_sequence_twice_has_its_loss(agent: RdpgAgent, item: Item, config: Config) -> None:
    alone = {name: column[:1] for name, column in item.items()}
    twice = {name: np.repeat(column[:1], 2, axis=0) for name, column in item.items()}
    np.testing.assert_allclose(losses(agent, twice, config), losses(agent, alone, config), rtol=1e-5)


def test_a_batch_of_masked_rows_alone_trains_nothing(agent: RdpgAgent, item: Item, config: Config) -> None:
    item["rows"][..., -1] = PAD
    assert losses(agent, item, config) == (0.0, 0.0)


def test_targets_of_a_sequence_worked_out_by_hand(small_config: Callable[..., Config]) -> None:
    """Half a second of horizon at 20 decisions/s: a discount of 0.9. The target critic says 10, always."""
    config = small_config("rdpg", burn_in=1, sequence_length=4, horizon_s=0.5)
    agent = make_agent(config, tf.Variable(0, dtype=tf.int64))
    kernel, bias = agent._target_critic_network.variables[-2:]
    kernel.assign(tf.zeros_like(kernel))
    bias.assign([10.0])
    layout = WindowLayout.from_config(config)
    rows = np.zeros((2, layout.rows, layout.row_size), np.float32)
    rows[0, :, -3:] = [(9, 1, MID), (1, 1, MID), (2, 1, MID), (3, 1, MID), (0, 0, LAST), (0, 0, PAD)]  # time limit
    rows[1, :, -3:] = [(9, 1, MID), (1, 1, MID), (-4, 0, MID), (0, 0, LAST), (0, 0, PAD), (0, 0, PAD)]  # crash
    batch = windows({"rows": rows, "state": np.zeros((2, 1, layout.state_size), np.float32)}, config)
    targets = agent._targets(batch).numpy()
    np.testing.assert_allclose(targets[0, :3], [10.0, 11.0, 12.0], rtol=1e-6)  # reward + 0.9 * 10
    np.testing.assert_allclose(targets[1, :2], [10.0, -4.0], rtol=1e-6)
    assert agent._trained(batch).decided.numpy().tolist() == [[1, 1, 1, 0], [1, 1, 0, 0]]


def test_no_gradient_flows_into_the_burn_in(agent: RdpgAgent, item: Item, config: Config) -> None:
    batch = windows(item, config)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([batch.observation, batch.action, batch.state])
        actor, critic = agent._warm_states(batch, agent._actor_network, agent._critic_network)
        critic_loss = agent.window_critic_loss(batch, tf.stop_gradient(agent._targets(batch)), critic)
        actor_loss = agent.window_actor_loss(batch, actor, critic)
    for loss in (critic_loss, actor_loss):
        slope = tape.gradient(loss, batch.observation).numpy()
        assert not slope[:, :BURN_IN].any()
        assert slope[0, BURN_IN].any()
        assert tape.gradient(loss, batch.state) is None
    constant_actor, constant_critic = tf.nest.map_structure(lambda state: tf.constant(state.numpy()), (actor, critic))
    with tf.GradientTape(persistent=True) as unwarmed:
        critic_again = agent.window_critic_loss(batch, tf.constant(agent._targets(batch).numpy()), constant_critic)
        actor_again = agent.window_actor_loss(batch, constant_actor, constant_critic)
    for loss, again, network in (
        (critic_loss, critic_again, agent._critic_network),
        (actor_loss, actor_again, agent._actor_network),
    ):
        variables = network.trainable_variables
        for ours, theirs in zip(tape.gradient(loss, variables), unwarmed.gradient(again, variables), strict=True):
            np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-4, atol=1e-6)


def test_the_burn_in_warms_both_states(agent: RdpgAgent, item: Item, config: Config) -> None:
    rows = item["rows"].copy()
    rows[0, 0, :24] += 1.0
    changed = losses(agent, {**item, "rows": rows}, config)
    assert changed[0] != losses(agent, item, config)[0]
    assert changed[1] != losses(agent, item, config)[1]


def test_the_stored_state_reproduces_what_was_done(agent: RdpgAgent, config: Config) -> None:
    """An episode is driven with ``NumpyPolicy``; from any row's state the actor network does the same again."""
    policy = NumpyPolicy(PolicySpec.from_config(config), flat_actor_weights(config, agent))
    observations = np.random.default_rng(2).normal(size=(40, 24)).astype(np.float32)
    state = policy.initial_state(1)
    states, actions = [], []
    for observation in observations:
        states.append(state)
        action, state = policy.act(observation[np.newaxis], state)
        actions.append(action[0])
    for start in (0, 1, 7, 33):
        kinds = np.ones((1, len(observations) - start), np.int32)
        kinds[0, 0] = 0 if start == 0 else 1
        hidden_and_cell = tf.split(tf.constant(states[start]), 2, axis=1)
        again, _ = agent._actor_network(
            tf.constant(observations[np.newaxis, start:]), step_type=tf.constant(kinds), network_state=hidden_and_cell
        )
        np.testing.assert_allclose(again[0], actions[start:], atol=1e-5)


def test_a_train_step_moves_networks_and_targets(new_agent: Callable[[], RdpgAgent], item: Item, config: Config) -> None:
    before = [variable.numpy() for network in networks(new_agent()) for variable in network.variables]
    agent = new_agent()
    after = weights_after_training(agent, item, config)
    assert all((new != old).any() for new, old in zip(after, before, strict=True))
    assert int(agent.train_step_counter) == 1
    count = len(agent._actor_network.variables) + len(agent._critic_network.variables)
    tau = config.agent.target_update_tau
    for new, old, target in zip(after[:count], before[count:], after[count:], strict=True):
        np.testing.assert_allclose(target, (1 - tau) * old + tau * new, atol=1e-6)


def test_weighted_losses_are_refused(agent: RdpgAgent, item: Item, config: Config) -> None:
    with pytest.raises(ValueError, match="weights"):
        agent.train(windows(item, config), weights=tf.ones(len(KINDS)))
