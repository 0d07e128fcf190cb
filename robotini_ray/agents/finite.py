"""Finds numbers of an agent that are not finite: training that has diverged."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from tf_agents.agents import tf_agent


def not_finite(agent: tf_agent.TFAgent) -> str | None:
    """Returns the name of the first variable with a NaN or an infinite number; None if all are finite.

    Networks and target networks are looked at. This takes about 40 ms for networks of the default size.
    """
    for variable in agent.variables:
        if variable.dtype.is_floating and not np.isfinite(variable.numpy()).all():
            return str(variable.name)
    return None


def is_numerics_error(error: tf.errors.InvalidArgumentError) -> bool:
    """Returns whether an error of a train step is that of a check of numerics, here or in TF-Agents."""
    return "is inf or nan" in error.message or "are inf or nan" in error.message
