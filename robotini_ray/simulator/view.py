"""Where a camera looks: tables of the pixels of a picture, made once per width.

The camera is fixed to the car and the ground is flat, so nothing of this depends on where the car is.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robotini_ray.simulator.ground import CELL_M, LEVELS, WALL_HEIGHT_M
from robotini_ray.simulator.physics import BODY_HEIGHT_M
from robotini_ray.simulator.randomisation import STANDARD, Look

CAMERA_HEIGHT_M = BODY_HEIGHT_M + 0.02
CAMERA_AHEAD_M = 0.095
PITCH_RAD = math.radians(11.0)  # downwards
FIELD_OF_VIEW_RAD = math.radians(48.8)  # vertical
NEAR_M, FAR_M = 0.01, 20.0
SAMPLES = ((0.25, 0.25), (0.75, 0.75))  # of a pixel

STANDARD_LOOK = STANDARD.look

MIN_WIDTH, MAX_WIDTH = 8, 128
RAYS_PER_COLUMN = 1.0
SOFTNESS = 1.5  # pixels of floor that one cell of the chosen map covers, about


class View(NamedTuple):
    """Where a picture looks, in the car's frame; arrays are [height] or [height, width, 2 samples].

    Floor: row `row` meets it `ahead_m[row]` ahead, its column c at `first_right_m[row] + c * right_step_m[row]`, and
    reads the map of level `level[row]`, -1 being sky.
    Walls: `ray` is the index of the sample's direction among the rays in the ground plane, `ray_sin` and `ray_cos`,
    float64[rays], say where these point, positive to the right. A sample sees floor or sky instead of wall if the wall
    is farther than `open_beyond_m`; `open_row_m[row]` is the largest of its row.
    Cars: `along_right`, `along_ahead`, `climb` are the sample's direction, a unit vector in the plane and height per
    metre of it.
    """

    ahead_m: NDArray[np.float64]
    first_right_m: NDArray[np.float64]
    right_step_m: NDArray[np.float64]
    level: NDArray[np.int64]
    ray: NDArray[np.uint16]
    ray_sin: NDArray[np.float64]
    ray_cos: NDArray[np.float64]
    open_beyond_m: NDArray[np.float32]
    open_row_m: NDArray[np.float32]
    along_right: NDArray[np.float32]
    along_ahead: NDArray[np.float32]
    climb: NDArray[np.float32]


def picture_height(width: int) -> int:
    return width * 80 // 128


def make_view(width: int) -> View:
    """The tables of a camera with pictures of `width` pixels."""
    height = picture_height(width)
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    samples = [directions(columns + right, rows + down, width) for right, down in SAMPLES]
    right, ahead, up = (np.stack(parts, axis=-1) for parts in zip(*samples, strict=True))
    plan = np.hypot(right, ahead)
    angles = np.arctan2(right, ahead)
    widest = float(np.abs(angles).max()) + 1e-6
    rays = round(width * RAYS_PER_COLUMN)
    rays_rad = (np.arange(rays) + 0.5) * (2 * widest / rays) - widest
    climb = up / plan
    with np.errstate(divide="ignore"):
        open_beyond_m = np.where(climb > 0, (WALL_HEIGHT_M - CAMERA_HEIGHT_M) / climb, -CAMERA_HEIGHT_M / climb)
    first_right, row_ahead, row_up = directions(0.5, np.arange(height) + 0.5, width)
    pixel = 2 * math.tan(FIELD_OF_VIEW_RAD / 2) / height
    reach = np.where(row_up < 0, -CAMERA_HEIGHT_M / np.minimum(row_up, -1e-9), 0)
    level = np.clip(np.round(np.log2(np.maximum(reach * pixel * SOFTNESS / CELL_M, 1))), 0, LEVELS - 1)
    level[(row_up >= 0) | (reach > FAR_M)] = -1
    return View(
        ahead_m=row_ahead * reach + CAMERA_AHEAD_M,
        first_right_m=first_right * reach,
        right_step_m=pixel * reach,
        level=level.astype(np.int64),
        ray=((angles + widest) * rays / (2 * widest)).astype(np.uint16),
        ray_sin=np.sin(rays_rad),
        ray_cos=np.cos(rays_rad),
        open_beyond_m=open_beyond_m.astype(np.float32),
        open_row_m=open_beyond_m.max(axis=(1, 2)).astype(np.float32),
        along_right=(right / plan).astype(np.float32),
        along_ahead=(ahead / plan).astype(np.float32),
        climb=climb.astype(np.float32),
    )


def directions(columns: Any, rows: Any, width: int, look: Look = STANDARD_LOOK) -> tuple[Any, Any, Any]:
    """Where points of a picture look, in the car's frame: metres right, ahead and up per metre along the optical axis.

    The camera is turned about the car's upright axis (yaw), then down (pitch), then about its own axis (roll).
    """
    height = picture_height(width)
    scale = 2 * math.tan(FIELD_OF_VIEW_RAD / 2) / height
    right, down = (columns - width / 2) * scale, (rows - height / 2) * scale
    sin, cos = math.sin(look.roll_rad), math.cos(look.roll_rad)
    right, down = right * cos - down * sin, right * sin + down * cos
    sin, cos = math.sin(PITCH_RAD + look.pitch_rad), math.cos(PITCH_RAD + look.pitch_rad)
    ahead, up = cos - down * sin, -sin - down * cos
    sin, cos = math.sin(look.yaw_rad), math.cos(look.yaw_rad)
    return right * cos + ahead * sin, ahead * cos - right * sin, up
