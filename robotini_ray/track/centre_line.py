"""Computes poses, heights, walls and nearest points on a track's centre line in compiled code.

Units and signs are those of ``track.track``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robotini_ray.machine.compiled import compiled

FloatArray = NDArray[np.float64]

WALL_OFFSET_M = 0.44  # distance of the walls' inner faces from the centre line
HEIGHT, SLOPE, LEFT_WALL, RIGHT_WALL = range(4)  # columns of ``Line.profile``
LEVEL_M = 0.15  # points whose heights differ more are on different levels of a bridge
LEVEL_WEIGHT = 5.0  # weight of height against plan distance where legs cross at different heights


class Line(NamedTuple):
    """The samples of a centre line for compiled code; see ``track.track.Track`` for the meaning of most fields.

    Attributes:
        profile: ``<float64>[n, 4]``: height and slope of the road, and distance of the first wall to the left and to the right.
            It is one array because every array costs time whenever a line is passed to a function.
        narrowest_m: The smallest distance of a wall.
    """

    points: FloatArray
    arc_m: FloatArray
    headings_rad: FloatArray
    length_m: float
    is_flat: bool
    profile: FloatArray
    narrowest_m: float


def room_to_walls(points: FloatArray, headings: FloatArray, heights: FloatArray) -> FloatArray:
    """Returns the distance of the first wall to the left and to the right of each sample, ``<float64>[n, 2]``.

    This is 0.44 m, unless another leg on the same level, or the other end of a very tight bend, is so close that its wall
    comes first.
    """
    rights = np.stack([np.cos(headings), -np.sin(headings)], axis=1)
    sides = [points - WALL_OFFSET_M * rights, points + WALL_OFFSET_M * rights]
    feet = np.concatenate(sides)
    edges = np.concatenate([np.roll(side, -1, axis=0) for side in sides]) - feet
    levels = np.tile(heights, 2)
    walls_m = np.full((len(points), 2), WALL_OFFSET_M)
    for index, (point, height) in enumerate(zip(points, heights, strict=True)):
        gaps, same_level = feet - point, np.abs(levels - height) < LEVEL_M
        for side, (x, z) in enumerate((-rights[index], rights[index])):
            across = x * edges[:, 1] - z * edges[:, 0]
            across[across == 0] = np.inf  # a parallel wall is never met
            away_m = (gaps[:, 0] * edges[:, 1] - gaps[:, 1] * edges[:, 0]) / across
            part = (gaps[:, 0] * z - gaps[:, 1] * x) / across
            met = same_level & (part >= 0) & (part <= 1) & (away_m > 0) & (away_m < WALL_OFFSET_M - 1e-6)
            walls_m[index, side] = away_m[met].min(initial=WALL_OFFSET_M)
    return walls_m


@compiled
def _sample_before(arc_m: FloatArray, arc: float) -> int:
    """Returns the index of the last sample at or before ``arc``, which lies in [0, length)."""
    low, high = 0, len(arc_m)
    while high - low > 1:
        middle = (low + high) // 2
        if arc_m[middle] <= arc:
            low = middle
        else:
            high = middle
    return low


@compiled
def _interpolated_heading(headings: FloatArray, index: int, part: float) -> float:
    following = headings[(index + 1) % len(headings)]
    turn = (following - headings[index] + math.pi) % (2 * math.pi) - math.pi
    return headings[index] + part * turn


@compiled
def _place_of(line: Line, arc: float) -> tuple[int, int, float]:
    """Returns the samples before and after ``arc`` (modulo the length), and its position between them from 0 to 1."""
    arc = arc % line.length_m
    index = _sample_before(line.arc_m, arc)
    following = (index + 1) % len(line.arc_m)
    end = line.arc_m[following] if following else line.length_m
    return index, following, (arc - line.arc_m[index]) / (end - line.arc_m[index])


@compiled
def pose_on(line: Line, arc: float) -> tuple[float, float, float]:
    """Returns (x, z, heading) on the line at arc length ``arc``, taken modulo the length."""
    index, following, part = _place_of(line, arc)
    x = line.points[index, 0] + part * (line.points[following, 0] - line.points[index, 0])
    z = line.points[index, 1] + part * (line.points[following, 1] - line.points[index, 1])
    return x, z, _interpolated_heading(line.headings_rad, index, part)


@compiled
def _interpolated(line: Line, column: int, arc: float) -> float:
    index, following, part = _place_of(line, arc)
    return line.profile[index, column] + part * (line.profile[following, column] - line.profile[index, column])


@compiled
def height_on(line: Line, arc: float) -> float:
    """Returns the height of the line at arc length ``arc``, taken modulo the length."""
    return _interpolated(line, HEIGHT, arc)


@compiled
def slope_on(line: Line, arc: float) -> float:
    """Returns the slope of the line (rad, positive uphill) at arc length ``arc``, taken modulo the length."""
    return _interpolated(line, SLOPE, arc)


@compiled
def wall_on(line: Line, arc: float, side: float) -> float:
    """Returns the distance from the line to its first wall at ``arc``, to the right if ``side`` is positive, else left."""
    return _interpolated(line, RIGHT_WALL if side > 0.0 else LEFT_WALL, arc)


@compiled
def _nearest_chord(line: Line, x: float, z: float, near: float, window_m: float) -> tuple[int, float]:
    """Returns the chord nearest to (x, z), and the position of its nearest point along it from 0 to 1."""
    n = len(line.arc_m)
    whole = 2 * window_m >= line.length_m
    first = 0 if whole else _sample_before(line.arc_m, (near - window_m) % line.length_m)
    limit_m = math.inf if whole else 2 * window_m
    best, best_part, best_square, passed_m = 0, 0.0, math.inf, 0.0
    for step in range(n):
        index = (first + step) % n
        following = (index + 1) % n
        chord_m = (line.arc_m[following] if following else line.length_m) - line.arc_m[index]
        chord_x = line.points[following, 0] - line.points[index, 0]
        chord_z = line.points[following, 1] - line.points[index, 1]
        gap_x = x - line.points[index, 0]
        gap_z = z - line.points[index, 1]
        plan = chord_x * chord_x + chord_z * chord_z
        part = min(1.0, max(0.0, (gap_x * chord_x + gap_z * chord_z) / plan))
        square = (gap_x - part * chord_x) ** 2 + (gap_z - part * chord_z) ** 2
        if square < best_square:
            best, best_part, best_square = index, part, square
        passed_m += chord_m
        if passed_m > limit_m + chord_m:
            break
    return best, best_part


@compiled
def locate_on(line: Line, x: float, z: float, near: float, window_m: float) -> tuple[float, float, float]:
    """Returns (arc, offset, heading) of the point of the line nearest to (x, z).

    Only the part of the line within ``window_m`` of arc ``near`` is searched. The offset is positive to the right.
    """
    index, part = _nearest_chord(line, x, z, near, window_m)
    following = (index + 1) % len(line.arc_m)
    chord_x = line.points[following, 0] - line.points[index, 0]
    chord_z = line.points[following, 1] - line.points[index, 1]
    chord_m = (line.arc_m[following] if following else line.length_m) - line.arc_m[index]
    gap_x = x - line.points[index, 0] - part * chord_x
    gap_z = z - line.points[index, 1] - part * chord_z
    # (dz, -dx) points to the right of a chord, so the sign of this product gives the side. The distance is the length of
    # the whole gap, which on the outside of a vertex is more than its component along that normal.
    side = gap_x * chord_z - gap_z * chord_x
    offset = math.copysign(math.hypot(gap_x, gap_z), side)
    arc = (line.arc_m[index] + part * chord_m) % line.length_m
    return arc, offset, _interpolated_heading(line.headings_rad, index, part)
