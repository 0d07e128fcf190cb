"""Builds an agent from a config: its networks, optimizers and algorithm."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tf_agents.agents import tf_agent
from tf_agents.agents.ddpg import critic_network
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step
from tf_agents.utils import common

from robotini_ray.agents.ddpg_agent import MeanValueDdpgAgent
from robotini_ray.agents.networks import (
    DenseActorNetwork,
    RecurrentActorNetwork,
    RecurrentCriticNetwork,
    normalized_relu,
)
from robotini_ray.agents.rdpg_agent import RdpgAgent
from robotini_ray.agents.rtd3_agent import Rtd3Agent
from robotini_ray.agents.td3_agent import BoundedTd3Agent
from robotini_ray.agents.windows import to_n_step_transitions, unpack
from robotini_ray.config import ACTION_SIZE, Config
from robotini_ray.policy.policy_spec import PolicySpec
from robotini_ray.replay.table import WindowLayout, window_dataset

Adam = tf.keras.optimizers.legacy.Adam
"""The legacy Keras class of Adam (Kingma and Ba 2015).

It runs one fused kernel per variable where the newer class runs a dozen, which saves a tenth of a small network's train step.
It also saves each slot together with its variable; the newer class saves slots by their order.
"""


def action_spec() -> tensor_spec.BoundedTensorSpec:
    """Returns the spec of an action: throttle and turn, each in [-1, 1]."""
    return tensor_spec.BoundedTensorSpec((ACTION_SIZE,), tf.float32, -1.0, 1.0, name="action")


def observation_spec(config: Config) -> tensor_spec.TensorSpec:
    """Returns the spec of the actor's observation vector (see ``robotini_ray.environment.observation.HistoryStack``)."""
    return tensor_spec.TensorSpec((config.environment.observation_size,), tf.float32, name="observation")


def critic_observation_spec(config: Config) -> tensor_spec.TensorSpec:
    """Returns the spec of the observation that the replay holds and the critic sees.

    It is the actor's observation vector, followed by the privileged numbers if ``agent.privileged_critic`` is set.
    """
    return tensor_spec.TensorSpec((config.critic_observation_size,), tf.float32, name="observation")


def make_actor_network(config: Config) -> Any:
    """Builds the actor network.

    ``robotini_ray.policy.numpy_policy.NumpyPolicy`` computes the same actions from the same weights.
    """
    layers = config.agent.actor_layers
    if not config.agent.recurrent:
        return DenseActorNetwork(observation_spec(config), action_spec(), layers)
    return RecurrentActorNetwork(observation_spec(config), action_spec(), layers, config.agent.lstm_units)


def make_critic_network(config: Config) -> Any:
    """Builds a critic network, which maps the critic's observation and an action to a value."""
    agent = config.agent
    inputs = (critic_observation_spec(config), action_spec())
    activation = normalized_relu if agent.critic_layer_norm else tf.nn.relu
    if not agent.recurrent:
        return critic_network.CriticNetwork(inputs, joint_fc_layer_params=agent.critic_layers, activation_fn=activation)
    size = config.environment.observation_size
    return RecurrentCriticNetwork(inputs, size, agent.lstm_units, agent.critic_layers, activation)


