"""TD3 and DDPG against a short reference written from the papers (Lillicrap et al. 2015; Fujimoto et al. 2018)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.trajectories import policy_step, time_step, trajectory

from robotini_ray.agents.factory import make_agent
from robotini_ray.config import Config

BATCH = 32
OBSERVATIONS = 24

Net = list[tf.Variable]
"""Kernel, bias, kernel, bias, ..."""


@dataclasses.dataclass(frozen=True)
class Batch:
    observation: tf.Tensor
    action: tf.Tensor
    reward: tf.Tensor
    discount: tf.Tensor
    next_observation: tf.Tensor

    def transition(self) -> trajectory.Transition:
        ones, mid = tf.ones(BATCH), tf.ones(BATCH, tf.int32)
        return trajectory.Transition(
            time_step.TimeStep(mid, tf.zeros(BATCH), ones, self.observation),
            policy_step.PolicyStep(self.action),
            time_step.TimeStep(mid, self.reward, self.discount, self.next_observation),
        )


def make_batch(seed: int) -> Batch:
    random = np.random.default_rng(seed)

    def normal(*shape: int) -> tf.Tensor:
        return tf.constant(random.normal(size=shape), tf.float32)

    discounts = tf.constant(random.choice([0.0, 0.5, 1.0], BATCH), tf.float32)
    action = tf.constant(random.uniform(-1, 1, (BATCH, 2)), tf.float32)
    return Batch(normal(BATCH, OBSERVATIONS), action, 2 * normal(BATCH), discounts, normal(BATCH, OBSERVATIONS))


def forward(net: Net, x: tf.Tensor) -> tf.Tensor:
    """Dense layers, ReLU between them."""
    for kernel, bias in zip(net[:-2:2], net[1:-2:2], strict=True):
        x = tf.nn.relu(x @ kernel + bias)
    return x @ net[-2] + net[-1]


def act(actor: Net, observation: tf.Tensor) -> tf.Tensor:
    return tf.tanh(forward(actor, observation))


def value(critic: Net, observation: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
    return forward(critic, tf.concat([observation, action], axis=1))[:, 0]


def huber(error: tf.Tensor) -> tf.Tensor:
    size = tf.abs(error)
    return tf.where(size <= 1.0, 0.5 * size**2, size - 0.5)


@dataclasses.dataclass
class Reference:
    """DDPG with one critic, TD3 with two, without target noise; a train step on plain variables."""

    actor: Net
    critics: list[Net]
    target_actor: Net
    target_critics: list[Net]
    config: Config

    def critic_loss(self, batch: Batch) -> tf.Tensor:
        action = act(self.target_actor, batch.next_observation)
        following = tf.reduce_min([value(critic, batch.next_observation, action) for critic in self.target_critics], axis=0)
        target = tf.stop_gradient(batch.reward + self.config.discount * batch.discount * following)
        values = [value(critic, batch.observation, batch.action) for critic in self.critics]
        return tf.add_n([tf.reduce_mean(huber(target - q)) for q in values])

    def actor_loss(self, batch: Batch) -> tf.Tensor:
        sums = forward(self.actor, batch.observation)
        values = value(self.critics[0], batch.observation, tf.tanh(sums))
        return self.config.agent.preactivation_penalty * tf.reduce_mean(sums**2) - tf.reduce_mean(values)

    def train(self, batch: Batch, adam: Callable[..., None]) -> None:
        settings = self.config.agent
        with tf.GradientTape(persistent=True) as tape:
            loss = self.critic_loss(batch)
        for critic in self.critics:
            rate = settings.critic_learning_rate
            adam(critic, tape.gradient(loss, critic), rate, settings.gradient_clipping)
        with tf.GradientTape() as tape:
            loss = self.actor_loss(batch)
        rate = settings.actor_learning_rate
        adam(self.actor, tape.gradient(loss, self.actor), rate, settings.gradient_clipping)
        pairs = [(self.actor, self.target_actor), *zip(self.critics, self.target_critics, strict=True)]
        for net, target in pairs:
            for variable, slow in zip(net, target, strict=True):
                slow.assign((1 - settings.target_update_tau) * slow + settings.target_update_tau * variable)


def networks(agent: tf_agent.TFAgent) -> tuple[list[tf.Module], list[tf.Module]]:
    """The critics and their targets."""
    if hasattr(agent, "_critic_network_2"):
        return (
            [agent._critic_network_1, agent._critic_network_2],
            [agent._target_critic_network_1, agent._target_critic_network_2],
        )
    return [agent._critic_network], [agent._target_critic_network]


def critic_loss(agent: tf_agent.TFAgent, batch: Batch, **named: Any) -> float:
    parts = batch.transition()
    return float(agent.critic_loss(parts.time_step, batch.action, parts.next_time_step, **named))


@pytest.fixture
def make_pair(
    small_config: Callable[..., Config], randomise: Callable[[Any, int], None]
) -> Callable[..., tuple[tf_agent.TFAgent, Reference]]:
    """Makes an agent with random weights, targets unlike the networks, and a reference with copies of them."""

    def make(algorithm: str, **settings: Any) -> tuple[tf_agent.TFAgent, Reference]:
        settings = {"target_policy_noise": 0.0, "target_update_tau": 0.1, "preactivation_penalty": 0.3, **settings}
        config = small_config(algorithm, **settings)
        agent = make_agent(config, tf.Variable(0, dtype=tf.int64))
        critics, targets = networks(agent)
        for seed, network in enumerate([agent._actor_network, agent._target_actor_network, *critics, *targets]):
            randomise(network.variables, seed)

        def copy(network: tf.Module) -> Net:
            return [tf.Variable(variable) for variable in network.variables]

        reference = Reference(
            copy(agent._actor_network),
            [copy(critic) for critic in critics],
            copy(agent._target_actor_network),
            [copy(target) for target in targets],
            config,
        )
        return agent, reference

    return make


@pytest.mark.parametrize("algorithm", ["ddpg", "td3"])
def test_losses_are_the_references(make_pair: Callable[..., Any], algorithm: str) -> None:
    agent, reference = make_pair(algorithm)
    for seed in range(3):
        batch = make_batch(seed)
        actor_loss = float(agent.actor_loss(batch.transition().time_step))
        assert critic_loss(agent, batch) == pytest.approx(float(reference.critic_loss(batch)), rel=1e-5)
        assert actor_loss == pytest.approx(float(reference.actor_loss(batch)), rel=1e-5)


@pytest.mark.parametrize("algorithm", ["ddpg", "td3"])
@pytest.mark.parametrize("clipping", [0.0, 0.05])
def test_weights_after_a_train_step_are_the_references(
    make_pair: Callable[..., Any],
    first_adam_step: Callable[..., None],
    enlarge_epsilons: Callable[[Any], None],
    algorithm: str,
    clipping: float,
) -> None:
    agent, reference = make_pair(algorithm, gradient_clipping=clipping)
    enlarge_epsilons(agent)
    batch = make_batch(7)
    agent.train(batch.transition())
    reference.train(batch, first_adam_step)
    critics, targets = networks(agent)
    pairs = [
        (agent._actor_network, reference.actor),
        (agent._target_actor_network, reference.target_actor),
        *zip(critics, reference.critics, strict=True),
        *zip(targets, reference.target_critics, strict=True),
    ]
    for network, net in pairs:
        for ours, theirs in zip(network.variables, net, strict=True):
            np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=1e-5, err_msg=ours.name)
    assert int(agent.train_step_counter) == 1


@pytest.mark.parametrize("algorithm", ["ddpg", "td3"])
@pytest.mark.parametrize(("penalty", "leaves"), [(0.0, False), (1.0, True)])
def test_the_penalty_leads_a_saturated_actor_back(
    make_pair: Callable[..., Any], algorithm: str, penalty: float, leaves: bool
) -> None:
    """The tanh of 20 is 1 in float32, so the value's own gradient is exactly zero there."""
    agent, _ = make_pair(algorithm, preactivation_penalty=penalty, actor_update_period=1)
    kernel, bias = agent._actor_network.trainable_variables[-2:]
    kernel.assign(tf.zeros_like(kernel))
    bias.assign([20.0, -20.0])
    agent.train(make_batch(0).transition())
    assert (np.abs(bias.numpy()) < 20.0).tolist() == [leaves, leaves]


