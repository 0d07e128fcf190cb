import json
import math

import pytest
from rich.console import Console

from robotini_ray.benchmarks.apparatus.figure import Figure, Target
from robotini_ray.benchmarks.apparatus.pairs import Spread
from robotini_ray.benchmarks.apparatus.report import Report
from robotini_ray.benchmarks.apparatus.witness import Witness

MACHINE = {"cpu": "Abacus 3000", "cores": 2, "memory_bytes": 4_000_000_000, "gpu": None}
VERSIONS = {"python": "3.11.9", "robotini_ray": "0.1.0", "tensorflow": None}
FIGURES = [
    Figure("fast", Spread(15.234, 14.1, 1234.5, 7), "x real time", Target("at least", 15.0), "max"),
    Figure("late", Spread(0.0123456, 0.01, 0.5, 8), "ms", Target("at most", 0.01), "realtime"),
    Figure("informs", Spread(-3.0, -4.0, 0.0, 9), "us/frame"),
]


def report(figures=FIGURES):
    return Report(MACHINE, VERSIONS, [Witness(120.0, 30.0), Witness(60.0, 31.5)], figures)


def as_printed(made, width=120):
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(made.to_text(), soft_wrap=True)
    return capture.get().splitlines()


class TestJson:
    def test_one_line_with_exactly_what_is_agreed(self):
        line = report().to_json()
        assert "\n" not in line
        content = json.loads(line)
        assert content == {
            "schema": 1,
            "machine": MACHINE,
            "versions": VERSIONS,
            "witness": {"matrix_product_gflop_s": [120.0, 60.0], "python_million_loops_s": [30.0, 31.5]},
            "figures": [figure.to_json() for figure in FIGURES],
        }
        keys = {"name", "value", "min", "max", "pairs", "target", "met", "unit", "pace", "network"}
        assert all(set(figure) == keys for figure in content["figures"])

    def test_what_json_cannot_hold_is_refused(self):
        with pytest.raises(ValueError):
            report([Figure("odd", Spread(math.nan, 0.0, 1.0, 7), "x")]).to_json()


class TestTable:
    def test_a_row_for_each_figure(self):
        lines = as_printed(report())
        rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]
        assert rows == [
            ["fast", "15.2", "14.1", "1,234", ">= 15", "yes", "x real time", "max"],
            ["late", "0.0123", "0.01", "0.5", "<= 0.01", "no", "ms", "realtime"],
            ["informs", "-3", "-4", "0", "", "", "us/frame", ""],
        ]

    def test_the_machine_and_the_witness_stand_under_it(self):
        text = "\n".join(as_printed(report()))
        assert "Abacus 3000, 2 cores, 4.0 GB, no GPU" in text
        assert "python 3.11.9, robotini_ray 0.1.0" in text and "tensorflow" not in text
        assert "matrix product 120 60 GFLOP/s, Python 30 31.5 million loops/s" in text