def make_agent(config: Config, train_step: tf.Variable) -> tf_agent.TFAgent:
    """Builds and initializes the agent that ``agent.algorithm`` names.

    The initial weights depend on ``run.seed``, with which the global random generators of Python, NumPy and TensorFlow are
    seeded.

    Args:
        train_step: ``<int64>[]``, counts the agent's train calls.
    """
    tf.keras.utils.set_random_seed(config.run.seed)  # tf.random.set_seed would leave Keras' initializers unseeded
    agent = config.agent
    settings: dict[str, Any] = {
        "actor_network": make_actor_network(config),
        "critic_network": make_critic_network(config),
        "actor_optimizer": Adam(agent.actor_learning_rate),
        "critic_optimizer": Adam(agent.critic_learning_rate),
        "target_update_tau": agent.target_update_tau,
        "target_update_period": agent.target_update_period,
        "td_errors_loss_fn": common.element_wise_huber_loss,
        "gamma": config.discount,
        "gradient_clipping": agent.gradient_clipping or None,
        "train_step_counter": train_step,
        "preactivation_penalty": agent.preactivation_penalty,
    }
    twin_settings: dict[str, Any] = {
        "actor_update_period": agent.actor_update_period,
        "target_policy_noise": agent.target_policy_noise,
        "target_policy_noise_clip": agent.target_policy_noise_clip,
    }
    window_settings = {"burn_in": agent.burn_in, "n_step": agent.n_step}
    specs = (time_step.time_step_spec(critic_observation_spec(config)), action_spec())
    if agent.algorithm == "ddpg":
        made = MeanValueDdpgAgent(*specs, **settings)
    elif agent.algorithm == "td3":
        made = BoundedTd3Agent(*specs, **settings, **twin_settings)
    elif agent.algorithm == "rdpg":
        made = RdpgAgent(*specs, **settings, **window_settings)
    else:
        made = Rtd3Agent(*specs, **settings, **twin_settings, **window_settings)
    made.initialize()
    _make_slots(made)
    return made


def _make_slots(agent: tf_agent.TFAgent) -> None:
    """Creates the optimizers' moments now instead of in the first train step.

    Restoring a checkpoint needs them to exist.
    """
    critics = [name for name in ("_critic_network", "_critic_network_1", "_critic_network_2") if hasattr(agent, name)]
    variables = [variable for name in critics for variable in getattr(agent, name).trainable_variables]
    agent._critic_optimizer._create_all_weights(variables)
    agent._actor_optimizer._create_all_weights(agent._actor_network.trainable_variables)


def experience_map(config: Config, dealt: bool = False) -> Callable[[dict[str, tf.Tensor]], tuple[Any, tuple[()]]]:
    """Returns a function that turns a batch of windows into ``(experience, info)`` as TF-Agents' learner takes them.

    The experience of a recurrent agent is the windows themselves. For other agents it is the transitions of all decisions in
    the windows.

    Args:
        dealt: Spreads the transitions so that neighbours are far apart (see ``to_n_step_transitions``).
    """
    layout = WindowLayout.from_config(config)

    def convert(item: dict[str, tf.Tensor]) -> tuple[Any, tuple[()]]:
        windows = unpack(item, layout)
        if config.agent.recurrent:
            return windows, ()
        return to_n_step_transitions(windows, config.agent.n_step, config.discount, dealt), ()

    return convert


def experience_dataset(replay_address: str, config: Config) -> tf.data.Dataset:
    """Returns an endless dataset of batches of ``batch_size`` items, as TF-Agents' learner takes them.

    ``batch_size`` windows are drawn at once, and their decisions are dealt out to as many batches as a window has items, so
    hardly any decisions of one batch are neighbours.

    Args:
        replay_address: The address of the replay server.
    """
    experience = window_dataset(replay_address, config).map(experience_map(config, dealt=True))
    if not config.agent.recurrent:
        experience = experience.rebatch(config.agent.batch_size, drop_remainder=True)
    return experience.prefetch(1)


def actor_variables(variables: Iterable[tf.Variable]) -> dict[str, tf.Variable]:
    """Returns the variables of an actor network by their names in ``PolicySpec.weight_shapes``."""
    return {_spec_name(variable.name): variable for variable in variables}


def flat_actor_weights(config: Config, agent: tf_agent.TFAgent) -> NDArray[np.float32]:
    """Returns the actor's weights as one vector, in the order of ``PolicySpec.weight_shapes``."""
    variables = actor_variables(agent.policy.variables())
    names = PolicySpec.from_config(config).weight_shapes()
    return np.concatenate([variables[name].numpy().ravel() for name in names])


def _spec_name(variable_name: str) -> str:
    """Converts a Keras variable name to the name in ``PolicySpec.weight_shapes``.

    ``DenseActorNetwork/input_mlp/dense0/kernel:0`` becomes ``dense_0/kernel`` and ``.../lstm/bias:0`` becomes ``lstm/bias``.
    """
    layer, kind = variable_name.removesuffix(":0").split("/")[-2:]
    return re.sub(r"^dense(\d+)$", r"dense_\1", layer) + f"/{kind}"
