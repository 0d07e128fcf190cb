"""Measures ``learner_mfu`` and ``learner_waiting``: how near the learner comes to the speed of its matrix products alone.

The learner trains on what six cars write into the replay buffer in real time. In turn with it, while it is halted and the
cars drive on, another process with as many threads computes only the matrix products of a train step, with the same shapes.
"""

from __future__ import annotations

import contextlib
from typing import Protocol

from robotini_ray.benchmarks.apparatus.figure import Figure, Measurement, Say, Target
from robotini_ray.benchmarks.apparatus.live_program import (
    LIVE_NETWORK,
    START_TIMEOUT_S,
    LiveProgram,
    Rate,
    live_config,
    running_program,
)
from robotini_ray.benchmarks.apparatus.pairs import PAIRS, Spread, interleave, ratios, spread
from robotini_ray.program.part import PartHandle, start_part

MFU_TARGET = Target("at least", 0.6)
WAITING_TARGET = Target("at most", 0.02)
PRODUCTS = "robotini_ray.benchmarks.apparatus.matrix_products:MatrixProducts"


class Products(Protocol):
    """The part of ``PRODUCTS``, which this process does not import."""

    def flops(self) -> int:
        """Returns the multiplications and additions of all products of a train step."""

    def measure(self, seconds: float) -> float:
        """Returns how often a second all products of a train step can be done."""


def measure(say: Say, *, window_s: float = 1.5, products_window_s: float = 0.5, rounds: int = PAIRS) -> list[Figure]:
    """Measures the training and the matrix products alone in turn.

    Args:
        say: Takes a line of progress at a time.
        window_s: Duration of a stretch of training.
        products_window_s: Duration of a stretch of products alone.
        rounds: Number of pairs of stretches.
    """
    config = live_config()
    with contextlib.ExitStack() as stack:
        program = stack.enter_context(running_program(config, lambda line: say(f"learner: {line}")))
        products = start_part("products", program.logs, PRODUCTS, config)
        stack.callback(products.kill)
        program.start_learner()
        flops = products.ask(START_TIMEOUT_S, Products.flops)
        measures = {
            "steps": lambda: program.learner_rate(window_s),
            "products": lambda: _products_rate(program, products, products_window_s),
        }
        readings = interleave(measures, rounds, lambda number: say(f"learner: round {number} of {rounds}"))
    return learner_figures(readings["steps"], readings["products"], flops)


def learner_figures(steps: list[Rate], products: list[Rate], flops: int) -> list[Figure]:
    """Computes the figures.

    Args:
        steps: Train steps per second of the learner, and its share of waiting for data, by stretch.
        products: Train steps per second if a step were its matrix products only, by stretch.
        flops: Floating-point operations in the matrix products of one train step.
    """
    steps_per_s, products_per_s = [rate.per_s for rate in steps], [rate.per_s for rate in products]

    def figure(name: str, value: Spread, unit: str, target: Target | None = None) -> Figure:
        return Figure(name, value, unit, target, "realtime", LIVE_NETWORK)

    return [
        figure("learner_mfu", ratios(steps_per_s, products_per_s), "of products", MFU_TARGET),
        figure("learner_waiting", spread([rate.waiting_share for rate in steps]), "of time", WAITING_TARGET),
        figure("learner_step", spread([1000 / rate for rate in steps_per_s]), "ms"),
        figure("learner_products", spread([1000 / rate for rate in products_per_s]), "ms"),
        figure("learner_step_mflop", spread([flops / 1e6]), "MFLOP"),
    ]


def _products_rate(program: LiveProgram, products: PartHandle[Products], seconds: float) -> Rate:
    with program.learner_halted():
        return Rate(products.ask(START_TIMEOUT_S, Products.measure, seconds))


MEASUREMENTS: tuple[Measurement, ...] = (measure,)
