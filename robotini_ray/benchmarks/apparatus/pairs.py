"""Compares measurements on a machine whose speed drifts.

Readings are repeated and interleaved; the result is the median over pairs of readings that were taken next to each other.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

Key = TypeVar("Key")
Reading = TypeVar("Reading")

PAIRS = 7
"""Default, and least, number of repetitions of a measurement."""


class Spread(NamedTuple):
    """A value with the lowest and the highest reading among its repetitions, and the number of repetitions."""

    value: float
    low: float
    high: float
    pairs: int


def spread(values: Sequence[float]) -> Spread:
    """Returns the median of repeated readings, with their extremes."""
    return Spread(statistics.median(values), min(values), max(values), len(values))


def ratios(over: Sequence[float], under: Sequence[float]) -> Spread:
    """Returns the median ratio of two quantities, with its extremes; each pair was measured at about the same time."""
    return spread([one / other for one, other in zip(over, under, strict=True)])


def interleave(
    measures: Mapping[Key, Callable[[], Reading]], rounds: int, say_round: Callable[[int], None]
) -> dict[Key, list[Reading]]:
    """Takes every measure once a round, in alternating order, so that a steady drift of speed affects all equally.

    Args:
        measures: Functions that take a reading, by the key of their readings in the result.
        rounds: Number of readings of each measure.
        say_round: Is called at the beginning of each round with its number, from 1.

    Returns:
        The readings of each measure in the order taken.
    """
    readings: dict[Key, list[Reading]] = {key: [] for key in measures}
    for number in range(1, rounds + 1):
        say_round(number)
        for key in measures if number % 2 else reversed(list(measures)):
            readings[key].append(measures[key]())
    return readings
