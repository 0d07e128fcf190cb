"""Measures ``wire_deadline``: how long a frame waits for its answer in real time, with the learner busy and halted.

The time runs from the arrival of the frame's last byte in the kernel of the collector's machine (the kernel's time stamp)
to the return of the write of both commands. An answer is late if it takes longer than the interval between two frames.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from robotini_ray.benchmarks.apparatus.figure import Figure, Measurement, MeasurementError, Say, Target
from robotini_ray.benchmarks.apparatus.live_program import LIVE_NETWORK, LiveProgram, live_config, running_program
from robotini_ray.benchmarks.apparatus.pairs import PAIRS, Spread, interleave
from robotini_ray.config import FRAMES_PER_SECOND

COLLECTOR = "robotini_ray.benchmarks.apparatus.timed_collector:TimedCollector"
DEADLINE_TARGET = Target("at most", 3.0)
BUSY_S = 20.0


class TimesAnswers(Protocol):
    """The collector of ``COLLECTOR``, which this process does not import."""

    def take_answers_s(self) -> list[float]:
        """Returns how long each answer took since the last call."""


def measure(say: Say, *, window_s: float = BUSY_S / PAIRS, idle_window_s: float = 1.0, rounds: int = PAIRS) -> list[Figure]:
    """Drives with the learner busy and halted in turn.

    Args:
        say: Takes a line of progress at a time.
        window_s: Duration of a stretch with the learner busy.
        idle_window_s: Duration of a stretch with the learner halted.
        rounds: Number of pairs of stretches.
    """
    with running_program(live_config(), lambda line: say(f"deadline: {line}"), collector=COLLECTOR) as program:
        program.start_learner()
        measures = {"busy": lambda: _answers_ms(program, window_s), "idle": lambda: _idle_answers_ms(program, idle_window_s)}
        readings = interleave(measures, rounds, lambda number: say(f"deadline: round {number} of {rounds}"))
    return deadline_figures(readings["busy"], readings["idle"])


def deadline_figures(busy_ms: list[list[float]], idle_ms: list[list[float]]) -> list[Figure]:
    """Computes the figures: each value is over all stretches together, its extremes are those of single stretches."""
    late_idle = _over_all(idle_ms, _late_share)

    def figure(name: str, value: Spread, unit: str, target: Target | None = None) -> Figure:
        return Figure(name, value, unit, target, "realtime", LIVE_NETWORK)

    return [
        figure("wire_deadline", _over_all(busy_ms, _p99), "ms", DEADLINE_TARGET),
        figure("wire_deadline_control", _over_all(idle_ms, _p99), "ms"),
        figure("wire_late", _over_all(busy_ms, _late_share), "of frames", Target("at most", late_idle.value)),
        figure("wire_late_control", late_idle, "of frames"),
    ]


def _idle_answers_ms(program: LiveProgram, seconds: float) -> list[float]:
    with program.learner_halted():
        return _answers_ms(program, seconds)


def _answers_ms(program: LiveProgram, seconds: float) -> list[float]:
    """Returns the time that each answer of a stretch took, in milliseconds, over all cars."""
    program.ask_collectors(TimesAnswers.take_answers_s)
    program.frame_rate(seconds)
    answers_ms = [
        1000 * answer_s for answers_s in program.ask_collectors(TimesAnswers.take_answers_s) for answer_s in answers_s
    ]
    if not answers_ms:
        raise MeasurementError("no answer was timed: the cars got no frames, or the kernel does not time-stamp them")
    return answers_ms


def _over_all(stretches: list[list[float]], value: Callable[[list[float]], float]) -> Spread:
    each = [value(stretch) for stretch in stretches]
    return Spread(value([answer for stretch in stretches for answer in stretch]), min(each), max(each), len(each))


def _p99(answers_ms: list[float]) -> float:
    return float(np.percentile(answers_ms, 99))


def _late_share(answers_ms: list[float]) -> float:
    return float(np.mean(np.asarray(answers_ms) > 1000 / FRAMES_PER_SECOND))


MEASUREMENTS: tuple[Measurement, ...] = (measure,)
