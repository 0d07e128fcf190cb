"""Writes the greedy policy as a TensorFlow SavedModel, for programs that serve TensorFlow models."""

from __future__ import annotations

from pathlib import Path

from tf_agents.policies import actor_policy, policy_saver
from tf_agents.trajectories import time_step

from robotini_ray.agents.factory import action_spec, actor_variables, make_actor_network, observation_spec
from robotini_ray.config import Config
from robotini_ray.policy.numpy_policy import NumpyPolicy


class SavedModelExporter:
    """Saves policies of one config with TF-Agents' ``PolicySaver``.

    The graph is traced once; each call of ``save`` replaces the weights in it.
    """

    def __init__(self, config: Config) -> None:
        network = make_actor_network(config)
        network.create_variables()
        specs = time_step.time_step_spec(observation_spec(config))
        policy = actor_policy.ActorPolicy(specs, action_spec(), network, clip=True)
        self._variables = actor_variables(network.variables)
        self._saver = policy_saver.PolicySaver(policy)

    def save(self, policy: NumpyPolicy, directory: Path) -> None:
        """Writes the policy as a SavedModel into a new directory."""
        for name, value in policy.weights.items():
            self._variables[name].assign(value)
        self._saver.save(str(directory))
