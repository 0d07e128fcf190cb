"""Makes the tables of where the pixels of a picture look, once per width and pose of the camera.

The camera is fixed to the car and the ground is flat, so the tables do not depend on the car's place.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robotini_ray.machine.compiled import compiled
from robotini_ray.simulator.camera.ground import CELL_M, LEVELS, WALL_HEIGHT_M
from robotini_ray.simulator.world.physics import BODY_HEIGHT_M
from robotini_ray.simulator.world.randomisation import STANDARD_LOOK, Look

CAMERA_HEIGHT_M = BODY_HEIGHT_M + 0.02
CAMERA_AHEAD_M = 0.095
PITCH_RAD = math.radians(11.0)  # downwards
FIELD_OF_VIEW_RAD = math.radians(48.8)  # vertical
NEAR_M, FAR_M = 0.01, 20.0
SAMPLES = ((0.25, 0.25), (0.75, 0.75))  # places of the samples within a pixel, (column, row)

MIN_WIDTH, MAX_WIDTH = 8, 128
SOFTNESS = 1.5  # approximate number of pixels that one cell of the chosen map covers
SKY_LEVEL = -1


class View(NamedTuple):
    """Tables of where the pixels of a picture look, in the car's frame.

    A depth is the distance from the camera along the car's axis.

    Attributes:
        axes: ``<float64>[3, 3]``; ``axes @ (column, row, 1)`` is a direction right, ahead and up, per metre along the
            optical axis.
        pixels: ``<float64>[3, 3]``, the inverse of ``axes``.
        camera_height_m: The camera's height above the floor.
        floor_right_m: ``<float32>[height, width]``, how far right of the car's middle the middle of a pixel meets the floor.
        floor_ahead_m: ``<float32>[height, width]``, how far ahead of the car's middle the middle of a pixel meets the floor.
        spans: ``<int32>[spans, 4]``, (row, first column, end, level): parts of rows that read the map of one level, or that
            see no floor where the level is ``SKY_LEVEL``.
        span_open_m: ``<float32>[spans]``, the largest ``open_beyond_m`` of each span.
        span_closed_m: ``<float32>[spans]``, the smallest ``open_beyond_m`` of each span.
        ray: ``<uint16>[2 samples, height, width]``, the index of the sample's direction among the rays in the ground plane.
        ray_right: ``<float32>[rays]``, the component to the right of each ray's direction.
        ray_ahead: ``<float32>[rays]``, the component ahead of each ray's direction.
        open_beyond_m: ``<float32>[2 samples, height, width]``; a sample sees floor or sky instead of a wall if the wall's
            depth is larger than this.
    """

    axes: NDArray[np.float64]
    pixels: NDArray[np.float64]
    camera_height_m: float
    floor_right_m: NDArray[np.float32]
    floor_ahead_m: NDArray[np.float32]
    spans: NDArray[np.int32]
    span_open_m: NDArray[np.float32]
    span_closed_m: NDArray[np.float32]
    ray: NDArray[np.uint16]
    ray_right: NDArray[np.float32]
    ray_ahead: NDArray[np.float32]
    open_beyond_m: NDArray[np.float32]


def picture_height(width: int) -> int:
    """Returns the height of a picture of this width, both in pixels: 128 x 80 is scaled, and the height rounded down."""
    return width * 80 // 128


def make_view(width: int, look: Look = STANDARD_LOOK) -> View:
    """Makes the tables of a camera.

    Args:
        width: Width of the pictures in pixels.
        look: The camera's height and angles relative to the standard ones.

    Raises:
        ValueError: The camera is in the floor or higher than the walls, or looks so far aside that it sees behind the car.
    """
    camera_height_m = CAMERA_HEIGHT_M + look.height_m
    if not 0 < camera_height_m < WALL_HEIGHT_M:
        raise ValueError(f"the camera's height is {camera_height_m:g} m; allowed: above 0 m and below {WALL_HEIGHT_M} m")
    height = picture_height(width)
    axes = _axes(width, look)
    right, ahead, up = np.stack([_directions(axes, width, height, place) for place in SAMPLES], axis=1)
    if ahead.min() <= 0:
        raise ValueError("the camera sees behind the car; reduce its pitch, roll or yaw")
    # Rays are evenly spaced on a line across the car, like the pixels of a level camera.
    aside = right / ahead
    low, high = float(aside.min()), float(aside.max()) + 1e-5
    ray_aside = low + (np.arange(width) + 0.5) * ((high - low) / width)
    ray_length = np.hypot(ray_aside, 1.0)
    # A sample that looks up passes over walls beyond the depth at which it reaches their top. Any other sample meets the floor
    # in front of walls beyond the depth at which it reaches the floor.
    rise_m = np.where(up > 0, np.float32(WALL_HEIGHT_M - camera_height_m), np.float32(-camera_height_m))
    with np.errstate(divide="ignore"):
        open_beyond_m = np.abs(rise_m * ahead / up)
    floor_right_m, floor_ahead_m, level = _floor(axes, width, height, camera_height_m)
    spans = _spans(level)
    starts = spans[:, 0] * width + spans[:, 1]
    return View(
        axes=axes,
        pixels=np.linalg.inv(axes),
        camera_height_m=camera_height_m,
        floor_right_m=floor_right_m,
        floor_ahead_m=floor_ahead_m,
        spans=spans,
        span_open_m=np.maximum.reduceat(open_beyond_m.max(axis=0).ravel(), starts),
        span_closed_m=np.minimum.reduceat(open_beyond_m.min(axis=0).ravel(), starts),
        ray=((aside - np.float32(low)) * np.float32(width / (high - low))).astype(np.uint16),
        ray_right=(ray_aside / ray_length).astype(np.float32),
        ray_ahead=(1.0 / ray_length).astype(np.float32),
        open_beyond_m=open_beyond_m,
    )


def _floor(
    axes: NDArray[np.float64], width: int, height: int, camera_height_m: float
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Computes where the pixels meet the floor.

    Returns:
        ``View.floor_right_m``, ``View.floor_ahead_m``, and the level of the map that each pixel reads.
    """
    right, ahead, up = _directions(axes, width, height, (0.5, 0.5))
    reach_m = np.float32(camera_height_m) / np.maximum(-up, np.float32(1e-9))
    pixel = 2 * math.tan(FIELD_OF_VIEW_RAD / 2) / height
    # Level k takes over where a pixel covers ``sqrt(2) * 2**(k - 1)`` cells of the finest map.
    limits_m = 2.0 ** (np.arange(LEVELS - 1) + 0.5) * CELL_M / (pixel * SOFTNESS)
    level = np.searchsorted(limits_m.astype(np.float32), reach_m.ravel()).reshape(height, width)
    level[reach_m > FAR_M] = SKY_LEVEL
    return right * reach_m, ahead * reach_m + np.float32(CAMERA_AHEAD_M), level


