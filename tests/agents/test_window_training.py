"""Recurrent agents: masks, burn-in, stored state and gradients. Their numbers are held to a reference in another file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from robotini_ray.agents.factory import flat_actor_weights, make_agent
from robotini_ray.agents.finite import is_numerics_error
from robotini_ray.agents.window_training import WindowTraining
from robotini_ray.agents.windows import Windows, unpack
from robotini_ray.config import Config
from robotini_ray.policy.numpy_policy import NumpyPolicy
from robotini_ray.policy.policy_spec import PolicySpec
from robotini_ray.replay.table import FIRST, LAST, MID, PAD, WindowLayout

Item = dict[str, np.ndarray]

BURN_IN = 2
N_STEP = 2

KINDS = [
    [MID, MID, MID, MID, MID, MID, MID, MID],
    [PAD, PAD, FIRST, MID, MID, MID, MID, MID],
    [PAD, FIRST, MID, MID, MID, MID, LAST, PAD],
    [MID, MID, MID, MID, MID, LAST, PAD, PAD],
    [MID, MID, MID, LAST, PAD, PAD, PAD, PAD],
    [PAD, PAD, FIRST, LAST, PAD, PAD, PAD, PAD],
]
"""Windows of 2 rows burn-in, 4 trained ones and 2 to sum up and bootstrap from."""

CRASHES = [False, False, True, False, True, False]


@pytest.fixture(scope="module", params=["rdpg", "rtd3"])
def config(request: pytest.FixtureRequest, small_config: Callable[..., Config]) -> Config:
    settings = {"burn_in": BURN_IN, "sequence_length": 4, "n_step": N_STEP, "target_policy_noise": 0.0}
    return small_config(request.param, **settings)


@pytest.fixture
def new_agent(config: Config, randomise: Callable[[Any, int], None]) -> Callable[[], WindowTraining]:
    """Makes agents that are all the same, with targets unlike the networks."""

    def make() -> WindowTraining:
        agent = make_agent(config, tf.Variable(0, dtype=tf.int64))
        for seed, network in enumerate(networks(agent)):
            randomise(network.variables, seed)
        return agent

    return make


@pytest.fixture
def agent(new_agent: Callable[[], WindowTraining]) -> WindowTraining:
    return new_agent()


def networks(agent: WindowTraining) -> list[Any]:
    return [agent._actor_network, agent._target_actor_network, *agent.critics(), *agent.target_critics()]


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


def losses(agent: WindowTraining, item: Item, config: Config) -> tuple[float, float]:
    info = agent.loss(windows(item, config)).extra
    return float(info.critic_loss), float(info.actor_loss)


def weights_after_training(agent: WindowTraining, item: Item, config: Config) -> list[np.ndarray]:
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
    new_agent: Callable[[], WindowTraining], item: Item, config: Config, kind: float, columns: slice
) -> None:
    garbage = with_garbage(item, kind, columns)
    assert losses(new_agent(), garbage, config) == losses(new_agent(), item, config)
    clean, dirty = (weights_after_training(new_agent(), batch, config) for batch in (item, garbage))
    for ours, theirs in zip(clean, dirty, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("sequence", "matters"), [(3, True), (5, True), (2, False), (4, False)])
def test_the_last_observation_matters_after_a_time_limit_only(
    agent: WindowTraining, item: Item, config: Config, sequence: int, matters: bool
) -> None:
    rows = item["rows"].copy()
    rows[sequence, KINDS[sequence].index(LAST), :24] += 1.0
    changed = losses(agent, {**item, "rows": rows}, config)
    assert (changed[0] != losses(agent, item, config)[0]) is matters
    assert changed[1] == losses(agent, item, config)[1]


@pytest.mark.parametrize("row", [6, 7])
def test_bootstrap_rows_are_summed_up_and_judged_but_not_trained(
    agent: WindowTraining, item: Item, config: Config, row: int
) -> None:
    """A window without an end: the reward of its row 6 belongs to the return of row 5, that of row 7 to none."""
    before = losses(agent, item, config)
    rewarded, seen = item["rows"].copy(), item["rows"].copy()
    rewarded[0, row, -3] += 1.0
    seen[0, row, :24] += 1.0
    after = losses(agent, {**item, "rows": rewarded}, config)
    assert (after[0] != before[0]) is (row == 6)
    after_seen = losses(agent, {**item, "rows": seen}, config)
    assert after_seen[0] != before[0]
    assert after[1] == after_seen[1] == before[1]


def test_the_state_before_an_episode_does_not_matter_within_it(agent: WindowTraining, item: Item, config: Config) -> None:
    state = item["state"].copy()
    state[[kinds[0] == PAD for kinds in KINDS]] = 3.0
    assert losses(agent, {**item, "state": state}, config) == losses(agent, item, config)
    assert losses(agent, {**item, "state": state + 1.0}, config) != losses(agent, item, config)


def test_a_batch_with_the_same_sequence_twice_has_its_loss(agent: WindowTraining, item: Item, config: Config) -> None:
    alone = {name: column[:1] for name, column in item.items()}
    twice = {name: np.repeat(column[:1], 2, axis=0) for name, column in item.items()}
    np.testing.assert_allclose(losses(agent, twice, config), losses(agent, alone, config), rtol=1e-5)


def test_a_batch_of_masked_rows_alone_trains_nothing(agent: WindowTraining, item: Item, config: Config) -> None:
    item["rows"][..., -1] = PAD
    assert losses(agent, item, config) == (0.0, 0.0)


def test_targets_of_three_sequences_worked_out_by_hand(
    small_config: Callable[..., Config], config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a second of horizon at 20 decisions/s: a discount of 0.9; n is 2. Rows 1 to 5 are worth 10, 20, 30, 40 and 50."""
    config = small_config(config.agent.algorithm, burn_in=1, sequence_length=3, n_step=2, horizon_s=0.5)
    agent = make_agent(config, tf.Variable(0, dtype=tf.int64))
    for critic, above in zip(agent.target_critics(), [0.0, 1.0], strict=False):  # the smaller value counts
        values = tf.tile([[10.0, 20.0, 30.0, 40.0, 50.0]], (3, 1)) + above
        monkeypatch.setattr(critic, "judge", lambda memory, actions, values=values: values)
    layout = WindowLayout.from_config(config)
    rows = np.zeros((3, layout.rows, layout.row_size), np.float32)
    rows[0, :, -3:] = [(9, 1, MID), (1, 1, MID), (2, 1, MID), (3, 1, MID), (4, 1, MID), (9, 1, MID)]  # goes on
    rows[1, :, -3:] = [(9, 1, MID), (1, 1, MID), (2, 1, MID), (3, 1, MID), (0, 0, LAST), (0, 0, PAD)]  # time limit
    rows[2, :, -3:] = [(9, 1, MID), (1, 1, MID), (-4, 0, MID), (0, 0, LAST), (0, 0, PAD), (0, 0, PAD)]  # crash
    batch = windows({"rows": rows, "state": np.zeros((3, 1, layout.state_size), np.float32)}, config)
    targets = agent.window_targets(batch).numpy()
    # 1 + 0.9 * 2 + 0.81 * 30, 2 + 0.9 * 3 + 0.81 * 40, 3 + 0.9 * 4 + 0.81 * 50
    np.testing.assert_allclose(targets[0], [27.1, 37.1, 47.1], rtol=1e-6)
    # the third decision is the episode's last: 3 + 0.9 * 40, from its last observation, row 4
    np.testing.assert_allclose(targets[1], [27.1, 37.1, 39.0], rtol=1e-6)
    # 1 - 0.9 * 4 and nothing after it, -4 and nothing after it; the third row is masked
    np.testing.assert_allclose(targets[2, :2], [-2.6, -4.0], rtol=1e-6)
    assert agent.trained(batch).decided.numpy().tolist() == [[1, 1, 1], [1, 1, 1], [1, 1, 0]]


