"""What each car's camera sees, as PNG.

Perspective of the floor, the walls that hide what is behind them, other cars, sky; geometry and colours are
Robotini's. The ground is flat and the camera fixed to the car, so where a pixel meets the floor never changes in the
car's frame: tables made once per width turn a picture into table look-ups in the map of the ground. Walls are found
by some rays in the ground plane, one for each of a set of directions. Every pixel has two samples at the edges of
walls and cars, as the real 2x anti-aliasing has.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robotini_ray.compiled import compiled
from robotini_ray.simulator.contacts import BODY_LENGTH_M, BODY_WIDTH_M, REACH_M
from robotini_ray.simulator.ground import CELL_M, CLEARANCE_CELL_M, Colour, GroundMap, map_ground
from robotini_ray.simulator.look import apply_look
from robotini_ray.simulator.png import encode_png  # noqa: F401 (until the server imports it from there)
from robotini_ray.simulator.randomisation import Look
from robotini_ray.simulator.view import (
    CAMERA_AHEAD_M,
    CAMERA_HEIGHT_M,
    FAR_M,
    FIELD_OF_VIEW_RAD,
    NEAR_M,
    PITCH_RAD,
    View,
    make_view,
    picture_height,
)
from robotini_ray.track import Track

WALL_CLOSE_M = 0.001  # a ray this close to a wall has reached it
MOST_STEPS = 60

WALL_COLOUR: Colour = (30, 26, 23)
SKY_COLOUR: Colour = (52, 62, 80)
# Cars are boxes in a dark shade of their colour: no channel of them passes for a stripe of the road.
CAR_SHADE = 0.38
CAR_FACE_LIGHT = (1.0, 0.75, 0.6)  # top, sides, front and back
CAR_BOTTOM_M, CAR_TOP_M = 0.012, 0.095


class Camera:
    """Renders pictures on one track. Not for use from several threads at once."""

    def __init__(self, track: Track) -> None:
        self._ground = map_ground(track)
        self._views: dict[int, View] = {}

    def render(
        self,
        width: int,
        viewers: list[int],
        poses: NDArray[np.float64],
        colours: NDArray[np.float64],
        looks: list[Look],
        frame: int,
    ) -> NDArray[np.uint8]:
        """What the cars of the slots `viewers` see: uint8[len(viewers), height, width, 3], blue first as OpenCV has it.

        `poses` float64[len(viewers), slots, 5] are (x, z, heading, y, pitch) of all cars as each viewer sees them, NaN
        where there is none; `colours` float64[slots, 3] their red, green and blue, 0..255. `looks` are those of the
        viewers, and `frame` is the world's frame number, which the noise depends on.
        """
        if width not in self._views:
            self._views[width] = make_view(width)
        images = np.empty((len(viewers), picture_height(width), width, 3), np.uint8)
        _render(images, self._views[width], self._ground, np.array(viewers), poses, colours)
        for image, look in zip(images, looks, strict=True):
            apply_look(image, look, frame)
        return images


@compiled
def _render(images: Any, view: View, ground: GroundMap, slots: Any, poses: Any, colours: Any) -> None:
    walls_m = np.empty(len(view.ray_sin), np.float32)
    for k in range(len(slots)):
        x, z, heading = poses[k, slots[k], 0], poses[k, slots[k], 1], poses[k, slots[k], 2]
        camera_x = x + CAMERA_AHEAD_M * math.sin(heading)
        camera_z = z + CAMERA_AHEAD_M * math.cos(heading)
        nearest_m, farthest_m = _trace_walls(walls_m, view, ground, camera_x, camera_z, heading)
        _paint(images[k], view, walls_m, nearest_m, ground, x, z, heading)
        _paint_cars(images[k], view, walls_m, farthest_m, camera_x, camera_z, slots[k], poses[k], colours)


@compiled
def _clearance(ground: GroundMap, x: float, z: float) -> float:
    """Metres to the nearest wall at (x, z), interpolated between the four cells around it."""
    column = (x - ground.clearance_x_m) / CLEARANCE_CELL_M - 0.5
    row = (z - ground.clearance_z_m) / CLEARANCE_CELL_M - 0.5
    i, j = int(row), int(column)
    down, right = row - i, column - j
    room = ground.clearance
    near = room[i, j] + (room[i, j + 1] - room[i, j]) * right
    far = room[i + 1, j] + (room[i + 1, j + 1] - room[i + 1, j]) * right
    return near + (far - near) * down


@compiled
def _trace_walls(walls_m: Any, view: View, ground: GroundMap, x: float, z: float, heading: float) -> tuple[float, float]:
    """Fill float32[rays]: how far the walls are from a camera at (x, z) that looks along `heading`.

    Returns the smallest and the largest of these distances.
    """
    nearest_m, farthest_m = math.inf, 0.0
    start = _clearance(ground, x, z)
    sin, cos = math.sin(heading), math.cos(heading)
    for ray in range(len(walls_m)):
        along_x = view.ray_sin[ray] * cos + view.ray_cos[ray] * sin
        along_z = view.ray_cos[ray] * cos - view.ray_sin[ray] * sin
        reached, room = 0.0, start
        for _ in range(MOST_STEPS):
            if room < WALL_CLOSE_M or reached > FAR_M:
                break
            # Towards a straight wall the room shrinks steadily, slower than the ray goes: three times the room is
            # rarely too far. Where it is, the wall lies about where the room between the two points becomes 0.
            step = 3.0 * room
            next_room = _clearance(ground, x + (reached + step) * along_x, z + (reached + step) * along_z)
            while next_room < -WALL_CLOSE_M:
                step *= room / (room - next_room)
                next_room = _clearance(ground, x + (reached + step) * along_x, z + (reached + step) * along_z)
            reached += step
            room = next_room
        walls_m[ray] = max(NEAR_M, reached)
        nearest_m, farthest_m = min(nearest_m, walls_m[ray]), max(farthest_m, walls_m[ray])
    return nearest_m, farthest_m


@compiled
def _paint(
    image: Any, view: View, walls_m: Any, nearest_m: float, ground: GroundMap, x: float, z: float, heading: float
) -> None:
    """Floor, walls, of which none is nearer than `nearest_m`, and sky as a car at (x, z, heading) sees them."""
    height, width = image.shape[:2]
    sin, cos = math.sin(heading), math.cos(heading)
    for row in range(height):
        level = view.level[row]
        # Map cells of the row's first pixel, and from one pixel to the next.
        cells = 1.0 / (CELL_M * (1 << max(0, level)))
        right, ahead, step = view.first_right_m[row], view.ahead_m[row], view.right_step_m[row] * cells
        cell_x = (x + ahead * sin + right * cos - ground.x_m) * cells
        cell_z = (z + ahead * cos - right * sin - ground.z_m) * cells
        no_wall = nearest_m > view.open_row_m[row]
        for column in range(width):
            open_samples = 2
            if not no_wall:
                open_samples = 0
                for sample in range(2):
                    if walls_m[view.ray[row, column, sample]] > view.open_beyond_m[row, column, sample]:
                        open_samples += 1
            red, green, blue = WALL_COLOUR
            if open_samples > 0:
                if level < 0:
                    red_behind, green_behind, blue_behind = SKY_COLOUR
                else:
                    texel = _texel(ground, level, cell_x + column * step * cos, cell_z - column * step * sin)
                    red_behind, green_behind, blue_behind = texel >> 16, texel >> 8 & 255, texel & 255
                if open_samples == 2:
                    red, green, blue = red_behind, green_behind, blue_behind
                else:
                    red, green, blue = red + red_behind >> 1, green + green_behind >> 1, blue + blue_behind >> 1
            image[row, column, 0] = blue
            image[row, column, 1] = green
            image[row, column, 2] = red


@compiled
def _texel(ground: GroundMap, level: int, cell_x: float, cell_z: float) -> int:
    """The colour 0xRRGGBB of a cell of the ground; the nearest one where there is no map."""
    columns = ground.widths[level]
    i = min(ground.heights[level] - 1, max(0, int(cell_z)))
    j = min(columns - 1, max(0, int(cell_x)))
    return int(ground.texels[ground.starts[level] + i * columns + j])


@compiled
def _paint_cars(
    image: Any, view: View, walls_m: Any, farthest_m: float, x: float, z: float, slot: int, poses: Any, colours: Any
) -> None:
    """Boxes in place of the other cars, the farthest first, hidden by the walls before them."""
    away_m = np.zeros(len(poses))
    for other in range(len(poses)):
        if other != slot and not math.isnan(poses[other, 0]):
            distance_m = math.hypot(poses[other, 0] - x, poses[other, 1] - z)
            if distance_m < farthest_m + REACH_M:
                away_m[other] = distance_m
    while True:
        farthest = 0
        for other in range(len(poses)):
            if away_m[other] > away_m[farthest]:
                farthest = other
        if away_m[farthest] == 0.0:
            return
        away_m[farthest] = 0.0
        _paint_car(image, view, walls_m, x, z, poses[slot, 2], poses[farthest], colours[farthest])


@compiled
def _paint_car(image: Any, view: View, walls_m: Any, x: float, z: float, heading: float, pose: Any, colour: Any) -> None:
    height, width = image.shape[:2]
    # The camera in the other car's frame.
    sin, cos = math.sin(pose[2]), math.cos(pose[2])
    from_right = (x - pose[0]) * cos - (z - pose[1]) * sin
    from_ahead = (x - pose[0]) * sin + (z - pose[1]) * cos
    turn_sin, turn_cos = math.sin(heading - pose[2]), math.cos(heading - pose[2])
    top, bottom, left, right_end = _bounds(width, height, from_right, from_ahead, turn_sin, turn_cos)
    if _is_hidden(view, walls_m, math.hypot(from_right, from_ahead) - REACH_M, top, bottom, left, right_end):
        return
    for row in range(top, bottom):
        for column in range(left, right_end):
            hits, light = 0, 0.0
            for sample in range(2):
                right, ahead = view.along_right[row, column, sample], view.along_ahead[row, column, sample]
                reached, face = _meet_box(
                    from_right,
                    from_ahead,
                    right * turn_cos + ahead * turn_sin,
                    ahead * turn_cos - right * turn_sin,
                    view.climb[row, column, sample],
                )
                if reached < walls_m[view.ray[row, column, sample]]:
                    hits += 1
                    light += CAR_SHADE * CAR_FACE_LIGHT[face]
            for channel in range(3):
                before = image[row, column, channel] * (2 - hits)
                image[row, column, channel] = int((before + colour[2 - channel] * light) / 2)


@compiled
def _is_hidden(view: View, walls_m: Any, nearest_m: float, top: int, bottom: int, left: int, right_end: int) -> bool:
    """Whether walls nearer than `nearest_m` stand in all directions of a part of the picture."""
    for row in (top, bottom - 1):
        for column in range(left, right_end):
            for sample in range(2):
                if walls_m[view.ray[row, column, sample]] > nearest_m:
                    return False
    return True


@compiled
def _bounds(
    width: int, height: int, from_right: float, from_ahead: float, turn_sin: float, turn_cos: float
) -> tuple[int, int, int, int]:
    """First and past-last row and column of the picture that a car's box can touch; an empty range if it is behind.

    The camera stands at (from_right, from_ahead) in the box's frame, turned by the angle of `turn_sin`, `turn_cos`.
    """
    top, bottom, left, right_end = math.inf, -math.inf, math.inf, -math.inf
    scale = height / (2 * math.tan(FIELD_OF_VIEW_RAD / 2))
    behind = 0
    for corner in range(8):
        gap_right = (BODY_WIDTH_M if corner & 1 else -BODY_WIDTH_M) / 2 - from_right
        gap_ahead = (BODY_LENGTH_M if corner & 2 else -BODY_LENGTH_M) / 2 - from_ahead
        up = (CAR_TOP_M if corner & 4 else CAR_BOTTOM_M) - CAMERA_HEIGHT_M
        right = gap_right * turn_cos - gap_ahead * turn_sin
        ahead = gap_right * turn_sin + gap_ahead * turn_cos
        depth = ahead * math.cos(PITCH_RAD) - up * math.sin(PITCH_RAD)
        down = -ahead * math.sin(PITCH_RAD) - up * math.cos(PITCH_RAD)
        if depth < NEAR_M:
            behind += 1
            continue
        row, column = height / 2 + down / depth * scale, width / 2 + right / depth * scale
        top, bottom = min(top, row), max(bottom, row)
        left, right_end = min(left, column), max(right_end, column)
    if behind == 8:
        return 0, 0, 0, 0
    if behind > 0:
        return 0, height, 0, width
    return (
        int(min(height, max(0.0, top))),
        int(min(height, max(0.0, bottom + 1.0))),
        int(min(width, max(0.0, left))),
        int(min(width, max(0.0, right_end + 1.0))),
    )


@compiled
def _meet_box(from_right: float, from_ahead: float, along_right: float, along_ahead: float, climb: float) -> tuple[float, int]:
    """Where a ray from the camera meets a car's box, in metres along the ground, and which face (0 top, 1 side, 2 end).

    Infinite if it misses. The slab method: the ray is inside the box between the last entry and the first exit.
    """
    enter, leave, face = 0.0, math.inf, 1
    for axis in range(3):
        if axis == 0:
            start, rate, low, high = CAMERA_HEIGHT_M, climb, CAR_BOTTOM_M, CAR_TOP_M
        elif axis == 1:
            start, rate, low, high = from_right, along_right, -BODY_WIDTH_M / 2, BODY_WIDTH_M / 2
        else:
            start, rate, low, high = from_ahead, along_ahead, -BODY_LENGTH_M / 2, BODY_LENGTH_M / 2
        if abs(rate) < 1e-9:
            if not low < start < high:
                return math.inf, face
            continue
        first, second = (low - start) / rate, (high - start) / rate
        if min(first, second) > enter:
            enter, face = min(first, second), axis
        leave = min(leave, max(first, second))
    return (enter, face) if enter < leave else (math.inf, face)
