"""``benchmark``: measures figures and prints them beside their targets."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from rich.console import Console

from robotini_ray.benchmarks.apparatus.figure import Figure
from robotini_ray.benchmarks.apparatus.report import Report
from robotini_ray.benchmarks.apparatus.witness import read_witness
from robotini_ray.benchmarks.catalog import choose, measurements
from robotini_ray.commands.output import written
from robotini_ray.machine.inventory import machine, versions
from robotini_ray.machine.whole_files import write_whole

PLAIN_WIDTH = 120
"""Width of the table, in columns, when standard output is not a terminal."""


def run(names: tuple[str, ...], print_json: bool, json_file: Path | None) -> int:
    """Measures the named figures and prints them as a table.

    A missed target is marked in the table; it is not an error.

    Args:
        names: The figures to measure; none means all but the long ones.
        print_json: Whether the report is also printed as one line of JSON, the last line of standard output.
        json_file: The file that the report is also written to as JSON, or None.

    Returns:
        The exit code, always 0.

    Raises:
        ConfigError: A name is unknown.
        OutputError: ``json_file`` cannot be written; the figures have been printed.
    """
    report = measure(choose(names))
    line = report.to_json()
    console = Console()
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    console.print(report.to_text(), soft_wrap=True)
    if print_json:
        print(line)
    if json_file is not None:
        with written(json_file, "the figures are those printed"):
            write_whole(json_file, line + "\n")
    return 0


def measure(names: tuple[str, ...]) -> Report:
    """Takes the measurements one after another, and a reading of the witness before, between and after them."""
    began_s = time.monotonic()
    figures: list[Figure] = []
    witness = [read_witness()]
    for name in names:
        for measurement in measurements(name):
            figures += measurement(_say)
            witness.append(read_witness())
    _say(f"measured in {time.monotonic() - began_s:.0f} s")
    return Report(machine(), versions(), witness, figures)


def _say(line: str) -> None:
    print(line, file=sys.stderr)
