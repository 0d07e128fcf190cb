"""Finds places on the track where a car can be put without overlapping another car."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from robotini_ray.simulator.world.contacts import LEVEL_M, REACH_M
from robotini_ray.simulator.world.physics import BODY_HEIGHT_M
from robotini_ray.track.track import Track

FREE_DISTANCE_M = 2 * REACH_M + 0.004  # between the centres of two cars, for any headings
SEARCH_STEP_M = 0.02
ROOM_M = FREE_DISTANCE_M + SEARCH_STEP_M  # length of the line that one car needs when many stand on it


def start_arc_m(track: Track, gap_m: float, index: int) -> float:
    """Returns the arc of the ``index``-th car (from 0) when cars start ``gap_m`` apart, the first on the finish line."""
    return -index * gap_m % track.length_m


def nearest_free_arc(track: Track, wanted_m: float, offset_m: float, taken: NDArray[np.float64]) -> float | None:
    """Finds the arc nearest to ``wanted_m`` where a car keeps ``FREE_DISTANCE_M`` from all others.

    Args:
        track: The track.
        wanted_m: The preferred arc, in metres.
        offset_m: The car's distance to the right of the centre line.
        taken: The positions (x, y, z) of the other cars in metres, ``<float64>[n, 3]``.

    Returns:
        The arc in metres, or None if there is no free place.
    """
    for step in range(math.ceil(track.length_m / 2 / SEARCH_STEP_M)):
        for arc_m in (wanted_m + step * SEARCH_STEP_M, wanted_m - step * SEARCH_STEP_M):
            x, z, heading = track.pose(arc_m)
            x, z = x + offset_m * math.cos(heading), z - offset_m * math.sin(heading)
            y = track.height(arc_m) + BODY_HEIGHT_M
            apart = np.hypot(taken[:, 0] - x, taken[:, 2] - z) > FREE_DISTANCE_M
            if (apart | (np.abs(taken[:, 1] - y) > LEVEL_M)).all():  # or one is on a bridge and the other below
                return arc_m % track.length_m
    return None
