"""A measured figure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from robotini_ray.benchmarks.apparatus.pairs import Spread
from robotini_ray.errors import RobotiniError


class MeasurementError(RobotiniError):
    """Something that was to be measured does not run; the message is one line for a person."""


class Target(NamedTuple):
    """What a figure should be at least or at most."""

    bound: Literal["at least", "at most"]
    value: float

    def met_by(self, value: float) -> bool:
        """Whether a value is good enough."""
        return value >= self.value if self.bound == "at least" else value <= self.value


@dataclasses.dataclass(frozen=True)
class Figure:
    """One row of the benchmark's table.

    Args:
        name: of the row; the first row of a measurement has the name that it is asked for by.
        spread: the value, between which values it lay, and in how many repetitions.
        unit: of value and target.
        target: None for a figure that only informs.
        pace: of the simulator, if one ran.
        network: of the policy or the learner, if one was needed.
    """

    name: str
    spread: Spread
    unit: str
    target: Target | None = None
    pace: Literal["max", "realtime"] | None = None
    network: str | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None where there is none."""
        return None if self.target is None else self.target.met_by(self.spread.value)

    def to_json(self) -> dict[str, Any]:
        """The figure as benchmark files hold it."""
        return {
            "name": self.name,
            "value": self.spread.value,
            "min": self.spread.low,
            "max": self.spread.high,
            "pairs": self.spread.pairs,
            "target": None if self.target is None else self.target.value,
            "met": self.met,
            "unit": self.unit,
            "pace": self.pace,
            "network": self.network,
        }


Say = Callable[[str], None]
"""Takes a line about how far a measurement is."""

Measurement = Callable[[Say], list[Figure]]
