"""Defines a measured figure, its target, and the type of a measurement."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from robotini_ray.benchmarks.apparatus.pairs import Spread
from robotini_ray.errors import RobotiniError


class MeasurementError(RobotiniError):
    """Raised when something that is to be measured does not run; the message is one line for people."""


class Target(NamedTuple):
    """The least or the greatest value that a figure should have."""

    bound: Literal["at least", "at most"]
    value: float

    def met_by(self, value: float) -> bool:
        """Returns whether a value meets the target."""
        return value >= self.value if self.bound == "at least" else value <= self.value


@dataclasses.dataclass(frozen=True)
class Figure:
    """One row of the benchmark's table.

    Attributes:
        name: Name of the row, in the table and in JSON.
        spread: The value, its extremes over the repetitions, and the number of repetitions.
        unit: Unit of the value and of the target.
        target: The target; None for a figure that only informs.
        pace: Pace of the simulator; None if no simulator ran.
        network: Network of the policy or of the learner; None if none was needed.
    """

    name: str
    spread: Spread
    unit: str
    target: Target | None = None
    pace: Literal["max", "realtime"] | None = None
    network: str | None = None

    @property
    def met(self) -> bool | None:
        """Result of the comparison with the target: whether the value meets it, or None if there is no target."""
        return None if self.target is None else self.target.met_by(self.spread.value)

    def to_json(self) -> dict[str, Any]:
        """Returns the figure as the benchmark's JSON files hold it."""
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
"""Takes a line of progress at a time."""

Measurement = Callable[[Say], list[Figure]]
"""Takes a measurement, reports its progress, and returns its figures."""
