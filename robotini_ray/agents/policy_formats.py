"""Writes a policy in other programs' formats: TensorFlow SavedModel, TFLite and ONNX.

The actions of every written policy are compared with those of ``NumpyPolicy`` before it is kept.

TFLite and ONNX hold one step of one car::

    observation <float32>[1, observation_size], state <float32>[1, state_size] -> action <float32>[1, 2], next_state

A feed-forward policy has no state. The ``policy.json`` next to the file defines the observation and the action.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tf_agents.trajectories import time_step

from robotini_ray.agents.saved_model import SavedModelExporter
from robotini_ray.config import AgentConfig, Config
from robotini_ray.errors import RobotiniError
from robotini_ray.policy.numpy_policy import NumpyPolicy
from robotini_ray.policy.policy_spec import Floats, PolicySpec

Step = Callable[[Floats, Floats], tuple[Floats, Floats]]
"""A function from observation and state, each ``<float32>[1, ...]``, to action and next state."""

CHECKED_STEPS = 30
LARGEST_DIFFERENCE = 1e-5
ONNX_OPSET = 17


class ExportError(RobotiniError):
    """Reports a policy that cannot be exported; the message is one line for the user."""


class _StepModule(tf.Module):
    """Computes one step of ``NumpyPolicy`` as a graph of plain operations."""

    def __init__(self, policy: NumpyPolicy) -> None:
        super().__init__()
        self._spec = policy.spec
        self._weights = policy.weights  # NumPy arrays become constants of the graph; tf2onnx loses captured tensors

    def signature(self) -> list[tf.TensorSpec]:
        """Returns the specs of the inputs: the observation, and the state if the policy has one."""
        size, state_size = self._spec.environment().observation_size, self._spec.state_size
        specs = [tf.TensorSpec((1, size), tf.float32, "observation")]
        return [*specs, tf.TensorSpec((1, state_size), tf.float32, "state")] if state_size else specs

    def step(self, observation: tf.Tensor, state: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """Returns the action, and the next state if the policy has one."""
        weights, x, found = self._weights, observation, {}
        for index in range(len(self._spec.layers)):
            x = tf.nn.relu(tf.matmul(x, weights[f"dense_{index}/kernel"]) + weights[f"dense_{index}/bias"])
        if state is not None:
            hidden, cell = tf.split(state, 2, axis=1)
            gates = tf.matmul(x, weights["lstm/kernel"]) + tf.matmul(hidden, weights["lstm/recurrent_kernel"])
            keep_in, forget, candidate, keep_out = tf.split(gates + weights["lstm/bias"], 4, axis=1)
            cell = tf.sigmoid(forget) * cell + tf.sigmoid(keep_in) * tf.tanh(candidate)
            x = tf.sigmoid(keep_out) * tf.tanh(cell)
            found["next_state"] = tf.concat([x, cell], axis=1)
        return {"action": tf.tanh(tf.matmul(x, weights["action/kernel"]) + weights["action/bias"]), **found}


def write_saved_model(policy: NumpyPolicy, directory: Path) -> None:
    """Writes ``saved_model``, TF-Agents' SavedModel of the policy with ``action`` and ``get_initial_state``.

    Raises:
        ExportError: The SavedModel's actions differ from the policy's.
    """
    path = directory / "saved_model"
    SavedModelExporter(_config_of(policy.spec)).save(policy, path)
    loaded = tf.saved_model.load(str(path))
    units = policy.spec.lstm_units

    def step(observation: Floats, state: Floats) -> tuple[Floats, Floats]:
        parts = [tf.constant(state[:, :units]), tf.constant(state[:, units:])] if units else ()
        restart = time_step.transition(tf.constant(observation), reward=tf.zeros((1,)), discount=tf.ones((1,)))
        result = loaded.action(restart, parts)
        return result.action.numpy(), np.concatenate([part.numpy() for part in result.state], axis=1) if units else state

    _check(policy, step, path)


def write_tflite(policy: NumpyPolicy, directory: Path) -> None:
    """Writes ``policy.tflite`` with TensorFlow's own converter.

    Raises:
        ExportError: The converted policy's actions differ from the policy's.
    """
    module = _StepModule(policy)
    function = tf.function(module.step, input_signature=module.signature()).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    path = directory / "policy.tflite"
    path.write_bytes(converter.convert())
    runner = tf.lite.Interpreter(model_content=path.read_bytes()).get_signature_runner()

    def step(observation: Floats, state: Floats) -> tuple[Floats, Floats]:
        found = runner(observation=observation, **({"state": state} if policy.spec.state_size else {}))
        return found["action"], found.get("next_state", state)

    _check(policy, step, path)


_INSTALL_ONNX = "in a checkout, run `.venv/bin/pip install -c constraints.txt -e '.[onnx]'`"


def write_onnx(policy: NumpyPolicy, directory: Path) -> None:
    """Writes ``policy.onnx`` with tf2onnx, which the extra ``onnx`` installs.

    Raises:
        ExportError: tf2onnx or onnx is not installed, or the converted policy's actions differ from the policy's.
    """
    try:
        import onnx.reference
        import tf2onnx
    except ImportError as error:
        raise ExportError(f"--format onnx needs the package {error.name} of the extra `onnx`: {_INSTALL_ONNX}") from error
    module = _StepModule(policy)
    path = directory / "policy.onnx"
    function = tf.function(module.step, input_signature=module.signature())
    model, _ = tf2onnx.convert.from_function(function, module.signature(), opset=ONNX_OPSET, output_path=str(path))
    evaluator = onnx.reference.ReferenceEvaluator(model)

    def step(observation: Floats, state: Floats) -> tuple[Floats, Floats]:
        inputs = {"observation": observation, **({"state": state} if policy.spec.state_size else {})}
        found: dict[str, Any] = dict(zip(evaluator.output_names, evaluator.run(None, inputs), strict=True))
        return found["action"], found.get("next_state", state)

    _check(policy, step, path)


def _check(policy: NumpyPolicy, step: Step, path: Path) -> None:
    """Compares another program's actions with the policy's over a drive of random observations.

    Args:
        policy: The policy that was written.
        step: Computes one step with the written policy.
        path: The written policy, which the error message names.

    Raises:
        ExportError: The actions differ by more than ``LARGEST_DIFFERENCE``.
    """
    random = np.random.default_rng(0)
    state = policy.initial_state(1)
    other_state = state
    worst = 0.0
    for _ in range(CHECKED_STEPS):
        observation = random.uniform(0.0, 1.0, (1, policy.spec.environment().observation_size)).astype(np.float32)
        action, state = policy.act(observation, state)
        other_action, other_state = step(observation, other_state)
        worst = float(np.maximum(worst, np.abs(action - other_action).max()))  # ``max`` would drop a NaN
    if not worst <= LARGEST_DIFFERENCE:  # ``>`` would let a NaN pass
        raise ExportError(
            f"{path.name} acts differently from the policy: by {worst:.2g}; at most {LARGEST_DIFFERENCE:g} is allowed"
        )


def _config_of(spec: PolicySpec) -> Config:
    """Returns a config whose actor network has the shape that the spec gives."""
    if spec.network == "lstm":
        agent = AgentConfig(algorithm="rdpg", actor_layers=spec.layers, lstm_units=spec.lstm_units)
    else:
        agent = AgentConfig(algorithm="td3", actor_layers=spec.layers)
    return Config(environment=spec.environment(), agent=agent)
