"""Measures ``overlap``: how much of its speed each half of the program keeps while the other half works, in real time.

The figure is a sum of two ratios: the frame rate of six cars with the learner running over that with it halted, and the
train steps per second of the learner (one thread) with the cars driving over those with simulator and collectors halted.
It is 2 if neither half slows the other.
"""

from __future__ import annotations

from typing import NamedTuple

from robotini_ray.benchmarks.apparatus.figure import Figure, Measurement, Say, Target
from robotini_ray.benchmarks.apparatus.live_program import LIVE_NETWORK, LiveProgram, live_config, running_program
from robotini_ray.benchmarks.apparatus.pairs import PAIRS, Spread, interleave, ratios, spread

TARGET = Target("at least", 1.85)


class Both(NamedTuple):
    """Rates of both halves of the program: frames and train steps per second; 0 for a halted half."""

    frames_per_s: float
    steps_per_s: float


def measure(say: Say, *, window_s: float = 0.9, rounds: int = PAIRS) -> list[Figure]:
    """Measures both halves together and each alone.

    Args:
        say: Takes a line of progress at a time.
        window_s: Duration of a stretch.
        rounds: Number of rounds, each of which measures all three states.
    """
    with running_program(live_config(), lambda line: say(f"overlap: {line}")) as program:
        program.start_learner()
        measures = {
            "cars": lambda: _cars_alone(program, window_s),
            "both": lambda: _both(program, window_s),
            "learner": lambda: _learner_alone(program, window_s),
        }
        readings = interleave(measures, rounds, lambda number: say(f"overlap: round {number} of {rounds}"))
    return overlap_figures(readings["cars"], readings["both"], readings["learner"])


def overlap_figures(cars: list[Both], both: list[Both], learner: list[Both]) -> list[Figure]:
    """Computes the figures: the sum and its two terms."""
    collecting = ratios([one.frames_per_s for one in both], [one.frames_per_s for one in cars])
    training = ratios([one.steps_per_s for one in both], [one.steps_per_s for one in learner])
    sums = spread(
        [
            one.frames_per_s / car.frames_per_s + one.steps_per_s / alone.steps_per_s
            for one, car, alone in zip(both, cars, learner, strict=True)
        ]
    )

    def figure(name: str, value: Spread, target: Target | None = None) -> Figure:
        return Figure(name, value, "of alone", target, "realtime", LIVE_NETWORK)

    return [figure("overlap", sums, TARGET), figure("overlap_collecting", collecting), figure("overlap_training", training)]


def _cars_alone(program: LiveProgram, seconds: float) -> Both:
    with program.learner_halted():
        return Both(program.frame_rate(seconds).per_s, 0.0)


def _learner_alone(program: LiveProgram, seconds: float) -> Both:
    with program.cars_halted():
        return Both(0.0, program.learner_rate(seconds).per_s)


def _both(program: LiveProgram, seconds: float) -> Both:
    """Measures the two rates one after the other while both halves work."""
    return Both(program.frame_rate(seconds).per_s, program.learner_rate(seconds).per_s)


MEASUREMENTS: tuple[Measurement, ...] = (measure,)
