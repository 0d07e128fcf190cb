"""Where a car may be put without standing in another."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from robotini_ray.simulator.world.contacts import LEVEL_M, REACH_M
from robotini_ray.simulator.world.physics import BODY_HEIGHT_M
from robotini_ray.track.track import Track

FREE_DISTANCE_M = 2 * REACH_M + 0.004  # between the centres of two cars, however they are turned
SEARCH_STEP_M = 0.02
ROOM_M = FREE_DISTANCE_M + SEARCH_STEP_M  # of the line, for one car of many


def start_arc_m(track: Track, gap_m: float, index: int) -> float:
    """The place of the `index`-th car (from 0) of those that start `gap_m` apart; the first stands on the finish line."""
    return -index * gap_m % track.length_m


def nearest_free_arc(track: Track, wanted_m: float, offset_m: float, taken: NDArray[np.float64]) -> float | None:
    """The arc nearest to `wanted_m` where a car `offset_m` right of the line keeps away from all those in `taken`.

    `taken` is float64[n, 3] of the other cars' (x, y, z). None if there is no such place.
    """
    for step in range(math.ceil(track.length_m / 2 / SEARCH_STEP_M)):
        for arc_m in (wanted_m + step * SEARCH_STEP_M, wanted_m - step * SEARCH_STEP_M):
            x, z, heading = track.pose(arc_m)
            x, z = x + offset_m * math.cos(heading), z - offset_m * math.sin(heading)
            y = track.height(arc_m) + BODY_HEIGHT_M
            apart = np.hypot(taken[:, 0] - x, taken[:, 2] - z) > FREE_DISTANCE_M
            if (apart | (np.abs(taken[:, 1] - y) > LEVEL_M)).all():  # or above each other, on a bridge and under it
                return arc_m % track.length_m
    return None