def test_td3_alone_puts_noise_on_the_target_actions(
    small_config: Callable[..., Config], config: Config, item: Item, randomise: Callable[[Any, int], None]
) -> None:
    noise = {"target_policy_noise": 0.5, "target_policy_noise_clip": 0.1}
    noisy = small_config(config.agent.algorithm, burn_in=BURN_IN, sequence_length=4, n_step=N_STEP, **noise)
    agent = make_agent(noisy, tf.Variable(0, dtype=tf.int64))
    for seed, network in enumerate(networks(agent)):
        randomise(network.variables, seed)
    actions = tf.constant(np.random.default_rng(0).choice([-1.0, -0.3, 0.95], (6, 4, 2)), tf.float32)
    added = agent.target_actions(actions).numpy() - actions.numpy()
    targets = [agent.window_targets(windows(item, noisy)).numpy() for _ in range(2)]
    if config.agent.algorithm == "rtd3":
        assert 0.05 < np.abs(added).max() <= 0.1 + 1e-6
        assert np.abs(actions + added).max() <= 1.0
        assert (targets[0] != targets[1]).any()
    else:
        assert not added.any()
        assert (targets[0] == targets[1]).all()


def test_no_gradient_flows_into_the_burn_in(agent: WindowTraining, item: Item, config: Config) -> None:
    batch = windows(item, config)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([batch.observation, batch.action, batch.state])
        memories = agent.memories(batch, agent.warm_critic_states(batch))
        critic_loss = agent.window_critic_loss(batch, memories, tf.stop_gradient(agent.window_targets(batch)))
        actor_loss = agent.window_actor_loss(batch, agent.warm_actor_state(batch), memories[0])
    for loss in (critic_loss, actor_loss):
        slope = tape.gradient(loss, batch.observation).numpy()
        assert not slope[:, :BURN_IN].any()
        assert slope[0, BURN_IN].any()
        assert tape.gradient(loss, batch.state) is None


