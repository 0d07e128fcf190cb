"""Comparisons on a machine whose speed wanders: repeated, interleaved, judged by the median of what lay side by side."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

Key = TypeVar("Key")
Reading = TypeVar("Reading")

PAIRS = 7
"""Repetitions of every measurement, at least."""


class Spread(NamedTuple):
    """A value, the lowest and the highest of the repetitions it stands for, and their number."""

    value: float
    low: float
    high: float
    pairs: int


def spread(values: Sequence[float]) -> Spread:
    """The median of repetitions, with their extremes."""
    return Spread(statistics.median(values), min(values), max(values), len(values))


def ratios(over: Sequence[float], under: Sequence[float]) -> Spread:
    """The ratio of two quantities, each pair of which was measured at about the same time."""
    return spread([one / other for one, other in zip(over, under, strict=True)])


def interleave(
    measures: Mapping[Key, Callable[[], Reading]], rounds: int, say_round: Callable[[int], None]
) -> dict[Key, list[Reading]]:
    """Takes every measure once a round, forwards and backwards in turn, so that a steady drift hits all alike.

    Args:
        measures: what takes a reading, by what the readings are kept under.
        rounds: how often each is taken.
        say_round: is told the number of each round, from 1, when it begins.
    """
    readings: dict[Key, list[Reading]] = {key: [] for key in measures}
    for number in range(1, rounds + 1):
        say_round(number)
        for key in measures if number % 2 else reversed(list(measures)):
            readings[key].append(measures[key]())
    return readings
