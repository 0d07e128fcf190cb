"""Policies of the original trainer (robotini-ddpg): its SavedModel's variables, read as numbers, as a policy of ours.

Its actor is TF-Agents' ``ActorRnnNetwork``: the 8x3 features of one frame, dense layers, an LSTM, throttle and turn (published:
24-512-256-LSTM 256-2). The program in ``saved_model.pb`` is not loaded, and so not run.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.text_format import ParseError
from tf_agents.specs import tensor_spec

from robotini_ray.acting import Floats, NumpyPolicy, PolicySpec
from robotini_ray.config import ACTION_SIZE, FEATURES_PER_FRAME
from robotini_ray.errors import RobotiniError

_VARIABLE = re.compile(r"model_variables/(\d+)/\.ATTRIBUTES/VARIABLE_VALUE")


class OriginalPolicyError(RobotiniError):
    """A SavedModel that holds no such policy; the message is one line for a person."""


def read_original_policy(directory: Path, track: str) -> NumpyPolicy:
    """The policy of a SavedModel.

    Args:
        directory: with ``policy_specs.pbtxt`` and ``variables/``.
        track: that it was trained on, which it does not say.

    Raises:
        OriginalPolicyError: a file is missing, or the network or its observation is another one.
    """
    throttle, turn = _action_ranges(directory)
    arrays = _model_variables(directory)
    layers, units = _network(arrays, directory)
    spec = PolicySpec(
        network="lstm",
        layers=layers,
        lstm_units=units,
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
    return NumpyPolicy(spec, np.concatenate([array.ravel() for array in arrays]))


def _action_ranges(directory: Path) -> tuple[tuple[float, float], float]:
    """Lowest and highest throttle, and the largest turn either way."""
    path = directory / "policy_specs.pbtxt"
    try:
        specs = tensor_spec.from_pbtxt_file(str(path))["collect_data_spec"]
    except (tf.errors.OpError, ParseError, KeyError) as error:
        raise OriginalPolicyError(f"{path} is missing or says nothing of observations and actions") from error
    shape = tuple(specs.observation.shape)
    if int(np.prod(shape)) != FEATURES_PER_FRAME:
        raise OriginalPolicyError(f"{path}: its observation has shape {list(shape)}; that of the original trainer is [8, 3]")
    low, high = (np.broadcast_to(limit, (ACTION_SIZE,)) for limit in (specs.action.minimum, specs.action.maximum))
    if low[1] != -high[1]:
        raise OriginalPolicyError(f"{path}: turns go from {low[1]:g} to {high[1]:g}; only as far to both sides can be driven")
    return (_decimal(low[0]), _decimal(high[0])), _decimal(high[1])


def _decimal(value: Any) -> float:
    """0.02 for the float32 0.0199999996."""
    return float(np.format_float_positional(np.float32(value)))


def _model_variables(directory: Path) -> list[Floats]:
    """The network's variables in its own order."""
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


def _network(arrays: list[Floats], directory: Path) -> tuple[tuple[int, ...], int]:
    """Units of the dense layers and of the LSTM behind them."""
    shapes = [array.shape for array in arrays]
    layers: list[int] = []
    width, at = FEATURES_PER_FRAME, 0
    while shapes[at + 1 : at + 2] and shapes[at][:1] == (width,) and shapes[at + 1] == shapes[at][1:]:
        width = shapes[at][1]
        layers.append(width)
        at += 2
    units = shapes[at][1] // 4 if shapes[at : at + 1] and len(shapes[at]) == 2 else 0
    expected = [(width, 4 * units), (units, 4 * units), (4 * units,), (units, ACTION_SIZE), (ACTION_SIZE,)]
    if not layers or not units or shapes[at:] != expected:
        raise OriginalPolicyError(
            f"{directory} holds variables of shapes {shapes}; allowed: kernel and bias of dense layers on {FEATURES_PER_FRAME} "
            f"numbers, an LSTM, and a layer of {ACTION_SIZE} actions, as the original trainer's recurrent policy has them"
        )
    return tuple(layers), units
