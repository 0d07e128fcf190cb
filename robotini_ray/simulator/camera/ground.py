"""Maps a track's ground as seen from above: its colours, and the room between its walls.

Both maps are made once per track. The colours are those that the camera sees in the real simulator, with sunlight and the
walls' shadows included. The camera reads them through a pyramid of coarser copies, so that distant floor does not flicker.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from robotini_ray.machine.compiled import compiled
from robotini_ray.track.centre_line import WALL_OFFSET_M
from robotini_ray.track.track import Line, Track

FLOOR_HALF_WIDTH_M = 0.45
WALL_HEIGHT_M = 0.15
SUNLIGHT = (-0.2265, -0.5392, -0.8112)  # direction in which the light travels: x, y, z

Colour = tuple[int, int, int]  # red, green, blue

# Left edge of each stripe in 256ths of the floor's width, from left to right, and its colour in the sun and in the shadow.
STRIPE_EDGES = (0, 14, 80, 85, 171, 176, 241)
BLACK, RED, BLUE, GREEN = range(4)
STRIPES = (BLACK, RED, BLACK, BLUE, BLACK, GREEN, BLACK)
SUNLIT: tuple[Colour, ...] = ((30, 26, 23), (238, 57, 98), (66, 108, 156), (62, 217, 142))
SHADED: tuple[Colour, ...] = ((18, 16, 15), (135, 39, 64), (39, 63, 90), (37, 129, 89))

FINISH_HALF_WIDTH_M = 0.0125
FINISH_DASH_M = 0.05

CELL_M = 0.003
LEVELS = 6
CLEARANCE_EVERY = 6  # colour cells per cell of the clearance map, in both directions
CLEARANCE_CELL_M = CELL_M * CLEARANCE_EVERY
PAINTED_M = 0.56  # distance from the centre line up to which the offset is mapped
OUTSIDE_M = 9.0  # offset that is stored farther out
WALL_HALF_M = 0.005  # half of a wall's thickness
SEEN_WALL_HALF_M = 0.012  # for a wall in the road, so that none is lost between cells of the clearance map


class GroundMap(NamedTuple):
    """The maps of a track, in a form that compiled code takes.

    Attributes:
        x_m: Where the maps' first cells begin, along x.
        z_m: Where the maps' first cells begin, along z.
        texels: ``<int32>[cells]`` of 0xRRGGBB, all levels one after the other, each by rows of z. Level k has cells that are
            ``CELL_M * 2**k`` wide.
        starts: ``<int64>[levels]``, the index in ``texels`` at which each level starts.
        widths: ``<int64>[levels]``, the number of columns of each level.
        heights: ``<int64>[levels]``, the number of rows of each level.
        clearance: ``<float32>[rows, columns]`` of cells that are ``CLEARANCE_CELL_M`` wide: metres from the middle of the
            cell to the nearest wall, negative beyond it.
    """

    x_m: float
    z_m: float
    texels: NDArray[np.int32]
    starts: NDArray[np.int64]
    widths: NDArray[np.int64]
    heights: NDArray[np.int64]
    clearance: NDArray[np.float32]


@lru_cache(maxsize=4)
def map_ground(track: Track) -> GroundMap:
    """Paints the maps of a flat track, which takes about half a second.

    The maps are cached, so that all simulators in one process share them.
    """
    block = 2 ** (LEVELS - 1) * CLEARANCE_EVERY
    low = track.points.min(axis=0) - PAINTED_M - CELL_M * block
    high = track.points.max(axis=0) + PAINTED_M + CELL_M * block
    columns, rows = (math.ceil((high[k] - low[k]) / CELL_M / block) * block for k in (0, 1))
    offsets = np.full((rows, columns), OUTSIDE_M, np.float32)
    _paint_offsets(offsets, track.line, float(low[0]), float(low[1]))
    room = np.clip(WALL_OFFSET_M - np.abs(offsets), WALL_OFFSET_M - PAINTED_M, None)
    _stand_walls_in_the_road(offsets, room, track, low)
    colours = np.zeros((rows, columns, 3), np.uint8)
    _paint_colours(colours, offsets, _stripe_table(SUNLIT), _stripe_table(SHADED), _steps_to_sun())
    _paint_finish_line(colours, offsets, track.pose(0.0), float(low[0]), float(low[1]))
    size = (columns // CLEARANCE_EVERY, rows // CLEARANCE_EVERY)
    clearance = cv2.resize(room, size, interpolation=cv2.INTER_AREA)
    return GroundMap(float(low[0]), float(low[1]), *pyramid(colours), clearance)


def _stripe_table(colours: tuple[Colour, ...]) -> NDArray[np.float32]:
    """Returns the floor's red, green and blue from its left to its right edge, ``<float32>[256, 3]``."""
    stripe = np.searchsorted(STRIPE_EDGES, np.arange(256), side="right") - 1
    return np.array(colours, np.float32)[np.array(STRIPES)[stripe]]


