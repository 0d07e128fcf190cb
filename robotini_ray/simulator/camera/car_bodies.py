"""Draws the other cars in a picture as boxes over the road, from the farthest to the nearest."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from robotini_ray.machine.compiled import compiled
from robotini_ray.simulator.camera.pixel_view import NEAR_M, SAMPLES, View, mixed
from robotini_ray.simulator.world.contacts import BODY_LENGTH_M, BODY_WIDTH_M, REACH_M

# Cars are boxes in a dark shade of their colour, so that no channel of theirs is mistaken for a stripe of the road.
CAR_SHADE = 0.38
CAR_FACE_LIGHT = (1.0, 0.75, 0.6)  # top, sides, front and back
CAR_BOTTOM_M, CAR_TOP_M = 0.012, 0.095
TOP_LIGHT, SIDE_LIGHT, END_LIGHT = CAR_FACE_LIGHT
MIDDLE_M = (CAR_BOTTOM_M + CAR_TOP_M) / 2
# These are float32 because the inner loops are much slower where float32 and float64 are mixed.
HALF_WIDTH, HALF_LENGTH = np.float32(BODY_WIDTH_M / 2), np.float32(BODY_LENGTH_M / 2)
HALF_HEIGHT, ZERO = np.float32((CAR_TOP_M - CAR_BOTTOM_M) / 2), np.float32(0.0)


@compiled
def paint_cars(
    picture: Any, view: View, walls_m: Any, farthest_m: float, x: float, z: float, slot: int, poses: Any, colours: Any
) -> None:
    """Paints the cars other than the viewer's as boxes over the picture.

    Args:
        picture: ``<int32>[height, width]`` of 0xRRGGBB, changed in place.
        view: The pixel tables of the viewer's camera.
        walls_m: ``<float32>[rays]``, depths of the walls, which hide what is behind them.
        farthest_m: The largest of ``walls_m``.
        x: Place of the viewer's camera along x, in metres.
        z: Place of the viewer's camera along z, in metres.
        slot: Slot of the viewer's car.
        poses: ``<float64>[slots, 5]``, (x, z, heading, y, pitch) of all cars, NaN for empty slots.
        colours: ``<float64>[slots, 3]``, red, green and blue of all cars, 0..255.
    """
    heading = poses[slot, 2]
    sin, cos = math.sin(heading), math.cos(heading)
    away_m = np.full(len(poses), -1.0)
    for other in range(len(poses)):
        if other != slot and not math.isnan(poses[other, 0]):
            gap_x, gap_z = poses[other, 0] - x, poses[other, 1] - z
            if -REACH_M < gap_x * sin + gap_z * cos < farthest_m + REACH_M:
                away_m[other] = math.hypot(gap_x, gap_z)
    while True:
        farthest = int(np.argmax(away_m))
        if away_m[farthest] < 0.0:
            return
        away_m[farthest] = -1.0
        _paint_car(picture, view, walls_m, x, z, heading, poses[farthest], colours[farthest])


@compiled
def _paint_car(picture: Any, view: View, walls_m: Any, x: float, z: float, heading: float, pose: Any, colour: Any) -> None:
    height, width = picture.shape
    # The camera's place relative to the middle of the box, in the other car's frame.
    sin, cos = math.sin(pose[2]), math.cos(pose[2])
    right = (x - pose[0]) * cos - (z - pose[1]) * sin
    ahead = (x - pose[0]) * sin + (z - pose[1]) * cos
    up = view.camera_height_m - MIDDLE_M
    sin, cos = math.sin(heading - pose[2]), math.cos(heading - pose[2])
    top, bottom, left, right_end, nearest_m = _bounds(view, height, width, right, ahead, sin, cos)
    if top >= bottom or left >= right_end or _is_hidden(view.ray, walls_m, nearest_m, top, bottom, left, right_end):
        return
    eye = (np.float32(right), np.float32(ahead), np.float32(up))
    gaps = (_gap(eye[0], HALF_WIDTH), _gap(eye[1], HALF_LENGTH), _gap(eye[2], HALF_HEIGHT))
    shades = (lit(colour, SIDE_LIGHT), lit(colour, END_LIGHT), lit(colour, TOP_LIGHT))
    # The directions of samples: right, ahead and up in the other car's frame, and into the depth of the picture.
    ways = np.empty((4, 3))
    for k in range(3):
        ways[0, k] = view.axes[0, k] * cos + view.axes[1, k] * sin
        ways[1, k] = view.axes[1, k] * cos - view.axes[0, k] * sin
        ways[2, k], ways[3, k] = view.axes[2, k], view.axes[1, k]
    change = _four(ways, 1.0, 0.0, 0.0)
    seen, around_m = np.empty((2, right_end - left), np.int32), np.empty(right_end - left, np.float32)
    for row in range(top, bottom):
        behind = picture[row, left:right_end]
        for sample in range(2):
            rays = view.ray[sample, row, left:right_end]
            for k in range(len(rays)):
                around_m[k] = walls_m[rays[k]]
            first = _four(ways, left + SAMPLES[sample][0], row + SAMPLES[sample][1], 1.0)
            _look_at_box(seen[sample], behind, around_m, first, change, eye, gaps, shades)
        for k in range(len(behind)):
            behind[k] = mixed(seen[0, k], seen[1, k])


@compiled
def _look_at_box(
    seen: Any, behind: Any, walls_m: Any, first: Any, change: Any, eye: Any, gaps: Any, shades: tuple[int, int, int]
) -> None:
    """Finds the colours that the samples of a row see: those of the box's faces, or those behind the box.

    Sample k looks along ``first + k * change``.

    Args:
        seen: ``<int32>[samples]``, receives the colours 0xRRGGBB.
        behind: ``<int32>[samples]``, the colours behind the box.
        walls_m: ``<float32>[samples]``, the depth up to which each sample sees, because a wall stands there.
        first: Direction of the first sample: right, ahead and up in the box's frame, and into the depth of the picture.
        change: Difference between the directions of neighbouring samples, with the same components.
        eye: The camera's place relative to the box's middle, in the box's frame, in metres.
        gaps: Distances along the box's axes from the camera to the planes of the faces that it sees (see ``_gap``).
        shades: Colours 0xRRGGBB of the sides, of the front and back, and of the top.
    """
    for k in range(len(seen)):
        place = np.float32(np.int32(k))
        right, ahead = first[0] + place * change[0], first[1] + place * change[1]
        up, depth = first[2] + place * change[2], first[3] + place * change[3]
        wall_m, colour = walls_m[k], behind[k]
        side = _meets(gaps[0], right, depth, wall_m, eye[1], ahead, HALF_LENGTH, eye[2], up, HALF_HEIGHT)
        end = _meets(gaps[1], ahead, depth, wall_m, eye[0], right, HALF_WIDTH, eye[2], up, HALF_HEIGHT)
        top = _meets(gaps[2], up, depth, wall_m, eye[0], right, HALF_WIDTH, eye[1], ahead, HALF_LENGTH)
        colour = shades[0] if side else colour
        colour = shades[1] if end else colour
        seen[k] = shades[2] if top else colour


@compiled
def _meets(
    gap: Any, part: Any, depth: Any, wall_m: Any, eye: Any, way: Any, half: Any, other_eye: Any, other_way: Any, other_half: Any
) -> bool:
    """Tells whether a sample meets the face whose plane is ``gap`` away along an axis.

    The sample meets the plane at ``gap / part`` times the sample's direction, where ``part`` is the direction's component
    along the axis. That point has to be in front of the wall, and within the box along both other axes. All terms are
    multiplied by ``part`` to save the division.
    """
    size, length = abs(part), abs(gap)
    is_before = (gap * part > ZERO) & (length * depth < wall_m * size)
    is_within = (abs(eye * size + length * way) < half * size) & (
        abs(other_eye * size + length * other_way) < other_half * size
    )
    return is_before & is_within


@compiled
def _four(ways: Any, column: float, row: float, one: float) -> tuple[Any, Any, Any, Any]:
    """Multiplies ``ways`` ``<float64>[4, 3]`` by a place of the picture, (column, row, one)."""
    return (
        np.float32(ways[0, 0] * column + ways[0, 1] * row + ways[0, 2] * one),
        np.float32(ways[1, 0] * column + ways[1, 1] * row + ways[1, 2] * one),
        np.float32(ways[2, 0] * column + ways[2, 1] * row + ways[2, 2] * one),
        np.float32(ways[3, 0] * column + ways[3, 1] * row + ways[3, 2] * one),
    )


@compiled
def _gap(eye: Any, half: Any) -> Any:
    """Returns the signed distance from the camera along an axis to the face that is turned towards the camera.

    It is 0 if the camera is between the two faces of that axis.
    """
    return np.float32(math.copysign(max(ZERO, abs(eye) - half), -eye))


@compiled
def lit(colour: Any, light: float) -> Any:
    """Returns the colour 0xRRGGBB of a car's face.

    Args:
        colour: ``<float64>[3]``, the car's red, green and blue, 0..255.
        light: How much light falls on the face, 0..1.
    """
    shade = CAR_SHADE * light
    return np.int32(int(colour[0] * shade) << 16 | int(colour[1] * shade) << 8 | int(colour[2] * shade))


@compiled
def _is_hidden(ray: Any, walls_m: Any, nearest_m: float, top: int, bottom: int, left: int, right_end: int) -> bool:
    """Tells whether walls no deeper than ``nearest_m`` stand in all directions of a part of the picture.

    The outermost directions of the part are at its corners, whatever the camera's pose.
    """
    first, last = len(walls_m), 0
    for row in (top, bottom - 1):
        for column in (left, right_end - 1):
            for sample in range(2):
                first, last = min(first, ray[sample, row, column]), max(last, ray[sample, row, column])
    return walls_m[first : last + 1].max() <= nearest_m


@compiled
def _bounds(
    view: View, height: int, width: int, right: float, ahead: float, sin: float, cos: float
) -> tuple[int, int, int, int, float]:
    """Computes the part of the picture that a car's box can touch, and the least depth of the box's corners.

    The range of rows or columns is empty if the box is behind the camera.

    Args:
        view: The pixel tables of the viewer's camera.
        height: Height of the picture, in pixels.
        width: Width of the picture, in pixels.
        right: Place of the camera to the right of the box's middle, in the box's frame, in metres.
        ahead: Place of the camera ahead of the box's middle, in the box's frame, in metres.
        sin: Sine of the viewer's heading relative to the box.
        cos: Cosine of the viewer's heading relative to the box.

    Returns:
        The first row and the row after the last, the first column and the column after the last, and the least depth in
        metres.
    """
    corners = np.empty((8, 3))  # (column, row, 1) times the distance along the optical axis
    nearest_m = math.inf
    for corner in range(8):
        gap_right = (HALF_WIDTH if corner & 1 else -HALF_WIDTH) - right
        gap_ahead = (HALF_LENGTH if corner & 2 else -HALF_LENGTH) - ahead
        up = (CAR_TOP_M if corner & 4 else CAR_BOTTOM_M) - view.camera_height_m
        aside, depth = gap_right * cos - gap_ahead * sin, gap_right * sin + gap_ahead * cos
        nearest_m = min(nearest_m, float(depth))
        for k in range(3):
            corners[corner, k] = view.pixels[k, 0] * aside + view.pixels[k, 1] * depth + view.pixels[k, 2] * up
    top, bottom, left, right_end = math.inf, -math.inf, math.inf, -math.inf
    for corner in range(8):
        for axis in range(4):  # the corner itself, and the points where its edges cross the near plane
            bit = (1 << axis) >> 1
            column, row, along = corners[corner, 0], corners[corner, 1], corners[corner, 2]
            other = corner ^ bit
            if along < NEAR_M:
                continue
            if bit != 0:
                if corners[other, 2] >= NEAR_M:
                    continue
                part = (along - NEAR_M) / (along - corners[other, 2])
                column += part * (corners[other, 0] - column)
                row += part * (corners[other, 1] - row)
                along = NEAR_M
            top, bottom = min(top, row / along), max(bottom, row / along)
            left, right_end = min(left, column / along), max(right_end, column / along)
    return (
        int(min(height, max(0.0, top))),
        int(min(height, max(0.0, bottom + 1.0))),
        int(min(width, max(0.0, left))),
        int(min(width, max(0.0, right_end + 1.0))),
        nearest_m,
    )
