"""The names that figures are asked for by, and the measurements behind each."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from robotini_ray.benchmarks.apparatus.figure import Measurement
from robotini_ray.config import ConfigError, nearest

NAMES = ("simulator", "policy", "collect", "learner", "publish", "deadline", "overlap", "tabs")
"""Each is a module of this package with a tuple ``MEASUREMENTS``. To add a figure, write its module and name it here."""
LONG_NAMES: tuple[str, ...] = ("time_to_race", "lap_ratio", "scaling")
"""The same, of figures that train for minutes: measured only when they are asked for."""


def choose(names: Sequence[str]) -> tuple[str, ...]:
    """The names to measure, each once; all but the long ones if none is given.

    Raises:
        ConfigError: a name is unknown.
    """
    for name in names:
        if name not in NAMES + LONG_NAMES:
            raise ConfigError(f"unknown figure {name}; {nearest(name, NAMES + LONG_NAMES)}")
    return tuple(dict.fromkeys(names)) or NAMES


def measurements(name: str) -> tuple[Measurement, ...]:
    """What has to be run for a name; imports its module, and so what that needs."""
    found: tuple[Measurement, ...] = importlib.import_module(f"robotini_ray.benchmarks.{name}").MEASUREMENTS
    return found
