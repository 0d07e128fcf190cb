"""Models a track with height: the corners of its road and walls in space, and the colours along its floor.

The model is made once per track. The floor's colours lie in a strip that is unrolled along the centre line and includes
sunlight and the shadows of walls and bridges. A pyramid of coarser copies keeps distant floor from flickering.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robotini_ray.machine.compiled import compiled
from robotini_ray.simulator.camera.ground import (
    BLACK,
    CELL_M,
    FINISH_DASH_M,
    FINISH_HALF_WIDTH_M,
    FLOOR_HALF_WIDTH_M,
    LEVELS,
    SHADED,
    STRIPE_EDGES,
    STRIPES,
    SUNLIGHT,
    SUNLIT,
    WALL_HEIGHT_M,
    Colour,
    pyramid,
)
from robotini_ray.track.centre_line import WALL_OFFSET_M, Line, height_on, pose_on
from robotini_ray.track.track import Track

FloatArray = NDArray[np.float64]

# Corners of a section across the road, from left to right: offset from the centre line and height above the floor.
CORNER_OFFSETS_M = (
    -FLOOR_HALF_WIDTH_M,
    -FLOOR_HALF_WIDTH_M,
    -WALL_OFFSET_M,
    -WALL_OFFSET_M,
    WALL_OFFSET_M,
    WALL_OFFSET_M,
    FLOOR_HALF_WIDTH_M,
    FLOOR_HALF_WIDTH_M,
)
CORNER_HEIGHTS_M = (WALL_HEIGHT_M, 0.0, 0.0, WALL_HEIGHT_M, WALL_HEIGHT_M, 0.0, 0.0, WALL_HEIGHT_M)
LEFT_EDGE, RIGHT_EDGE = 1, 6  # corners that bound the floor
LEFT_WALL, RIGHT_WALL = 2, 5  # the feet of the walls' inner faces
WALL_FACES = ((0, 1), (2, 3), (4, 5), (6, 7))  # pairs of corners; with the next section's, each spans a face

BLOCK = 2 ** (LEVELS - 1)
COLUMNS = math.ceil(2 * FLOOR_HALF_WIDTH_M / CELL_M / BLOCK) * BLOCK
CELL_ACROSS_M = 2 * FLOOR_HALF_WIDTH_M / COLUMNS
LIGHT_PER_M = (SUNLIGHT[0] / -SUNLIGHT[1], SUNLIGHT[2] / -SUNLIGHT[1])  # shift (x, z) of the shadow per metre of height
CLEAR_HEIGHT_M = 0.1  # road that is more than this higher is another level and casts a shadow


class RoadStrip(NamedTuple):
    """The road of a track, in a form that compiled code takes.

    Attributes:
        corners: ``<float64>[n + 1, 8, 3]``, (x, y, z) of the corners of each section; the last section repeats the first at
            the end of the lap.
        arc_m: ``<float64>[n + 1]``, where along the centre line the sections stand.
        turns: ``<float64>[n, 2]``, for both triangles of each piece of floor (left, right, next right; left, next right, next
            left): 1, or -1 where the inside of a very tight bend folds over.
        texels: ``<int32>[cells]`` of 0xRRGGBB, all levels of the floor's colours one after the other, each by rows from the
            finish line on, from left to right. Level k has cells of ``cell_along_m * 2**k`` by ``CELL_ACROSS_M * 2**k``.
        starts: ``<int64>[levels]``, the index in ``texels`` at which each level starts.
        heights: ``<int64>[levels]``, the number of rows of each level; level k has ``COLUMNS / 2**k`` columns.
        cell_along_m: Length of a cell of level 0 along the centre line.
    """

    corners: FloatArray
    arc_m: FloatArray
    turns: FloatArray
    texels: NDArray[np.int32]
    starts: NDArray[np.int64]
    heights: NDArray[np.int64]
    cell_along_m: float


@lru_cache(maxsize=4)
def map_strip(track: Track) -> RoadStrip:
    """Paints the floor of a track, which takes some tenths of a second.

    The result is cached, so that all simulators in one process share it.
    """
    corners = _corners(track)
    rows = math.ceil(track.length_m / CELL_M / BLOCK) * BLOCK
    shaded = np.zeros((rows, COLUMNS), np.bool_)
    _cast_shadows(shaded, track.line, corners)
    colours = np.where(shaded[..., None], _stripes(SHADED), _stripes(SUNLIT))
    _paint_finish_line(colours, track.length_m / rows)
    texels, starts, _, heights = pyramid(colours.astype(np.uint8))
    arc_m = np.append(track.arc_m, track.length_m)
    return RoadStrip(corners, arc_m, _turns(corners), texels, starts, heights, track.length_m / rows)


def _corners(track: Track) -> FloatArray:
    rights = np.stack([np.cos(track.headings_rad), -np.sin(track.headings_rad)], axis=1)
    plan = track.points[:, None] + np.array(CORNER_OFFSETS_M)[None, :, None] * rights[:, None]
    heights = track.heights_m[:, None] + np.array(CORNER_HEIGHTS_M)
    sections = np.stack([plan[..., 0], heights, plan[..., 1]], axis=-1)
    return np.concatenate([sections, sections[:1]])


def _turns(corners: FloatArray) -> FloatArray:
    left, right = corners[:-1, LEFT_EDGE], corners[:-1, RIGHT_EDGE]
    next_left, next_right = corners[1:, LEFT_EDGE], corners[1:, RIGHT_EDGE]
    upwards = [np.cross(b - a, c - a)[:, 1] for a, b, c in ((left, right, next_right), (left, next_right, next_left))]
    # Left, right, ahead run counterclockwise as seen from above; in Unity's left-handed frame the normal then points down.
    return np.where(np.stack(upwards, axis=1) <= 0, 1.0, -1.0)


def _stripes(colours: tuple[Colour, ...]) -> NDArray[np.float32]:
    """Returns the floor's red, green and blue from its left to its right edge, ``<float32>[COLUMNS, 3]``.

    The edges of the stripes are softened.
    """
    samples = (np.arange(COLUMNS)[:, None] + (np.arange(3) + 0.5) / 3) * (256 / COLUMNS)
    stripe = np.searchsorted(STRIPE_EDGES, samples, side="right") - 1
    return np.array(colours, np.float32)[np.array(STRIPES)[stripe]].mean(axis=1).round()


def _paint_finish_line(colours: NDArray[np.float32], cell_along_m: float) -> None:
    """Paints black dashes across both ends of the strip."""
    across = (np.arange(COLUMNS) + 0.5) * CELL_ACROSS_M - FLOOR_HALF_WIDTH_M
    dash = np.floor(across / FINISH_DASH_M).astype(int) % 2 == 0
    reach = round(FINISH_HALF_WIDTH_M / cell_along_m)
    colours[:reach, dash] = colours[-reach:, dash] = SHADED[BLACK]


@compiled
def _cast_shadows(shaded: Any, line: Line, corners: Any) -> None:
    """Marks the cells of the floor that lie in the shadow of a wall or of a bridge.

    Args:
        shaded: ``<bool>[rows, COLUMNS]``, set where there is shadow.
        line: The centre line.
        corners: ``RoadStrip.corners``.
    """
    quad = np.empty((4, 2))
    for row in range(len(shaded)):
        arc = (row + 0.5) / len(shaded) * line.length_m
        x, z, heading = pose_on(line, arc)
        height = height_on(line, arc)
        for piece in range(len(corners) - 1):
            up = corners[piece, LEFT_EDGE, 1] - height
            if up < -WALL_HEIGHT_M:
                continue
            gap_x = (corners[piece, LEFT_EDGE, 0] + corners[piece, RIGHT_EDGE, 0]) / 2 + up * LIGHT_PER_M[0] - x
            gap_z = (corners[piece, LEFT_EDGE, 2] + corners[piece, RIGHT_EDGE, 2]) / 2 + up * LIGHT_PER_M[1] - z
            if gap_x * gap_x + gap_z * gap_z > 1.5 * 1.5:  # covers the floor up to its edges, the shadow and a piece's length
                continue
            for corner in (LEFT_WALL, RIGHT_WALL):
                for k in range(2):
                    foot = corners[piece + k, corner]
                    _throw(quad[k], foot, max(0.0, foot[1] - height))
                    _throw(quad[3 - k], foot, max(0.0, foot[1] - height + WALL_HEIGHT_M))
                _mark(shaded[row], quad, x, z, heading)
            if up > CLEAR_HEIGHT_M:
                for k in range(2):
                    left, right = corners[piece + k, LEFT_EDGE], corners[piece + k, RIGHT_EDGE]
                    _throw(quad[k], left, left[1] - height)
                    _throw(quad[3 - k], right, right[1] - height)
                _mark(shaded[row], quad, x, z, heading)


@compiled
def _throw(shadow: Any, point: Any, up: float) -> None:
    """Writes the place (x, z) of a point's shadow on a floor ``up`` metres below the point into ``shadow``."""
    shadow[0] = point[0] + up * LIGHT_PER_M[0]
    shadow[1] = point[2] + up * LIGHT_PER_M[1]