def _steps_to_sun() -> NDArray[np.int64]:
    """Returns the cells (row, column) that a ray from a point of the floor towards the sun passes, ``<int64>[steps, 2]``.

    They are relative to the point's cell and end where the ray reaches the height of the walls.
    """
    reach_m = WALL_HEIGHT_M / -SUNLIGHT[1]
    shadow_m = np.array([-SUNLIGHT[2] * reach_m, -SUNLIGHT[0] * reach_m])
    steps = math.ceil(np.hypot(*shadow_m) / 0.008)  # short enough not to pass over a wall 0.01 m thick
    return np.round(np.arange(1, steps + 1)[:, None] / steps * shadow_m / CELL_M).astype(np.int64)


def pyramid(colours: NDArray[np.uint8]) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Makes ``LEVELS`` copies of a picture, each with half the resolution of the one before.

    Args:
        colours: ``<uint8>[rows, columns, 3]``, red, green and blue.

    Returns:
        The copies one after the other as ``<int32>`` of 0xRRGGBB, the index at which each starts, and the numbers of
        columns and of rows of each.
    """
    packed, widths, heights = [], [], []
    for _ in range(LEVELS):
        heights.append(colours.shape[0])
        widths.append(colours.shape[1])
        wide = colours.astype(np.int32)
        packed.append((wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]).ravel())
        colours = cv2.resize(colours, (widths[-1] // 2, heights[-1] // 2), interpolation=cv2.INTER_AREA)
    starts = np.cumsum([0] + [len(level) for level in packed[:-1]])
    return np.concatenate(packed), starts, np.array(widths), np.array(heights)


@compiled
def _paint_offsets(offsets: Any, line: Line, low_x: float, low_z: float) -> None:
    """Writes the signed distance of every cell from the nearest chord of the centre line, where it is under ``PAINTED_M``.

    Args:
        offsets: ``<float32>[rows, columns]``, in metres, positive to the right of the line.
        line: The centre line.
        low_x: Where the first column begins, in metres.
        low_z: Where the first row begins, in metres.
    """
    rows, columns = offsets.shape
    n = len(line.arc_m)
    for index in range(n):
        x, z = line.points[index, 0], line.points[index, 1]
        chord_x = line.points[(index + 1) % n, 0] - x
        chord_z = line.points[(index + 1) % n, 1] - z
        square_m2 = chord_x * chord_x + chord_z * chord_z
        first_row = max(0, int((min(z, z + chord_z) - PAINTED_M - low_z) / CELL_M))
        last_row = min(rows, int((max(z, z + chord_z) + PAINTED_M - low_z) / CELL_M) + 1)
        first_column = max(0, int((min(x, x + chord_x) - PAINTED_M - low_x) / CELL_M))
        last_column = min(columns, int((max(x, x + chord_x) + PAINTED_M - low_x) / CELL_M) + 1)
        for row in range(first_row, last_row):
            gap_z = low_z + (row + 0.5) * CELL_M - z
            for column in range(first_column, last_column):
                gap_x = low_x + (column + 0.5) * CELL_M - x
                part = min(1.0, max(0.0, (gap_x * chord_x + gap_z * chord_z) / square_m2))
                away_x, away_z = gap_x - part * chord_x, gap_z - part * chord_z
                away_m2 = away_x * away_x + away_z * away_z
                if away_m2 < PAINTED_M * PAINTED_M and away_m2 < offsets[row, column] ** 2:
                    side = gap_x * chord_z - gap_z * chord_x
                    offsets[row, column] = math.copysign(math.sqrt(away_m2), side)


def _stand_walls_in_the_road(
    offsets: NDArray[np.float32], room: NDArray[np.float32], track: Track, low: NDArray[np.float64]
) -> None:
    """Adds the walls that stand in the road to the offsets and the room.

    Where legs of the road run closer side by side than its width, the walls of each leg stand in the other's road. The
    inner walls of a bend that is tighter than their distance from the line also stand in the road for a short distance,
    because they cross.
    """
    rights = np.stack([np.cos(track.headings_rad), -np.sin(track.headings_rad)], axis=1)
    walls = [track.points + side * (WALL_OFFSET_M + WALL_HALF_M) * rights for side in (-1, 1)]
    no_wall = np.ones(offsets.shape, np.uint8)
    cv2.polylines(no_wall, [np.floor((wall - low) / CELL_M).astype(np.int32) for wall in walls], True, 0)
    no_wall[np.abs(offsets) > WALL_OFFSET_M - WALL_HALF_M] = 1  # walls in their regular place
    if not no_wall.all():
        away_m = cv2.distanceTransform(no_wall, cv2.DIST_L2, cv2.DIST_MASK_5) * CELL_M
        np.minimum(room, away_m - SEEN_WALL_HALF_M, out=room)
        offsets[away_m < WALL_HALF_M] = OUTSIDE_M


@compiled
def _paint_colours(colours: Any, offsets: Any, sunlit: Any, shaded: Any, sun_steps: Any) -> None:
    rows, columns = offsets.shape
    for row in range(rows):
        for column in range(columns):
            offset = offsets[row, column]
            if abs(offset) > FLOOR_HALF_WIDTH_M:
                continue
            table = shaded if _in_shadow(offsets, row, column, sun_steps) else sunlit
            for channel in range(3):
                total = 0.0
                for part in (-1, 0, 1):  # three samples across the cell, to soften the stripes' edges
                    across = (offset + part * CELL_M / 3) / (2 * FLOOR_HALF_WIDTH_M) + 0.5
                    total += table[min(255, max(0, int(across * 256))), channel]
                colours[row, column, channel] = int(total / 3 + 0.5)


@compiled
def _in_shadow(offsets: Any, row: int, column: int, sun_steps: Any) -> bool:
    """Tells whether a ray from this cell towards the sun meets a wall, at the floor's edge, below the wall's top."""
    rows, columns = offsets.shape
    for step in range(len(sun_steps)):
        on_row, on_column = row + sun_steps[step, 0], column + sun_steps[step, 1]
        if not (0 <= on_row < rows and 0 <= on_column < columns):
            return True
        if abs(offsets[on_row, on_column]) >= WALL_OFFSET_M:
            return True
    return False


def _paint_finish_line(
    colours: NDArray[np.uint8],
    offsets: NDArray[np.float32],
    pose: tuple[float, float, float],
    low_x: float,
    low_z: float,
) -> None:
    """Paints black dashes across the floor at arc 0.

    Their colour is that of the shadow, so the sunlight need not be considered.
    """
    x, z, heading_rad = pose
    rows, columns = offsets.shape
    reach = int(2 * FLOOR_HALF_WIDTH_M / CELL_M)
    row, column = int((z - low_z) / CELL_M), int((x - low_x) / CELL_M)
    window = np.s_[max(0, row - reach) : row + reach, max(0, column - reach) : column + reach]
    cells_z, cells_x = np.mgrid[0:rows, 0:columns][:, window[0], window[1]]
    gap_x, gap_z = low_x + (cells_x + 0.5) * CELL_M - x, low_z + (cells_z + 0.5) * CELL_M - z
    ahead = gap_x * math.sin(heading_rad) + gap_z * math.cos(heading_rad)
    across = gap_x * math.cos(heading_rad) - gap_z * math.sin(heading_rad)
    on_line = (np.abs(ahead) < FINISH_HALF_WIDTH_M) & (np.abs(across) < FLOOR_HALF_WIDTH_M)
    dash = np.floor(across / FINISH_DASH_M).astype(int) % 2 == 0
    colours[window][on_line & dash] = SHADED[BLACK]
