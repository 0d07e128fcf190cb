"""Finds the distances of the walls from a camera with rays in the ground plane through the clearance map."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from robotini_ray.machine.compiled import compiled
from robotini_ray.simulator.camera.ground import CLEARANCE_CELL_M, GroundMap
from robotini_ray.simulator.camera.pixel_view import FAR_M, NEAR_M, View

# All numbers are float32 because the inner loops are much slower where float32 and float64 are mixed.
CLOSE_M = np.float32(0.001)  # a ray this close to a wall has reached it
CLOSING_M = np.float32(0.04)  # a ray this close may jump to the place where the wall is expected
FLATTEST_SLOPE = np.float32(0.05)
FARTHEST_M, DOUBLE, ONE, ZERO = np.float32(FAR_M), np.float32(1.96), np.float32(1.0), np.float32(0.0)
MOST_STEPS = 100
RAYS_AT_ONCE = 32  # few enough that most of them take about as many steps


@compiled
def trace_walls(walls_m: Any, view: View, ground: GroundMap, x: float, z: float, heading: float) -> tuple[float, float]:
    """Computes the depths of the walls that a camera sees.

    Args:
        walls_m: ``<float32>[rays]``, filled with the depths.
        view: The pixel tables of the camera, with the directions of the rays.
        ground: The maps of the track.
        x: Place of the camera along x, in metres.
        z: Place of the camera along z, in metres.
        heading: Heading of the camera's car, in radians clockwise from +z.

    Returns:
        The smallest and the largest of the depths.
    """
    cell_x = np.float32((x - ground.x_m) / CLEARANCE_CELL_M - 0.5)
    cell_z = np.float32((z - ground.z_m) / CLEARANCE_CELL_M - 0.5)
    sin, cos = np.float32(math.sin(heading) / CLEARANCE_CELL_M), np.float32(math.cos(heading) / CLEARANCE_CELL_M)
    along_x, along_z = np.empty(len(walls_m), np.float32), np.empty(len(walls_m), np.float32)
    for ray in range(len(walls_m)):
        along_x[ray] = view.ray_right[ray] * cos + view.ray_ahead[ray] * sin
        along_z[ray] = view.ray_ahead[ray] * cos - view.ray_right[ray] * sin
    for first in range(0, len(walls_m), RAYS_AT_ONCE):
        last = first + RAYS_AT_ONCE
        _trace(walls_m[first:last], along_x[first:last], along_z[first:last], cell_x, cell_z, ground.clearance)
    nearest_m, farthest_m = math.inf, 0.0
    for ray in range(len(walls_m)):
        walls_m[ray] = max(NEAR_M, walls_m[ray] * view.ray_ahead[ray])
        nearest_m, farthest_m = min(nearest_m, walls_m[ray]), max(farthest_m, walls_m[ray])
    return nearest_m, farthest_m


@compiled
def _trace(reached_m: Any, along_x: Any, along_z: Any, x: Any, z: Any, clearance: Any) -> None:
    """Computes how far rays from cell (x, z) of the clearance map get.

    Args:
        reached_m: ``<float32>[rays]``, filled with the distances.
        along_x: ``<float32>[rays]``, cells that each ray passes per metre along x.
        along_z: ``<float32>[rays]``, cells that each ray passes per metre along z.
        x: Start of the rays along x, in cells.
        z: Start of the rays along z, in cells.
        clearance: ``GroundMap.clearance``.
    """
    found_m, room_m, step_m = np.empty_like(reached_m), np.zeros_like(reached_m), np.zeros_like(reached_m)
    places, down, right = np.empty(len(reached_m), np.uint32), np.empty_like(reached_m), np.empty_like(reached_m)
    rows, columns = np.int32(clearance.shape[0]), np.int32(clearance.shape[1])
    cells = clearance.reshape(rows * columns)
    reached_m[:] = ZERO
    for _ in range(MOST_STEPS):
        _find_places(places, down, right, reached_m, step_m, along_x, along_z, x, z, rows, columns)
        _read_room(found_m, places, down, right, cells, columns)
        if _move(reached_m, room_m, step_m, found_m) == 0:
            return


@compiled
def _find_places(
    places: Any,
    down: Any,
    right: Any,
    reached_m: Any,
    step_m: Any,
    along_x: Any,
    along_z: Any,
    x: Any,
    z: Any,
    rows: Any,
    columns: Any,
) -> None:
    """Computes where the next steps of the rays lead.

    ``places`` receives the cells; ``down`` and ``right`` receive the distances from their middles towards those of the next
    row and column, in cells.
    """
    last_row, last_column = np.float32(rows - 2), np.float32(columns - 2)
    for ray in range(len(places)):
        at_m = reached_m[ray] + step_m[ray]
        row, column = min(last_row, max(ZERO, z + at_m * along_z[ray])), min(last_column, max(ZERO, x + at_m * along_x[ray]))
        i, j = np.int32(row), np.int32(column)
        down[ray], right[ray] = row - np.float32(i), column - np.float32(j)
        places[ray] = i * columns + j


@compiled
def _read_room(found_m: Any, places: Any, down: Any, right: Any, cells: Any, columns: Any) -> None:
    """Reads the room at the places, interpolated between four cells, into ``found_m``."""
    for ray in range(len(places)):
        near, far = cells[places[ray]], cells[places[ray] + np.uint32(columns)]
        near += (cells[places[ray] + np.uint32(1)] - near) * right[ray]
        far += (cells[places[ray] + np.uint32(columns + 1)] - far) * right[ray]
        found_m[ray] = near + (far - near) * down[ray]


@compiled
def _move(reached_m: Any, room_m: Any, step_m: Any, found_m: Any) -> np.int32:
    """Takes the steps that are safe, given the room found at their ends, and chooses the next ones.

    The room at a point is its distance from the nearest wall. A step is therefore safe as long as the rooms at both of its
    ends cover it. Towards a straight wall that holds up to 2 / (1 + slope) times the room, where the slope is the rate at
    which the room shrinks: this is sphere tracing with over-relaxation (Keinert et al., Enhanced Sphere Tracing, 2014). A
    step that is not covered is taken back and replaced by one as long as the room. A step that ends behind the wall is cut
    where the room would be 0.

    Returns:
        The number of rays that have not reached a wall yet.
    """
    going = np.int32(0)
    for ray in range(len(found_m)):
        found, room, step = found_m[ray], room_m[ray], step_m[ray]
        behind = (found < -CLOSE_M) & (step > ZERO)
        uncovered = (room + max(found, ZERO) < step) & (room > CLOSING_M)
        # None of the divisors can be 0; unlike ``/``, ``np.divide`` does not test for that.
        cut = np.divide(step * room, max(room - found, CLOSE_M))
        slope = np.divide(max(ZERO, room - found), max(step, CLOSE_M))
        covered = np.divide(DOUBLE * found, ONE + slope)
        jump = np.divide(found, max(slope, FLATTEST_SLOPE))
        onward = max(covered, jump) if found < CLOSING_M else covered
        onward = found if step == ZERO else onward
        again = cut if behind else room
        stays = behind | uncovered
        room = room if stays else found
        reached = reached_m[ray] if stays else reached_m[ray] + step
        goes_on = (room >= CLOSE_M) & (reached <= FARTHEST_M)
        reached_m[ray], room_m[ray] = reached, room
        step_m[ray] = (again if stays else onward) if goes_on else ZERO
        going += np.int32(goes_on)
    return going
