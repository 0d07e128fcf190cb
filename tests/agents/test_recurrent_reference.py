"""Recurrent DDPG and TD3 against a reference that takes one sequence, and of it one row, after the other."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from robotini_ray.agents.factory import make_agent
from robotini_ray.agents.window_training import WindowTraining
from robotini_ray.agents.windows import unpack
from robotini_ray.config import Config
from robotini_ray.replay.table import FIRST, LAST, MID, PAD, WindowLayout

Net = dict[str, tf.Variable]
"""Variables by the last two parts of their names: ``lstm/kernel``, ``dense0/bias``, ``value/kernel``."""

Window = np.ndarray
"""Rows of one sequence: 24 observed numbers, 10 privileged ones, action, reward, discount, kind."""

OBSERVED, PRIVILEGED, ACTION = slice(0, 24), slice(24, 34), slice(34, 36)

BURN_IN, TRAINED, N_STEP = 2, 5, 3

KINDS = [
    [MID] * 10,
    [PAD, PAD, FIRST, *[MID] * 7],
    [PAD, FIRST, *[MID] * 5, LAST, PAD, PAD],
    [*[MID] * 8, LAST, PAD],
    [MID, MID, MID, LAST, *[PAD] * 6],
]
CRASHES = [False, False, True, False, True]


def lstm(net: Net, x: tf.Tensor, state: tuple[tf.Tensor, tf.Tensor], first: bool) -> tuple[tf.Tensor, tf.Tensor]:
    """Hidden and cell after one row (Gers et al. 2000: LSTM with a forget gate)."""
    hidden, cell = [tf.zeros_like(part) for part in state] if first else state
    gates = x @ net["lstm/kernel"] + hidden @ net["lstm/recurrent_kernel"] + net["lstm/bias"]
    units = cell.shape[1]
    keep_in, forget, candidate, keep_out = (gates[:, k * units : (k + 1) * units] for k in range(4))
    cell = tf.sigmoid(forget) * cell + tf.sigmoid(keep_in) * tf.tanh(candidate)
    return tf.sigmoid(keep_out) * tf.tanh(cell), cell


def dense(net: Net, x: tf.Tensor) -> tf.Tensor:
    for k in range(2):
        x = tf.nn.relu(x @ net[f"dense{k}/kernel"] + net[f"dense{k}/bias"])
    return x


def preactivations(net: Net, window: Window, stored: np.ndarray, cut: bool) -> list[tf.Tensor]:
    """The sums whose tanh is the actor's action in each row; ``cut`` cuts the gradient off behind the burn-in."""
    state = (tf.constant(stored[:, :5]), tf.constant(stored[:, 5:]))
    sums = []
    for t, row in enumerate(window):
        if cut and t == BURN_IN:
            state = tuple(tf.stop_gradient(part) for part in state)
        state = lstm(net, dense(net, row[np.newaxis, OBSERVED]), state, row[-1] == FIRST)
        sums.append(state[0] @ net["action/kernel"] + net["action/bias"])
    return sums


def memories(net: Net, window: Window, cut: bool) -> list[tf.Tensor]:
    """What the critic's LSTM puts out in each row."""
    state = (tf.zeros((1, 5)), tf.zeros((1, 5)))
    hiddens = []
    for t, row in enumerate(window):
        if cut and t == BURN_IN:
            state = tuple(tf.stop_gradient(part) for part in state)
        state = lstm(net, row[np.newaxis, OBSERVED], state, row[-1] == FIRST)
        hiddens.append(state[0])
    return hiddens


def value(net: Net, memory: tf.Tensor, row: np.ndarray, action: tf.Tensor) -> tf.Tensor:
    joint = tf.concat([memory, row[np.newaxis, PRIVILEGED], action], axis=1)
    return (dense(net, joint) @ net["value/kernel"] + net["value/bias"])[0, 0]


def decided(row: np.ndarray) -> bool:
    return row[-1] in (FIRST, MID)


@dataclasses.dataclass
class Reference:
    """Copies of an agent's networks, and its losses and train step on plain variables."""

    actor: Net
    critics: list[Net]
    target_actor: Net
    target_critics: list[Net]
    config: Config

    def targets(self, window: Window, stored: np.ndarray) -> dict[int, float]:
        """By trained row in which something was decided."""
        actions = [tf.tanh(sums) for sums in preactivations(self.target_actor, window, stored, cut=False)]
        remembered = [memories(critic, window, cut=False) for critic in self.target_critics]
        found = {}
        for t in filter(lambda t: decided(window[t]), range(BURN_IN, BURN_IN + TRAINED)):
            total, factor, at = 0.0, 1.0, t
            while at < t + N_STEP and decided(window[at]):
                total += factor * window[at, -3]
                factor *= self.config.discount * window[at, -2]
                at += 1
            pairs = zip(self.target_critics, remembered, strict=True)
            found[t] = total + factor * min(float(value(net, memory[at], window[at], actions[at])) for net, memory in pairs)
        return found

    def losses(self, rows: np.ndarray, states: np.ndarray) -> tuple[tf.Tensor, tf.Tensor]:
        """Critic loss and actor loss."""
        errors, judged, penalties = [], [], []
        for window, stored in zip(rows, states, strict=True):
            sums = preactivations(self.actor, window, stored, cut=True)
            remembered = [memories(critic, window, cut=True) for critic in self.critics]
            for t, target in self.targets(window, stored).items():
                row = window[t]
                values = [
                    value(net, memory[t], row, row[np.newaxis, ACTION])
                    for net, memory in zip(self.critics, remembered, strict=True)
                ]
                sizes = [tf.abs(target - each) for each in values]
                errors.append(tf.add_n([tf.where(size <= 1, 0.5 * size**2, size - 0.5) for size in sizes]))
                judged.append(value(self.critics[0], tf.stop_gradient(remembered[0][t]), row, tf.tanh(sums[t])))
                penalties.append(self.config.agent.preactivation_penalty * tf.reduce_mean(sums[t] ** 2))
        return tf.reduce_mean(errors), tf.reduce_mean(penalties) - tf.reduce_mean(judged)

    def train(self, rows: np.ndarray, states: np.ndarray, adam: Callable[..., None]) -> None:
        """Both losses see the networks as they were."""
        settings = self.config.agent
        with tf.GradientTape(persistent=True) as tape:
            critic_loss, actor_loss = self.losses(rows, states)
        steps = [(critic_loss, critic, settings.critic_learning_rate) for critic in self.critics]
        steps.append((actor_loss, self.actor, settings.actor_learning_rate))
        gradients = [tape.gradient(loss, list(net.values())) for loss, net, _ in steps]
        for (_, net, rate), gradient in zip(steps, gradients, strict=True):
            adam(net.values(), gradient, rate, settings.gradient_clipping)
        pairs = [(self.actor, self.target_actor), *zip(self.critics, self.target_critics, strict=True)]
        for net, target in pairs:
            for name, slow in target.items():
                slow.assign((1 - settings.target_update_tau) * slow + settings.target_update_tau * net[name])


