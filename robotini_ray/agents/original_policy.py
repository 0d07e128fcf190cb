"""Reads a policy of the original trainer (robotini-ddpg) from the variables of its SavedModel.

The original actor is TF-Agents' ``ActorRnnNetwork``: the 8x3 features of one frame, dense layers, an LSTM, throttle and turn
(published sizes: 24-512-256-LSTM 256-2). The program in ``saved_model.pb`` is not loaded and therefore never run.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.text_format import ParseError
from tf_agents.specs import tensor_spec

from robotini_ray.config import ACTION_SIZE, FEATURES_PER_FRAME
from robotini_ray.errors import RobotiniError
from robotini_ray.policy.numpy_policy import NumpyPolicy
from robotini_ray.policy.policy_spec import Floats, PolicySpec

Layer = list[Floats]
"""The arrays of a layer: kernel and bias; an LSTM has its recurrent kernel between them."""

_VARIABLE = re.compile(r"model_variables/(\d+)/\.ATTRIBUTES/VARIABLE_VALUE")


class OriginalPolicyError(RobotiniError):
    """Reports a SavedModel that holds no policy of the original trainer; the message is one line for the user."""


def read_original_policy(directory: Path, track: str) -> NumpyPolicy:
    """Reads the policy of a SavedModel of the original trainer.

    Args:
        directory: The SavedModel's directory, with ``policy_specs.pbtxt`` and ``variables/``.
        track: Name of the track on which the policy was trained; the SavedModel does not contain it.

    Raises:
        OriginalPolicyError: A file is missing, or the network, its observation or its action range is not of the supported
            kind.
    """
    throttle, turn = _action_ranges(directory)
    arrays = _model_variables(directory)
    layers, lstm, action = _network(arrays, directory)
    spec = PolicySpec(
        network="lstm",
        layers=tuple(len(bias) for _, bias in layers),
        lstm_units=len(lstm[1]),
        image_width=128,
        throttle_low=throttle[0],
        throttle_high=throttle[1],
        turn_limit=turn,
        action_repeat=1,
        observation_history=1,
        action_history=0,
        merge_frames=True,
        algorithm="rdpg",
        track=track,
    )
    return NumpyPolicy(spec, np.concatenate([array.ravel() for layer in (*layers, lstm, action) for array in layer]))


def _action_ranges(directory: Path) -> tuple[tuple[float, float], float]:
    """Returns the lowest and highest throttle, and the largest turn, which is the same to both sides."""
    path = directory / "policy_specs.pbtxt"
    try:
        specs = tensor_spec.from_pbtxt_file(str(path))["collect_data_spec"]
    except (tf.errors.OpError, ParseError, KeyError) as error:
        raise OriginalPolicyError(f"{path} is missing or does not describe observations and actions") from error
    shape = tuple(specs.observation.shape)
    if int(np.prod(shape)) != FEATURES_PER_FRAME:
        raise OriginalPolicyError(f"{path}: its observation has shape {list(shape)}; the original trainer's is [8, 3]")
    low, high = (np.broadcast_to(limit, (ACTION_SIZE,)) for limit in (specs.action.minimum, specs.action.maximum))
    if low[1] != -high[1]:
        raise OriginalPolicyError(f"{path}: turns go from {low[1]:g} to {high[1]:g}; both limits must be equally far from 0")
    return (_decimal(low[0]), _decimal(high[0])), _decimal(high[1])


def _decimal(value: Any) -> float:
    """Returns the shortest decimal number that names the float32: 0.02 for 0.0199999996."""
    return float(np.format_float_positional(np.float32(value)))


def _model_variables(directory: Path) -> list[Floats]:
    """Returns the network's variables in the SavedModel's order."""
    try:
        reader = tf.train.load_checkpoint(str(directory / "variables" / "variables"))
    except (tf.errors.OpError, ValueError) as error:
        raise OriginalPolicyError(f"{directory}/variables holds no readable variables of a SavedModel") from error
    found = {}
    for name in reader.get_variable_to_shape_map():
        match = _VARIABLE.fullmatch(name)
        if match:
            found[int(match[1])] = np.asarray(reader.get_tensor(name), np.float32)
    return [found[index] for index in sorted(found)]


def _network(arrays: list[Floats], directory: Path) -> tuple[list[Layer], Layer, Layer]:
    """Returns the dense layers in order, the LSTM and the action layer.

    TF-Agents determines the order of the layers in the file and guarantees none; but the arrays of one layer are adjacent,
    with the bias last.
    """
    groups = _groups(arrays)
    lstms = [group for group in groups if len(group) == 3]
    for action in [group for group in groups if len(group) == 2 and group[0].shape[1:] == (ACTION_SIZE,)]:
        layers = [group for group in groups if len(group) == 2 and group is not action]
        if layers and len(lstms) == 1 and len(layers) + 2 == len(groups) and _fit(layers, lstms[0], action):
            return layers, lstms[0], action
    shapes = [array.shape for array in arrays]
    raise OriginalPolicyError(
        f"{directory} holds variables of shapes {shapes}; allowed: kernels and biases of dense layers that "
        f"take {FEATURES_PER_FRAME} numbers, an LSTM and a layer of {ACTION_SIZE} actions, as in the original recurrent policy"
    )


def _groups(arrays: list[Floats]) -> list[Layer]:
    """Splits the arrays into layers: each layer ends with its bias, the only array of one dimension."""
    groups: list[Layer] = [[]]
    for array in arrays:
        groups[-1].append(array)
        if array.ndim == 1:
            groups.append([])
    return groups[:-1] if not groups[-1] else groups


def _fit(layers: list[Layer], lstm: Layer, action: Layer) -> bool:
    """Returns whether the shapes match: each layer takes as many numbers as the one before it returns."""
    shapes = [[array.shape for array in layer] for layer in (*layers, lstm, action)]
    expected = []
    width = FEATURES_PER_FRAME
    for _, bias in layers:
        expected.append([(width, len(bias)), (len(bias),)])
        width = len(bias)
    units = len(lstm[1])
    expected.append([(width, 4 * units), (units, 4 * units), (4 * units,)])
    expected.append([(units, ACTION_SIZE), (ACTION_SIZE,)])
    return shapes == expected
