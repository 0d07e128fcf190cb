"""Deals out the collecting cars: each car's name, colour and exploration noise, and the collector that drives it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from robotini_ray.config import Config
from robotini_ray.policy.exploration import noise_ladder
from robotini_ray.program.placement import Share
from robotini_ray.run.reports import CarSeat

COLORS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf")


@dataclasses.dataclass(frozen=True)
class Crew:
    """The cars of one collector.

    Attributes:
        name: The collector's name.
        share: The index of the share of the plan that the cars belong to.
        seats: The cars, at most ``collection.cars_per_collector``.
    """

    name: str
    share: int
    seats: tuple[CarSeat, ...]


def deal_cars(config: Config, shares: Sequence[Share], tag: str) -> list[Crew]:
    """Deals the cars of a config out to the shares of a plan, so that each share has the whole ladder of noise.

    Args:
        config: The run's config.
        shares: The shares of the plan, with the number of cars of each.
        tag: The beginning of the cars' names.
    """
    dealt: list[list[CarSeat]] = [[] for _ in shares]
    for seat in _seats(config, tag):
        emptiest = min(range(len(shares)), key=lambda k: len(dealt[k]) / shares[k].cars)
        dealt[emptiest].append(seat)
    size = config.collection.cars_per_collector
    groups = [(share, tuple(seats[k : k + size])) for share, seats in enumerate(dealt) for k in range(0, len(seats), size)]
    return [Crew(f"collector-{index}", share, seats) for index, (share, seats) in enumerate(groups)]


def _seats(config: Config, tag: str) -> list[CarSeat]:
    collection, seed = config.collection, config.run.seed
    ladder = noise_ladder(collection.cars, collection.noise_low, collection.noise_high)
    return [
        CarSeat(f"{tag}-car{index}", COLORS[index % len(COLORS)], stddev, seed * 1000 + index)
        for index, stddev in enumerate(ladder)
    ]