def test_td3_updates_its_actor_every_other_step(make_pair: Callable[..., Any]) -> None:
    agent, _ = make_pair("td3", actor_update_period=2)
    changed = []
    for seed in range(4):
        before = [variable.numpy() for variable in agent._actor_network.variables]
        agent.train(make_batch(seed).transition())
        after = agent._actor_network.variables
        changed.append(any(not np.array_equal(old, new) for old, new in zip(before, after, strict=True)))
    assert changed == [True, False, True, False]


@pytest.mark.parametrize("algorithm", ["ddpg", "td3"])
def test_nothing_follows_a_termination(make_pair: Callable[..., Any], algorithm: str) -> None:
    agent, _ = make_pair(algorithm)
    ended = dataclasses.replace(make_batch(0), discount=tf.zeros(BATCH))
    elsewhere = dataclasses.replace(ended, next_observation=make_batch(1).next_observation)
    assert critic_loss(agent, ended) == critic_loss(agent, elsewhere)


class Recorder:
    """A critic that keeps the actions it is asked about."""

    def __init__(self, critic: Any) -> None:
        self._critic = critic
        self.actions: list[np.ndarray] = []

    def __call__(self, inputs: tuple[tf.Tensor, tf.Tensor], *rest: Any, **named: Any) -> Any:
        self.actions.append(inputs[1].numpy())
        return self._critic(inputs, *rest, **named)