def copied(network: Any) -> Net:
    return {"/".join(variable.name[:-2].split("/")[-2:]): tf.Variable(variable) for variable in network.variables}


@pytest.fixture(scope="module")
def item() -> dict[str, np.ndarray]:
    random = np.random.default_rng(8)
    rows = random.normal(size=(len(KINDS), BURN_IN + TRAINED + N_STEP, 39)).astype(np.float32)
    rows[..., -2], rows[..., -1] = 1.0, KINDS
    for window, crash in zip(rows, CRASHES, strict=True):
        if crash:
            window[list(window[:, -1]).index(LAST) - 1, -2] = 0.0
    return {"rows": rows, "state": random.normal(size=(len(KINDS), 1, 10)).astype(np.float32)}


@pytest.fixture(params=["rdpg", "rtd3"])
def pair(
    request: pytest.FixtureRequest, small_config: Callable[..., Config], randomise: Callable[[Any, int], None]
) -> tuple[WindowTraining, Reference]:
    """An agent with random weights and targets unlike the networks, and its reference."""
    config = small_config(
        request.param,
        burn_in=BURN_IN,
        sequence_length=TRAINED,
        n_step=N_STEP,
        privileged_critic=True,
        target_policy_noise=0.0,
        target_update_tau=0.1,
        gradient_clipping=0.05,
        preactivation_penalty=0.3,
        critic_learning_rate=0.2,  # so that it shows which critic the actor is judged by
        actor_learning_rate=0.05,
    )
    agent = make_agent(config, tf.Variable(0, dtype=tf.int64))
    networks = [agent._actor_network, agent._target_actor_network, *agent.critics(), *agent.target_critics()]
    for seed, network in enumerate(networks):
        randomise(network.variables, seed)
    critics, targets = ([copied(critic) for critic in group] for group in (agent.critics(), agent.target_critics()))
    return agent, Reference(copied(agent._actor_network), critics, copied(agent._target_actor_network), targets, config)


def windows(item: dict[str, np.ndarray], reference: Reference) -> Any:
    layout = WindowLayout.from_config(reference.config)
    return unpack({name: tf.constant(column) for name, column in item.items()}, layout)


def test_losses_are_the_references(pair: tuple[WindowTraining, Reference], item: dict[str, np.ndarray]) -> None:
    agent, reference = pair
    found = agent.loss(windows(item, reference)).extra
    critic_loss, actor_loss = reference.losses(item["rows"], item["state"])
    assert float(found.critic_loss) == pytest.approx(float(critic_loss), rel=1e-4)
    assert float(found.actor_loss) == pytest.approx(float(actor_loss), rel=1e-4)


def test_targets_are_the_references(pair: tuple[WindowTraining, Reference], item: dict[str, np.ndarray]) -> None:
    agent, reference = pair
    found = agent.window_targets(windows(item, reference)).numpy()
    expected = [reference.targets(*each) for each in zip(item["rows"], item["state"], strict=True)]
    assert [len(each) for each in expected] == [5, 5, 5, 5, 1]
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose([ours[t - BURN_IN] for t in theirs], list(theirs.values()), rtol=1e-4, atol=1e-5)


def test_weights_after_a_train_step_are_the_references(
    pair: tuple[WindowTraining, Reference],
    item: dict[str, np.ndarray],
    first_adam_step: Callable[..., None],
    enlarge_epsilons: Callable[[Any], None],
) -> None:
    agent, reference = pair
    enlarge_epsilons(agent)
    before = [variable.numpy() for variable in agent._actor_network.variables]
    agent.train(windows(item, reference))
    reference.train(item["rows"], item["state"], first_adam_step)
    assert all((old != new.numpy()).any() for old, new in zip(before, agent._actor_network.variables, strict=True))
    pairs = [
        (agent._actor_network, reference.actor),
        (agent._target_actor_network, reference.target_actor),
        *zip(agent.critics(), reference.critics, strict=True),
        *zip(agent.target_critics(), reference.target_critics, strict=True),
    ]
    for network, net in pairs:
        for name, ours in copied(network).items():
            np.testing.assert_allclose(ours.numpy(), net[name].numpy(), atol=1e-5, err_msg=f"{network.name} {name}")
