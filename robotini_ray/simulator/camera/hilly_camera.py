"""Renders what each car's camera sees where the track has height.

The road, its walls and the other cars are polygons in space (``road_strip``), drawn with a depth for every sample of the
picture (``rasteriser``), so that a crest or a bridge hides what is behind it. Geometry, colours and samples are those of the
camera for flat tracks (``flat_camera``), which is faster; both render alike.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robotini_ray.machine.compiled import compiled
from robotini_ray.simulator.camera.car_bodies import CAR_BOTTOM_M, CAR_FACE_LIGHT, CAR_TOP_M, lit
from robotini_ray.simulator.camera.flat_camera import SKY, WALL
from robotini_ray.simulator.camera.ground import CELL_M, LEVELS
from robotini_ray.simulator.camera.light_and_noise import apply_look
from robotini_ray.simulator.camera.pixel_view import (
    CAMERA_AHEAD_M,
    CAMERA_HEIGHT_M,
    FIELD_OF_VIEW_RAD,
    SOFTNESS,
    directions,
    picture_height,
)
from robotini_ray.simulator.camera.rasteriser import Target, edges_beyond, fill, fill_floor, make_target
from robotini_ray.simulator.camera.road_strip import (
    COLUMNS,
    CORNER_OFFSETS_M,
    LEFT_EDGE,
    RIGHT_EDGE,
    WALL_FACES,
    RoadStrip,
    map_strip,
)
from robotini_ray.simulator.world.contacts import BODY_LENGTH_M, BODY_WIDTH_M
from robotini_ray.simulator.world.physics import BODY_HEIGHT_M
from robotini_ray.simulator.world.randomisation import Look
from robotini_ray.track.centre_line import LEVEL_WEIGHT
from robotini_ray.track.track import Track

UNDERSIDE = 0x12100F  # colour of a bridge seen from below: the road's black in the shadow
CORNERS = len(CORNER_OFFSETS_M)
# The box's faces: the corners in order round the face, and its light. A corner's number is 1 (right) + 2 (ahead) + 4 (top).
BOX_FACES = (
    ((4, 5, 7, 6), CAR_FACE_LIGHT[0]),
    ((0, 1, 3, 2), CAR_FACE_LIGHT[0]),
    ((0, 2, 6, 4), CAR_FACE_LIGHT[1]),
    ((1, 3, 7, 5), CAR_FACE_LIGHT[1]),
    ((0, 1, 5, 4), CAR_FACE_LIGHT[2]),
    ((2, 3, 7, 6), CAR_FACE_LIGHT[2]),
)
FACE_CORNERS = np.array([corners for corners, _ in BOX_FACES])
FACE_LIGHT = np.array([light for _, light in BOX_FACES])


class HillyCamera:
    """Renders pictures on one track, flat or not; an instance must not be used from several threads at once."""

    def __init__(self, track: Track) -> None:
        self._strip = map_strip(track)
        self._targets: dict[int, Target] = {}
        self._seen = np.empty((len(self._strip.corners), CORNERS, 3))
        self._beyond = np.empty(len(self._strip.corners), np.int64)

    def render(
        self,
        width: int,
        viewers: list[int],
        poses: NDArray[np.float64],
        colours: NDArray[np.float64],
        looks: list[Look],
        frame: int,
    ) -> NDArray[np.uint8]:
        """Renders the pictures that the viewers' cameras see.

        Arguments and result are those of ``FlatCamera.render``.

        Returns:
            ``<uint8>[len(viewers), height, width, 3]``, blue first as in OpenCV.
        """
        height = picture_height(width)
        if width not in self._targets:
            self._targets[width] = make_target(width, height, _level_nearness(height))
        images = np.empty((len(viewers), height, width, 3), np.uint8)
        for image, viewer, world, look in zip(images, viewers, poses, looks, strict=True):
            axes = _camera_axes(width, look.pitch_rad, look.roll_rad, look.yaw_rad)
            up_m = CAMERA_HEIGHT_M - BODY_HEIGHT_M + look.height_m
            _render(image, self._targets[width], self._strip, self._seen, self._beyond, axes, up_m, viewer, world, colours)
            apply_look(image, look, frame)
        return images


def _level_nearness(height: int) -> NDArray[np.float64]:
    """Returns the nearness (1 / depth) below which the next coarser copy of the floor is read, ``<float64>[LEVELS - 1]``.

    There a pixel covers so much floor that the coarser copy suffices.
    """
    pixel = 2 * math.tan(FIELD_OF_VIEW_RAD / 2) / height
    return pixel * SOFTNESS / CELL_M / 2 ** (np.arange(LEVELS - 1) + 0.5)


@lru_cache(maxsize=64)
def _camera_axes(width: int, pitch_rad: float, roll_rad: float, yaw_rad: float) -> NDArray[np.float64]:
    """Returns the camera's axes in the car's frame (right, up, ahead), ``<float64>[3, 3]``.

    The axes belong to one column to the right, one row down and one metre of depth. The product of an axis with a point
    relative to the camera is column * depth, row * depth or depth.
    """
    height = picture_height(width)
    look = Look(pitch_rad=pitch_rad, roll_rad=roll_rad, yaw_rad=yaw_rad)
    columns, rows = np.array([width / 2 + 1, width / 2, width / 2]), np.array([height / 2, height / 2 + 1, height / 2])
    right, ahead, up = directions(columns, rows, width, look)
    rays = np.stack([right, up, ahead], axis=1)
    depth = rays[2]
    to_right, down = rays[0] - depth, rays[1] - depth
    return np.stack(
        [
            to_right / (to_right @ to_right) + width / 2 * depth,
            down / (down @ down) + height / 2 * depth,
            depth,
        ]
    )


@compiled
def _render(
    image: Any,
    target: Target,
    strip: RoadStrip,
    seen: Any,
    beyond: Any,
    axes: Any,
    up_m: float,
    viewer: int,
    poses: Any,
    colours: Any,
) -> None:
    """Paints the picture of one viewer.

    Args:
        image: ``<uint8>[height, width, 3]``, blue first, filled.
        target: Work space for the samples of the picture.
        strip: The road of the track.
        seen: ``<float64>[n + 1, CORNERS, 3]``, work space for the places of the strip's sections in the picture.
        beyond: ``<int64>[n + 1]``, work space for ``edges_beyond`` of the sections.
        axes: The axes of the viewer's camera (see ``_camera_axes``).
        up_m: Height of the camera above the body's origin.
        viewer: Slot of the viewer's car.
        poses: ``<float64>[slots, 5]``, (x, z, heading, y, pitch) of all cars, NaN for an empty slot.
        colours: ``<float64>[slots, 3]``, red, green and blue of the cars, 0..255.
    """
    target.nearness[:] = 0.0
    target.colours[:] = SKY
    frame = _car_frame(poses[viewer])
    eye = np.array([poses[viewer, 0], poses[viewer, 3], poses[viewer, 1]]) + up_m * frame[1] + CAMERA_AHEAD_M * frame[2]
    to_picture = np.zeros((3, 3))
    for i in range(3):
        for j in range(3):
            for k in range(3):
                to_picture[i, j] += axes[i, k] * frame[k, j]
    for section in range(len(seen)):
        for corner in range(CORNERS):
            _project(seen[section, corner], strip.corners[section, corner], eye, to_picture)
        beyond[section] = edges_beyond(seen[section], image.shape[1], image.shape[0])
    _draw_road(target, strip, seen, beyond, _nearest_section(strip, poses[viewer]))
    for other in range(len(poses)):
        if other != viewer and not math.isnan(poses[other, 0]):
            _draw_car(target, poses[other], colours[other], eye, to_picture)
    _resolve(image, target)


@compiled
def _car_frame(pose: Any) -> Any:
    """Returns the car's directions right, up and ahead in the world's (x, y, z), ``<float64>[3, 3]``."""
    sin, cos = math.sin(pose[2]), math.cos(pose[2])
    up, level = math.sin(pose[4]), math.cos(pose[4])
    return np.array([[cos, 0.0, -sin], [-sin * up, level, -cos * up], [sin * level, up, cos * level]])


@compiled
def _project(seen: Any, point: Any, eye: Any, to_picture: Any) -> None:
    """Writes (column * depth, row * depth, depth) of a point of the world into ``seen``."""
    x, y, z = point[0] - eye[0], point[1] - eye[1], point[2] - eye[2]
    for i in range(3):
        seen[i] = to_picture[i, 0] * x + to_picture[i, 1] * y + to_picture[i, 2] * z


@compiled
def _nearest_section(strip: RoadStrip, pose: Any) -> int:
    """Returns the index of the road section nearest to a car, on the car's own level of a bridge."""
    best, best_square = 0, math.inf
    for section in range(len(strip.corners) - 1):
        left, right = strip.corners[section, LEFT_EDGE], strip.corners[section, RIGHT_EDGE]
        up = LEVEL_WEIGHT * (left[1] - pose[3])
        square = ((left[0] + right[0]) / 2 - pose[0]) ** 2 + ((left[2] + right[2]) / 2 - pose[1]) ** 2 + up**2
        if square < best_square:
            best, best_square = section, square
    return best