@pytest.fixture
def target_actions(make_pair: Callable[..., Any]) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """The target actions that both target critics see for one batch, and the target actor's own."""

    def record(noise: float, clip: float) -> tuple[np.ndarray, np.ndarray]:
        agent, reference = make_pair("td3", target_policy_noise=noise, target_policy_noise_clip=clip)
        batch = make_batch(3)
        recorders = [Recorder(agent._target_critic_network_1), Recorder(agent._target_critic_network_2)]
        agent._target_critic_network_1, agent._target_critic_network_2 = recorders
        critic_loss(agent, batch)
        seen = [np.concatenate(recorder.actions) for recorder in recorders]
        assert np.array_equal(*seen), "both critics judge the same actions"
        return seen[0], act(reference.target_actor, batch.next_observation).numpy()

    return record


def test_target_actions_stay_in_range_with_large_noise(target_actions: Callable[..., Any]) -> None:
    noisy, clean = target_actions(2.0, 2.0)
    assert np.abs(noisy).max() == 1.0
    assert np.abs(noisy - clean).mean() > 0.3, "there is noise"


def test_target_noise_is_clipped_and_not_the_same_for_all(target_actions: Callable[..., Any]) -> None:
    noisy, clean = target_actions(0.5, 0.1)
    inside = np.abs(noisy) < 1.0
    noise = (noisy - clean)[inside]
    assert np.abs(noise).max() <= 0.1 + 1e-6
    assert len(set(np.round(noise, 4))) > 5


@pytest.mark.parametrize("algorithm", ["ddpg", "td3"])
def test_weighted_losses_are_refused(make_pair: Callable[..., Any], algorithm: str) -> None:
    agent, _ = make_pair(algorithm)
    with pytest.raises(ValueError, match="weights"):
        agent.train(make_batch(0).transition(), weights=tf.ones(BATCH))
