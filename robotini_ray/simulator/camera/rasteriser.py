"""Draws polygons in space into the samples of a picture; the nearest polygon hides the others.

Points are given as (column * depth, row * depth, depth). In these coordinates everything needed is linear: a plane through
three points, the sides of a polygon, and a function of the place on the plane. Nothing has to be clipped: the half-planes
of a polygon's sides in the picture, together with those of the nearest and farthest depth, determine which columns of a row
belong to the polygon, even if some of its corners lie behind the camera (Olano and Greer, Triangle scan conversion using 2D
homogeneous coordinates, 1997).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robotini_ray.machine.compiled import compiled
from robotini_ray.simulator.camera.ground import LEVELS
from robotini_ray.simulator.camera.pixel_view import FAR_M, NEAR_M, SAMPLES
from robotini_ray.simulator.camera.road_strip import COLUMNS, RoadStrip

MOST_SIDES = 4


class Target(NamedTuple):
    """The samples of a picture that is being drawn.

    Attributes:
        nearness: ``<float32>[2 samples, height, width]``, 1 / depth in 1/m, 0 where nothing has been drawn yet.
        colours: ``<int32>[2 samples, height, width]`` of 0xRRGGBB.
        sides: ``<float64>[MOST_SIDES + 2, 4]``, work space for the half-planes of a polygon.
        level_nearness: ``<float64>[LEVELS - 1]``; below each of these, the next coarser copy of the floor is read.
    """

    nearness: NDArray[np.float32]
    colours: NDArray[np.int32]
    sides: NDArray[np.float64]
    level_nearness: NDArray[np.float64]


def make_target(width: int, height: int, level_nearness: NDArray[np.float64]) -> Target:
    """Allocates a target for pictures of one size; its samples are uninitialised.

    Args:
        width: Width of the pictures in pixels.
        height: Height of the pictures in pixels.
        level_nearness: See ``Target``.
    """
    shape = (len(SAMPLES), height, width)
    return Target(np.empty(shape, np.float32), np.empty(shape, np.int32), np.empty((MOST_SIDES + 2, 4)), level_nearness)


@compiled
def edges_beyond(points: Any, width: int, height: int) -> int:
    """Finds the edges of the picture beyond which all of the points lie.

    If two sets of points have a bit in common, whatever they span cannot be seen.

    Args:
        points: ``<float64>[k, 3]``, in the coordinates of the module's docstring.
        width: Width of the picture in pixels.
        height: Height of the picture in pixels.

    Returns:
        One bit for each edge (left 1, right 2, top 4, bottom 8), and 16 for points behind the camera.
    """
    bits = 31
    for k in range(len(points)):
        x, y, depth = points[k, 0], points[k, 1], points[k, 2]
        bits &= (
            (1 if x < 0.0 else 0)
            | (2 if x > width * depth else 0)
            | (4 if y < 0.0 else 0)
            | (8 if y > height * depth else 0)
            | (16 if depth < NEAR_M else 0)
        )
    return bits


@compiled
def fill(target: Target, points: Any, colour: int) -> None:
    """Draws a plane convex polygon in one colour.

    Args:
        target: The picture.
        points: ``<float64>[k, 3]``, at most ``MOST_SIDES`` corners in order.
        colour: The colour 0xRRGGBB.
    """
    height, width = target.colours.shape[1:]
    if edges_beyond(points, width, height):
        return
    seen, per_column, per_row, base = _plane(target.sides, points)
    if seen == 0.0:
        return
    top, bottom = _rows(points, height)
    for sample in range(len(SAMPLES)):
        right, down = SAMPLES[sample]
        for row in range(top, bottom):
            first, end = _columns(target.sides, len(points) + 2, row + down, right, width)
            nearness = base + per_row * (row + down) + per_column * (first + right)
            for column in range(first, end):
                if nearness > target.nearness[sample, row, column]:
                    target.nearness[sample, row, column] = nearness
                    target.colours[sample, row, column] = colour
                nearness += per_column


@compiled
def fill_floor(target: Target, points: Any, places: Any, strip: RoadStrip, turn: float, underside: int) -> None:
    """Draws a triangle of road with the colours of the strip.

    Args:
        target: The picture.
        points: ``<float64>[3, 3]``, the corners.
        places: ``<float64>[3, 2]``, the places (along, across) of the corners in cells of the strip.
        strip: The road of the track.
        turn: The triangle's value in ``RoadStrip.turns``.
        underside: The colour 0xRRGGBB of the triangle where it is seen from below.
    """
    height, width = target.colours.shape[1:]
    if edges_beyond(points, width, height):
        return
    seen, per_column, per_row, base = _plane(target.sides, points)
    if seen * turn > 0.0:
        fill(target, points, underside)
        return
    if seen == 0.0:
        return
    along_column, along_row, along_base = _function(points, places[:, 0], seen)
    across_column, across_row, across_base = _function(points, places[:, 1], seen)
    top, bottom = _rows(points, height)
    level = 0
    for sample in range(len(SAMPLES)):
        right, down = SAMPLES[sample]
        for row in range(top, bottom):
            first, end = _columns(target.sides, len(points) + 2, row + down, right, width)
            y, x = row + down, first + right
            nearness = base + per_row * y + per_column * x
            along = along_base + along_row * y + along_column * x
            across = across_base + across_row * y + across_column * x
            for column in range(first, end):
                if nearness > target.nearness[sample, row, column]:
                    while level < LEVELS - 1 and nearness < target.level_nearness[level]:
                        level += 1
                    while level > 0 and nearness >= target.level_nearness[level - 1]:
                        level -= 1
                    target.nearness[sample, row, column] = nearness
                    target.colours[sample, row, column] = _texel(strip, level, along / nearness, across / nearness)
                nearness += per_column
                along += along_column
                across += across_column


@compiled
def _texel(strip: RoadStrip, level: int, along: float, across: float) -> int:
    """Returns the colour 0xRRGGBB of a place of the strip, given in cells of level 0."""
    i = min(strip.heights[level] - 1, max(0, int(along) >> level))
    columns = COLUMNS >> level
    j = min(columns - 1, max(0, int(across) >> level))
    return strip.texels[strip.starts[level] + i * columns + j]


@compiled
def _cross(a: Any, b: Any) -> tuple[float, float, float]:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


@compiled
def _plane(sides: Any, points: Any) -> tuple[float, float, float, float]:
    """Computes the plane of a polygon and its half-planes.

    The first rows of ``sides`` are filled with the half-planes: (a, b, c, 1 / a) stands for a * column + b * row + c >= 0.

    Returns:
        The volume between the camera and the first three corners; then the nearness per column, per row, and at column and
        row 0. The volume's sign tells from which side the polygon is seen; it is 0 if the polygon is seen edge on.
    """
    first, second, third = _cross(points[1], points[2]), _cross(points[2], points[0]), _cross(points[0], points[1])
    volume = points[0, 0] * first[0] + points[0, 1] * first[1] + points[0, 2] * first[2]
    if abs(volume) < 1e-12:
        return 0.0, 0.0, 0.0, 0.0
    per_column = (first[0] + second[0] + third[0]) / volume
    per_row = (first[1] + second[1] + third[1]) / volume
    base = (first[2] + second[2] + third[2]) / volume
    count = len(points)
    for k in range(count):
        a, b, c = _cross(points[k], points[(k + 1) % count])
        sign = math.copysign(1.0, volume)
        _set_side(sides[k], sign * a, sign * b, sign * c)
    _set_side(sides[count], -per_column, -per_row, 1.0 / NEAR_M - base)
    _set_side(sides[count + 1], per_column, per_row, base - 1.0 / FAR_M)
    return volume, per_column, per_row, base


@compiled
def _set_side(side: Any, a: float, b: float, c: float) -> None:
    side[0], side[1], side[2], side[3] = a, b, c, 1.0 / a if a != 0.0 else 0.0


@compiled
def _function(points: Any, values: Any, volume: float) -> tuple[float, float, float]:
    """Computes the coefficients of a function that is linear on a triangle and has ``values`` at its corners.

    The function is multiplied by the nearness, so that it is linear in the picture.

    Returns:
        The change per column, the change per row, and the value at column and row 0.
    """
    first, second, third = _cross(points[1], points[2]), _cross(points[2], points[0]), _cross(points[0], points[1])
    return (
        (values[0] * first[0] + values[1] * second[0] + values[2] * third[0]) / volume,
        (values[0] * first[1] + values[1] * second[1] + values[2] * third[1]) / volume,
        (values[0] * first[2] + values[1] * second[2] + values[2] * third[2]) / volume,
    )


@compiled
def _rows(points: Any, height: int) -> tuple[int, int]:
    """Returns the first row that a polygon can touch, and the row after the last.

    These are all rows if the polygon reaches behind the camera.
    """
    top, bottom = float(height), 0.0
    for k in range(len(points)):
        if points[k, 2] < NEAR_M:
            return 0, height
        row = points[k, 1] / points[k, 2]
        top, bottom = min(top, row), max(bottom, row)
    return int(max(0.0, top)), int(min(float(height), bottom + 1.0))


@compiled
def _columns(sides: Any, count: int, row: float, right: float, width: int) -> tuple[int, int]:
    """Returns the first column of a row whose sample lies within all half-planes, and the column after the last.

    Args:
        right: Place of the sample in its pixel, to the right of the left edge, 0..1.
    """
    low, high = 0.0, float(width)
    for k in range(count):
        value = sides[k, 1] * row + sides[k, 2]
        if sides[k, 0] > 0.0:
            low = max(low, -value * sides[k, 3])
        elif sides[k, 0] < 0.0:
            high = min(high, -value * sides[k, 3])
        elif value < 0.0:
            return 0, 0
    if low > high:
        return 0, 0
    return math.ceil(max(0.0, low - right)), min(width, math.floor(high - right) + 1)