@compiled
def _draw_road(target: Target, strip: RoadStrip, seen: Any, beyond: Any, nearest: int) -> None:
    """Draws floor and walls, piece by piece away from the viewer in both directions.

    This order keeps the number of samples that are painted twice small.
    """
    pieces = len(strip.turns)
    triangle, places, face = np.empty((3, 3)), np.empty((3, 2)), np.empty((4, 3))
    for step in range(pieces):
        away = (step + 1) // 2 if step % 2 else -(step // 2)
        piece = (nearest + away) % pieces
        if beyond[piece] & beyond[piece + 1]:
            continue
        begin, end = strip.arc_m[piece] / strip.cell_along_m, strip.arc_m[piece + 1] / strip.cell_along_m
        here, there = seen[piece], seen[piece + 1]
        for half in range(2):
            triangle[0] = here[LEFT_EDGE]
            triangle[1] = here[RIGHT_EDGE] if half == 0 else there[RIGHT_EDGE]
            triangle[2] = there[RIGHT_EDGE] if half == 0 else there[LEFT_EDGE]
            places[0, 0], places[0, 1] = begin, 0.0
            places[1, 0], places[1, 1] = begin if half == 0 else end, COLUMNS
            places[2, 0], places[2, 1] = end, COLUMNS if half == 0 else 0.0
            fill_floor(target, triangle, places, strip, strip.turns[piece, half], UNDERSIDE)
        for wall in range(len(WALL_FACES)):
            one, other = WALL_FACES[wall]
            face[0], face[1], face[2], face[3] = here[one], here[other], there[other], there[one]
            fill(target, face, WALL)