@compiled
def _mark(shaded: Any, quad: Any, x: float, z: float, heading: float) -> None:
    """Marks the cells of a row across the road at (x, z) whose middles lie in a convex quadrilateral.

    Args:
        shaded: ``<bool>[COLUMNS]``, the row.
        quad: ``<float64>[4, 2]``, the corners (x, z) in order.
        x: Place of the row on the centre line along x, in metres.
        z: Place of the row on the centre line along z, in metres.
        heading: Heading of the centre line there, in radians.
    """
    right_x, right_z = math.cos(heading), -math.sin(heading)
    low, high = -FLOOR_HALF_WIDTH_M, FLOOR_HALF_WIDTH_M
    area = (quad[2, 0] - quad[0, 0]) * (quad[3, 1] - quad[1, 1]) - (quad[2, 1] - quad[0, 1]) * (quad[3, 0] - quad[1, 0])
    for k in range(4):
        edge_x, edge_z = quad[(k + 1) % 4, 0] - quad[k, 0], quad[(k + 1) % 4, 1] - quad[k, 1]
        # A place is inside where ``start + offset * rate`` is positive: the side of the edge times the corners' turning sense.
        start = math.copysign(1.0, area) * (edge_x * (z - quad[k, 1]) - edge_z * (x - quad[k, 0]))
        rate = math.copysign(1.0, area) * (edge_x * right_z - edge_z * right_x)
        if rate > 1e-12:
            low = max(low, -start / rate)
        elif rate < -1e-12:
            high = min(high, -start / rate)
        elif start < 0.0:
            return
    first = math.ceil((low + FLOOR_HALF_WIDTH_M) / CELL_ACROSS_M - 0.5)
    last = math.floor((high + FLOOR_HALF_WIDTH_M) / CELL_ACROSS_M - 0.5)
    for column in range(max(0, first), min(COLUMNS, last + 1)):
        shaded[column] = True
