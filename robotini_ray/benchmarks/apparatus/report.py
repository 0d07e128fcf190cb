"""Formats the results of the benchmark: a table for people, one line of JSON for programs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from robotini_ray.benchmarks.apparatus.figure import Figure, Target
from robotini_ray.benchmarks.apparatus.witness import Witness, witness_to_json

SCHEMA = 1
"""Version of the JSON format; it changes when the format does."""

BOUND_SIGNS = {"at least": ">=", "at most": "<="}
MET_WORDS = {True: "yes", False: "no", None: ""}


@dataclasses.dataclass(frozen=True)
class Report:
    """The results of one run of the benchmark, with the machine, the versions and the noise witness."""

    machine: dict[str, Any]
    versions: dict[str, str | None]
    witness: Sequence[Witness]
    figures: Sequence[Figure]

    def to_json(self) -> str:
        """Returns the report as one line of JSON, without a line end."""
        content = {
            "schema": SCHEMA,
            "machine": self.machine,
            "versions": self.versions,
            "witness": witness_to_json(self.witness),
            "figures": [figure.to_json() for figure in self.figures],
        }
        return json.dumps(content, allow_nan=False)

    def to_text(self) -> Group:
        """Returns the table, with the machine, the versions and the noise witness below it."""
        return Group(_table(self.figures), *(Text(line) for line in self._notes()))

    def _notes(self) -> list[str]:
        machine, versions = self.machine, self.versions
        installed = ", ".join(f"{name} {version}" for name, version in versions.items() if version is not None)
        rates = witness_to_json(self.witness)
        return [
            f"machine: {machine['cpu']}, {machine['cores']} cores, {machine['memory_bytes'] / 1e9:.1f} GB, "
            f"{machine['gpu'] or 'no GPU'}",
            f"versions: {installed}",
            f"noise witness, before, between and after: matrix product {_rates(rates['matrix_product_gflop_s'])} GFLOP/s, "
            f"Python {_rates(rates['python_million_loops_s'])} million loops/s",
        ]


def _table(figures: Sequence[Figure]) -> Table:
    table = Table(title="robotini_ray benchmark", title_justify="left")
    table.add_column("figure", overflow="fold")
    for heading in ("value", "min", "max", "target"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("met", "unit", "pace"):
        table.add_column(heading, no_wrap=True)
    for figure in figures:
        value, low, high, _ = figure.spread
        table.add_row(
            figure.name,
            *(_number(number) for number in (value, low, high)),
            _target(figure.target),
            MET_WORDS[figure.met],
            figure.unit,
            figure.pace or "",
        )
    return table


def _target(target: Target | None) -> str:
    return "" if target is None else f"{BOUND_SIGNS[target.bound]} {_number(target.value)}"


def _number(value: float) -> str:
    """Formats a number with three significant digits; a number of 100 or more as a whole number."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _rates(values: Sequence[float]) -> str:
    return " ".join(_number(value) for value in values)