def _spans(level: NDArray[np.int64]) -> NDArray[np.int32]:
    """Returns ``View.spans`` for the level of each pixel."""
    height, width = level.shape
    begins = np.ones((height, width), np.bool_)
    np.not_equal(level[:, 1:], level[:, :-1], out=begins[:, 1:])
    rows, firsts = np.nonzero(begins)
    ends = np.append(firsts[1:], 0)
    ends[ends == 0] = width
    return np.stack([rows, firsts, ends, level[rows, firsts]], axis=1).astype(np.int32)


def directions(columns: Any, rows: Any, width: int, look: Look = STANDARD_LOOK) -> tuple[Any, Any, Any]:
    """Computes where points of a picture look, in the car's frame.

    Returns:
        Metres right, ahead and up per metre along the optical axis.
    """
    right, ahead, up = (axis[0] * columns + axis[1] * rows + axis[2] for axis in _axes(width, look))
    return right, ahead, up


def _directions(axes: NDArray[np.float64], width: int, height: int, place: tuple[float, float]) -> NDArray[np.float32]:
    """Returns where the same place of every pixel looks: right, ahead and up, ``<float32>[3, height, width]``.

    Args:
        place: The place within a pixel, (column, row), each 0..1.
    """
    column, row, constant = axes.T.astype(np.float32)[:, :, None, None]
    columns = np.arange(width, dtype=np.float32) + np.float32(place[0])
    rows = np.arange(height, dtype=np.float32)[:, None] + np.float32(place[1])
    return column * columns + (row * rows + constant)


def _axes(width: int, look: Look) -> NDArray[np.float64]:
    """Returns ``View.axes``.

    The camera is turned about the car's upright axis (yaw), then down (pitch), then about its own optical axis (roll).
    """
    height = picture_height(width)
    scale = 2 * math.tan(FIELD_OF_VIEW_RAD / 2) / height
    # The rows of ``camera`` are right, down and along the optical axis. Each product below gives the rows of a camera without
    # roll, then without pitch (rows: right, ahead, up), then without yaw.
    camera = np.array([[scale, 0, -scale * width / 2], [0, scale, -scale * height / 2], [0, 0, 1]])
    sin, cos = math.sin(look.roll_rad), math.cos(look.roll_rad)
    level = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) @ camera
    sin, cos = math.sin(PITCH_RAD + look.pitch_rad), math.cos(PITCH_RAD + look.pitch_rad)
    straight = np.array([[1, 0, 0], [0, -sin, cos], [0, -cos, -sin]]) @ level
    sin, cos = math.sin(look.yaw_rad), math.cos(look.yaw_rad)
    return np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]]) @ straight


@compiled
def mixed(colour: int, other: int) -> int:
    """Returns the mean of two colours 0xRRGGBB, channel by channel."""
    return (colour & other) + ((colour ^ other) >> 1 & 0x7F7F7F)
