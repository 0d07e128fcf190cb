"""Measures ``publish_cost`` and ``publish_age_p95``: what sending weights costs the learner, and the age of those in use.

The learner is the program's own, with a stop-watch around the two steps of publishing: copying the weights out of
TensorFlow and handing them to Ray. The age is polled from the reports of the collectors: the time since a collector took
its weights into use. It leaves out the few milliseconds of their transfer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import robotini_ray.parts.learner
from robotini_ray.benchmarks.apparatus.figure import Figure, Measurement, MeasurementError, Say, Target
from robotini_ray.benchmarks.apparatus.live_program import (
    CALL_TIMEOUT_S,
    LIVE_NETWORK,
    LiveProgram,
    live_config,
    running_program,
)
from robotini_ray.benchmarks.apparatus.pairs import PAIRS, Spread, spread
from robotini_ray.config import Config
from robotini_ray.parts.interfaces import Part
from robotini_ray.parts.learner import Learner

COST_TARGET = Target("at most", 0.01)
AGE_TARGET = Target("at most", 400.0)
LEARNER = "robotini_ray.benchmarks.publish:TimedLearner"
AGE_POLL_S = 0.02


class StopWatch:
    """Adds up the time spent in the functions that it wraps, and counts their calls."""

    def __init__(self) -> None:
        self.spent_s = 0.0
        self.calls = 0

    def around(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """Returns the function with its time and calls counted."""

        def timed(*arguments: Any) -> Any:
            began_s = time.perf_counter()
            try:
                return work(*arguments)
            finally:
                self.spent_s += time.perf_counter() - began_s
                self.calls += 1

        return timed


class TimedLearner(Learner):
    """A learner with a stop-watch on each of the two steps of publishing.

    It replaces functions of ``robotini_ray.parts.learner`` for the whole process, and so needs a process of its own.
    """

    def __init__(self, config: Config, replay_address: str, run_dir: Path) -> None:
        self.watches = (StopWatch(), StopWatch())
        copying, sending = self.watches
        module: Any = robotini_ray.parts.learner
        module.flat_actor_weights = copying.around(module.flat_actor_weights)
        broadcast: Any = module.WeightsBroadcast
        broadcast.send = sending.around(broadcast.send)
        super().__init__(config, replay_address, run_dir)

    def publishing(self) -> tuple[float, int]:
        """Returns the seconds spent on publishing so far, and how often weights were sent."""
        copying, sending = self.watches
        return copying.spent_s + sending.spent_s, sending.calls


def measure(say: Say, *, window_s: float = 2.5, rounds: int = PAIRS) -> list[Figure]:
    """Measures a learner and its collectors over a number of stretches.

    Args:
        say: Takes a line of progress at a time.
        window_s: Duration of a stretch.
        rounds: Number of stretches, one after the other.
    """
    with running_program(live_config(), lambda line: say(f"publish: {line}"), learner=LEARNER) as program:
        program.learner.tell(Learner.add_receivers, list(program.collectors))
        program.start_learner()
        _wait_for_weights(program)
        costs, ages_ms = [], []
        for number in range(1, rounds + 1):
            say(f"publish: round {number} of {rounds}")
            cost, ages_s = _stretch(program, window_s)
            costs.append(cost)
            ages_ms.append([1000 * age_s for age_s in ages_s])
    return publish_figures(costs, ages_ms)


def publish_figures(costs: list[float], ages_ms: list[list[float]]) -> list[Figure]:
    """Computes the figures; the 95th percentile is over all stretches, its extremes are those of single stretches.

    Args:
        costs: Share of the learner's time spent on publishing, by stretch.
        ages_ms: Ages of weights in use, by stretch.
    """
    p95s = [float(np.percentile(ages, 95)) for ages in ages_ms]
    overall = float(np.percentile([age for ages in ages_ms for age in ages], 95))
    age = Spread(overall, min(p95s), max(p95s), len(p95s))
    return [
        Figure("publish_cost", spread(costs), "of time", COST_TARGET, "realtime", LIVE_NETWORK),
        Figure("publish_age_p95", age, "ms", AGE_TARGET, "realtime", LIVE_NETWORK),
    ]


def _stretch(program: LiveProgram, seconds: float) -> tuple[float, list[float]]:
    """Lets the learner train for a number of seconds, at least until it has sent weights once.

    Returns:
        The share of the learner's time spent on publishing, and the ages of the collectors' weights in seconds.

    Raises:
        MeasurementError: The learner sends no weights for ``CALL_TIMEOUT_S``.
    """
    spent_before_s, sent_before = _publishing(program)
    began_s, ages_s = time.perf_counter(), []
    while True:
        ages_s += [report.weights_age_s for report in program.ask_collectors(Part.report)]
        time.sleep(AGE_POLL_S)
        passed_s = time.perf_counter() - began_s
        if passed_s < seconds:
            continue
        spent_s, sent = _publishing(program)
        if sent > sent_before:
            return (spent_s - spent_before_s) / (time.perf_counter() - began_s), ages_s
        if passed_s > seconds + CALL_TIMEOUT_S:
            raise MeasurementError(f"the learner has sent no weights in {passed_s:.0f} s")


def _wait_for_weights(program: LiveProgram) -> None:
    """Blocks until every collector drives with weights of the learner that have been trained."""
    deadline_s = time.monotonic() + CALL_TIMEOUT_S
    while min(report.weights_version for report in program.ask_collectors(Part.report)) <= 0:
        if time.monotonic() > deadline_s:
            raise MeasurementError(f"no weights have reached the collectors in {CALL_TIMEOUT_S:g} s")
        time.sleep(AGE_POLL_S)


def _publishing(program: LiveProgram) -> tuple[float, int]:
    return program.learner.ask(CALL_TIMEOUT_S, TimedLearner.publishing)


MEASUREMENTS: tuple[Measurement, ...] = (measure,)
