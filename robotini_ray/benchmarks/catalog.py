"""Lists the names of the benchmarks and finds the measurements behind each name."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from robotini_ray.benchmarks.apparatus.figure import Measurement
from robotini_ray.config import ConfigError, nearest

NAMES = ("start", "simulator", "policy", "collect", "learner", "publish", "deadline", "overlap", "tabs")
"""Benchmarks that run by default; each is a module of this package with a tuple ``MEASUREMENTS``.

To add a benchmark, write its module and add its name here.
"""
LONG_NAMES: tuple[str, ...] = ("time_to_race", "lap_ratio", "scaling")
"""Further such modules, which train for minutes; they run only when they are named."""


def choose(names: Sequence[str]) -> tuple[str, ...]:
    """Returns the names to measure, each once; without any names, all but the long ones.

    Raises:
        ConfigError: A name is unknown.
    """
    for name in names:
        if name not in NAMES + LONG_NAMES:
            raise ConfigError(f"unknown figure {name}; {nearest(name, NAMES + LONG_NAMES)}")
    return tuple(dict.fromkeys(names)) or NAMES


def measurements(name: str) -> tuple[Measurement, ...]:
    """Imports the module of a name, with all that it needs, and returns its measurements."""
    found: tuple[Measurement, ...] = importlib.import_module(f"robotini_ray.benchmarks.{name}").MEASUREMENTS
    return found
