"""Renders what each car's camera sees on a flat track.

The picture shows the floor in perspective, the walls, which hide what is behind them, the other cars and the sky; geometry
and colours are those of the Robotini simulator. The ground is flat and the camera is fixed to the car, so the point where a
pixel meets the floor never changes in the car's frame. Tables made once per pose of the camera therefore reduce a picture to
look-ups in the map of the ground. Walls are found by a set of rays in the ground plane, one per direction. Every pixel has
two samples at the edges of walls and cars, like the real simulator's 2x anti-aliasing.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robotini_ray.machine.compiled import compiled
from robotini_ray.simulator.camera.car_bodies import paint_cars
from robotini_ray.simulator.camera.ground import CELL_M, Colour, GroundMap, map_ground
from robotini_ray.simulator.camera.light_and_noise import apply_look
from robotini_ray.simulator.camera.pixel_view import CAMERA_AHEAD_M, SKY_LEVEL, View, make_view, mixed, picture_height
from robotini_ray.simulator.camera.wall_rays import trace_walls
from robotini_ray.simulator.world.randomisation import Look
from robotini_ray.track.track import Track

WALL_COLOUR: Colour = (30, 26, 23)
SKY_COLOUR: Colour = (52, 62, 80)
WALL = WALL_COLOUR[0] << 16 | WALL_COLOUR[1] << 8 | WALL_COLOUR[2]
SKY = SKY_COLOUR[0] << 16 | SKY_COLOUR[1] << 8 | SKY_COLOUR[2]

ZERO = np.float32(0.0)

CACHED_VIEWS = 64  # up to 0.25 MB each; more than there are cars


class FlatCamera:
    """Renders pictures on one flat track; an instance must not be used from several threads at once."""

    def __init__(self, track: Track) -> None:
        self._ground = map_ground(track)

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

        Args:
            width: Width of the pictures in pixels.
            viewers: Slots of the cars whose pictures are rendered.
            poses: ``<float64>[len(viewers), slots, 5]``, (x, z, heading, y, pitch) of all cars as each viewer sees them;
                NaN for an empty slot.
            colours: ``<float64>[slots, 3]``, red, green and blue of the cars, 0..255.
            looks: The look of each viewer's camera, in the order of ``viewers``.
            frame: The world's frame number, on which the noise depends.

        Returns:
            ``<uint8>[len(viewers), height, width, 3]``, blue first as in OpenCV.
        """
        images = np.empty((len(viewers), picture_height(width), width, 3), np.uint8)
        by_pose: dict[tuple[float, ...], list[int]] = {}
        for k, look in enumerate(looks):
            by_pose.setdefault((look.pitch_rad, look.roll_rad, look.yaw_rad, look.height_m), []).append(k)
        slots, poses = np.array(viewers, np.int64), np.ascontiguousarray(poses)
        for pose, members in by_pose.items():
            _render(images, _view(width, *pose), self._ground, np.array(members), slots, poses, colours)
        for image, look in zip(images, looks, strict=True):
            apply_look(image, look, frame)
        return images


@lru_cache(CACHED_VIEWS)
def _view(width: int, pitch_rad: float, roll_rad: float, yaw_rad: float, height_m: float) -> View:
    return make_view(width, Look(pitch_rad=pitch_rad, roll_rad=roll_rad, yaw_rad=yaw_rad, height_m=height_m))


@compiled
def _render(images: Any, view: View, ground: GroundMap, members: Any, slots: Any, poses: Any, colours: Any) -> None:
    """Paints the pictures listed in ``members``, which are those of all cameras with this view."""
    walls_m = np.empty(len(view.ray_right), np.float32)
    picture = np.empty(images.shape[1:3], np.int32)
    for k in members:
        x, z, heading = poses[k, slots[k], 0], poses[k, slots[k], 1], poses[k, slots[k], 2]
        camera_x, camera_z = x + CAMERA_AHEAD_M * math.sin(heading), z + CAMERA_AHEAD_M * math.cos(heading)
        nearest_m, farthest_m = trace_walls(walls_m, view, ground, camera_x, camera_z, heading)
        _paint(picture, view, walls_m, nearest_m, farthest_m, ground, x, z, heading)
        paint_cars(picture, view, walls_m, farthest_m, camera_x, camera_z, slots[k], poses[k], colours)
        _unpack(images[k], picture)