@compiled
def _draw_car(target: Target, pose: Any, colour: Any, eye: Any, to_picture: Any) -> None:
    """Draws a car as a box in the same dark shade as the camera for flat tracks."""
    frame = _car_frame(pose)
    corners, point = np.empty((8, 3)), np.empty(3)
    for corner in range(8):
        right = (BODY_WIDTH_M if corner & 1 else -BODY_WIDTH_M) / 2
        ahead = (BODY_LENGTH_M if corner & 2 else -BODY_LENGTH_M) / 2
        up = (CAR_TOP_M if corner & 4 else CAR_BOTTOM_M) - BODY_HEIGHT_M
        point[0], point[1], point[2] = pose[0], pose[3], pose[1]
        for i in range(3):
            point[i] += right * frame[0, i] + up * frame[1, i] + ahead * frame[2, i]
        _project(corners[corner], point, eye, to_picture)
    face = np.empty((4, 3))
    for side in range(len(FACE_LIGHT)):
        for k in range(4):
            face[k] = corners[FACE_CORNERS[side, k]]
        fill(target, face, lit(colour, FACE_LIGHT[side]))


@compiled
def _resolve(image: Any, target: Target) -> None:
    """Sets every pixel to the mean of its two samples."""
    height, width = image.shape[:2]
    for row in range(height):
        for column in range(width):
            one, other = target.colours[0, row, column], target.colours[1, row, column]
            image[row, column, 0] = (one & 255) + (other & 255) >> 1
            image[row, column, 1] = (one >> 8 & 255) + (other >> 8 & 255) >> 1
            image[row, column, 2] = (one >> 16) + (other >> 16) >> 1