@pytest.mark.parametrize("row", range(BURN_IN))
def test_the_burn_in_warms_both_states(agent: WindowTraining, item: Item, config: Config, row: int) -> None:
    rows = item["rows"].copy()
    rows[0, row, :24] += 1.0
    batch, changed = windows(item, config), windows({**item, "rows": rows}, config)
    assert np.any(agent.warm_actor_state(batch)[0] != agent.warm_actor_state(changed)[0])
    for ours, theirs in zip(agent.warm_critic_states(batch), agent.warm_critic_states(changed), strict=True):
        assert np.any(ours[0] != theirs[0])


def test_the_stored_state_reproduces_what_was_done(agent: WindowTraining, config: Config) -> None:
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


def test_the_actor_is_updated_every_so_many_steps_by_td3_alone(
    new_agent: Callable[[], WindowTraining], item: Item, config: Config
) -> None:
    agent = new_agent()
    batch = windows(item, config)
    train = tf.function(lambda: agent.train(batch).extra.actor_loss)
    moved, told = [], []
    for _ in range(4):
        before = [variable.numpy() for variable in agent._actor_network.variables]
        told.append(float(train()))
        after = agent._actor_network.variables
        moved.append(any(not np.array_equal(old, new) for old, new in zip(before, after, strict=True)))
    assert int(agent.train_step_counter) == 4
    if config.agent.algorithm == "rtd3":
        assert moved == [True, False, True, False]
        assert told[0] == told[1] != told[2] == told[3], "the loss of the last update"
    else:
        assert moved == [True] * 4
        assert len(set(told)) == 4


def test_weighted_losses_are_refused(agent: WindowTraining, item: Item, config: Config) -> None:
    for call in (agent.train, agent.loss):
        with pytest.raises(ValueError, match="weights"):
            call(windows(item, config), weights=tf.ones(len(KINDS)))


@pytest.mark.parametrize("column", ["reward", "observation"])
def test_a_number_that_is_not_finite_fails_the_train_step_before_a_weight_changes(
    agent: WindowTraining, item: Item, config: Config, column: str
) -> None:
    before = [variable.numpy() for network in networks(agent) for variable in network.variables]
    place = -3 if column == "reward" else 0
    item["rows"][0, BURN_IN + 1, place] = np.nan
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        agent.train(windows(item, config))
    assert is_numerics_error(caught.value)
    after = [variable.numpy() for network in networks(agent) for variable in network.variables]
    assert all(np.array_equal(old, new) for old, new in zip(before, after, strict=True))


def test_gradients_that_are_not_finite_fail_the_train_step_though_the_loss_is(
    agent: WindowTraining, item: Item, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    @tf.custom_gradient
    def steep(values: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        return values, lambda gradient: gradient * np.inf

    loss = type(agent).window_critic_loss
    monkeypatch.setattr(type(agent), "window_critic_loss", lambda self, *arguments: steep(loss(self, *arguments)))
    with pytest.raises(tf.errors.InvalidArgumentError, match="Critic gradients are inf or nan"):
        agent.train(windows(item, config))