@compiled
def _unpack(image: Any, picture: Any) -> None:
    """Unpacks colours 0xRRGGBB into bytes.

    Args:
        image: ``<uint8>[height, width, 3]``, filled with the colours, blue first.
        picture: ``<int32>[height, width]`` of 0xRRGGBB.
    """
    # The arrays are flattened because the compiler then finds the fast instructions.
    pixels, channels = picture.reshape(picture.size), image.reshape(image.size)
    for k in range(len(pixels)):
        channels[3 * k] = np.uint8(pixels[k])
        channels[3 * k + 1] = np.uint8(pixels[k] >> 8)
        channels[3 * k + 2] = np.uint8(pixels[k] >> 16)


@compiled
def _paint(
    picture: Any,
    view: View,
    walls_m: Any,
    nearest_m: float,
    farthest_m: float,
    ground: GroundMap,
    x: float,
    z: float,
    heading: float,
) -> None:
    """Paints the floor, the walls and the sky as a car at (x, z, heading) sees them.

    Args:
        picture: ``<int32>[height, width]`` of 0xRRGGBB, filled.
        view: The pixel tables of the car's camera.
        walls_m: ``<float32>[rays]``, depths of the walls.
        nearest_m: The smallest of ``walls_m``.
        farthest_m: The largest of ``walls_m``.
        ground: The maps of the track.
        x: Place of the car along x, in metres.
        z: Place of the car along z, in metres.
        heading: Heading of the car, in radians clockwise from +z.
    """
    sin, cos = math.sin(heading), math.cos(heading)
    places = np.empty(picture.shape[1], np.uint32)
    for span in range(len(view.spans)):
        row, first, end, level = view.spans[span]
        if farthest_m <= view.span_closed_m[span]:
            picture[row, first:end] = WALL
            continue
        if level == SKY_LEVEL:
            picture[row, first:end] = SKY
        else:
            cells = 1.0 / (CELL_M * (1 << level))
            _paint_floor(
                picture[row, first:end],
                places,
                view.floor_right_m[row, first:end],
                view.floor_ahead_m[row, first:end],
                ground.texels,
                np.int32(ground.starts[level]),
                np.int32(ground.heights[level]),
                np.int32(ground.widths[level]),
                np.float32((x - ground.x_m) * cells),
                np.float32((z - ground.z_m) * cells),
                np.float32(sin * cells),
                np.float32(cos * cells),
            )
        if nearest_m <= view.span_open_m[span]:
            rays, open_beyond_m = view.ray[:, row, first:end], view.open_beyond_m[:, row, first:end]
            _paint_walls(picture[row, first:end], rays, open_beyond_m, walls_m)


@compiled
def _paint_floor(
    pixels: Any,
    places: Any,
    rights: Any,
    aheads: Any,
    texels: Any,
    start: Any,
    rows: Any,
    columns: Any,
    x: Any,
    z: Any,
    sin: Any,
    cos: Any,
) -> None:
    """Reads the pixels of one row from a level of the map that begins at ``start``.

    Beyond the edges of the map the nearest cell is read. All numbers have 32 bits, and all places are computed before the
    first colour is read; that is several times as fast.
    """
    last_row, last_column = np.float32(rows - 1), np.float32(columns - 1)
    for k in range(len(pixels)):
        i = np.int32(min(last_row, max(ZERO, z + aheads[k] * cos - rights[k] * sin)))
        j = np.int32(min(last_column, max(ZERO, x + aheads[k] * sin + rights[k] * cos)))
        places[k] = start + i * columns + j
    for k in range(len(pixels)):
        pixels[k] = texels[places[k]]


@compiled
def _paint_walls(pixels: Any, rays: Any, open_beyond_m: Any, walls_m: Any) -> None:
    """Paints walls over those pixels of one row in which one or both samples meet a wall."""
    for k in range(len(pixels)):
        is_open = walls_m[rays[0, k]] > open_beyond_m[0, k]
        if is_open != (walls_m[rays[1, k]] > open_beyond_m[1, k]):
            pixels[k] = mixed(pixels[k], WALL)
        elif not is_open:
            pixels[k] = WALL
