"""A policy in other programs' formats: TensorFlow SavedModel, TFLite, ONNX. Each is compared with ours before it is kept.

TFLite and ONNX hold one step of one car::

    observation <float32>[1, observation_size], state <float32>[1, state_size] -> action <float32>[1, 2], next_state

(a feed-forward policy has no state). What the observation and the action mean is said by the policy.json beside them.
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
"""Observation and state ``<float32>[1, ...]`` to action and next state."""

CHECKED_STEPS = 30
LARGEST_DIFFERENCE = 1e-5
ONNX_OPSET = 17


class ExportError(RobotiniError):
    """A policy that cannot be exported; the message is one line for a person."""


class _StepModule(tf.Module):
    """One step of ``NumpyPolicy`` as a graph of plain operations."""

    def __init__(self, policy: NumpyPolicy) -> None:
        super().__init__()
        self._spec = policy.spec
        self._weights = policy.weights  # arrays become constants of the graph; tf2onnx loses tensors that are captured

    def signature(self) -> list[tf.TensorSpec]:
        """Observation, and the state where there is one."""
        size, state_size = self._spec.environment().observation_size, self._spec.state_size
        specs = [tf.TensorSpec((1, size), tf.float32, "observation")]
        return [*specs, tf.TensorSpec((1, state_size), tf.float32, "state")] if state_size else specs

    def step(self, observation: tf.Tensor, state: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """Action, and the next state where there is one."""
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
    """TF-Agents' SavedModel of the policy: ``action`` and ``get_initial_state``."""
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
    """``policy.tflite``, by TensorFlow's own converter."""
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


_INSTALL_ONNX = "in a checkout `.venv/bin/pip install -c constraints.txt -e '.[onnx]'`"


def write_onnx(policy: NumpyPolicy, directory: Path) -> None:
    """``policy.onnx``, by tf2onnx, which the extra ``onnx`` installs.

    Raises:
        ExportError: it is not installed.
    """
    try:
        import onnx.reference
        import tf2onnx
    except ImportError as error:
        raise ExportError(f"--format onnx needs the package {error.name}, of the extra `onnx`: {_INSTALL_ONNX}") from error
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
    """Raises ExportError where another program's actions are not ours, over a drive of random observations."""
    random = np.random.default_rng(0)
    state = policy.initial_state(1)
    other_state = state
    worst = 0.0
    for _ in range(CHECKED_STEPS):
        observation = random.uniform(0.0, 1.0, (1, policy.spec.environment().observation_size)).astype(np.float32)
        action, state = policy.act(observation, state)
        other_action, other_state = step(observation, other_state)
        worst = max(worst, float(np.abs(action - other_action).max()))
    if not worst <= LARGEST_DIFFERENCE:  # a NaN is no small difference
        raise ExportError(
            f"{path.name} acts otherwise than the policy: by {worst:.2g}; at most {LARGEST_DIFFERENCE:g} is allowed"
        )


def _config_of(spec: PolicySpec) -> Config:
    """A config whose actor network is that of the spec."""
    if spec.network == "lstm":
        agent = AgentConfig(algorithm="rdpg", actor_layers=spec.layers, lstm_units=spec.lstm_units)
    else:
        agent = AgentConfig(algorithm="td3", actor_layers=spec.layers)
    return Config(environment=spec.environment(), agent=agent)
