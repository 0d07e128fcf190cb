"""Resolves the contacts of cars with walls and with each other, by impulses at the points where they touch.

Contacts have friction and do not bounce. The bodies are boxes in the ground plane. Headings are clockwise from +z as seen
from above.
"""

from __future__ import annotations

import math
from typing import Any

from robotini_ray.machine.compiled import compiled
from robotini_ray.track.centre_line import LEVEL_M, WALL_OFFSET_M, Line, locate_on, wall_on

BODY_LENGTH_M = 0.26
BODY_WIDTH_M = 0.12
YAW_INERTIA_PER_KG_M2 = (BODY_LENGTH_M**2 + BODY_WIDTH_M**2) / 12  # of a homogeneous box

FRICTION = 0.6  # Unity's default between bodies
CONTACT_GAP_M = 0.005  # a contact lasts until the gap is wider than this
# The points of the body's outline that are tested: both sides, then the middles of the rear and the front, the only points
# inside the box of a car straight ahead or behind.
OUTLINE_RIGHT_M = (-0.06,) * 5 + (0.06,) * 5 + (0.0, 0.0)
OUTLINE_AHEAD_M = (-0.13, -0.065, 0.0, 0.065, 0.13) * 2 + (-0.13, 0.13)
REACH_M = math.hypot(BODY_LENGTH_M / 2, BODY_WIDTH_M / 2)
# The distance along the line within which a place is searched: the car's place around that of the previous step, an outline
# point's place around the car's. The latter is larger because inside a tight bend the line is several times as long as the
# body.
CAR_WINDOW_M = 0.15
OUTLINE_WINDOW_M = 0.6


@compiled
def collide_with_walls(car: Any, line: Line, step_s: float) -> None:
    """Locates the car on the track, pushes it off a wall, and updates the duration and the count of its wall contacts."""
    car.arc, car.offset, car.track_heading = locate_on(line, car.x, car.z, car.arc, CAR_WINDOW_M)
    gap = line.narrowest_m - abs(car.offset) - REACH_M
    if gap < CONTACT_GAP_M:
        gap = _push_off_walls(car, line)
    if gap > CONTACT_GAP_M:
        car.touching_wall = False
        car.wall_contact_s = 0.0
    elif car.touching_wall:
        car.wall_contact_s += step_s
    elif gap <= 0.0:
        car.touching_wall = True
        car.new_wall_contacts += 1


@compiled
def _push_off_walls(car: Any, line: Line) -> float:
    """Resolves the contact of every outline point that is in a wall; returns the smallest gap (m) found before."""
    smallest = math.inf
    for point in range(len(OUTLINE_RIGHT_M)):
        sin, cos = math.sin(car.heading), math.cos(car.heading)
        arm_x = OUTLINE_RIGHT_M[point] * cos + OUTLINE_AHEAD_M[point] * sin
        arm_z = OUTLINE_AHEAD_M[point] * cos - OUTLINE_RIGHT_M[point] * sin
        arc, offset, heading = locate_on(line, car.x + arm_x, car.z + arm_z, car.arc, OUTLINE_WINDOW_M)
        wall = WALL_OFFSET_M if line.narrowest_m == WALL_OFFSET_M else wall_on(line, arc, offset)
        gap = wall - abs(offset)
        smallest = min(smallest, gap)
        if gap < 0.0:
            # The normal points from the wall back to the centre line.
            side = math.copysign(1.0, offset)
            normal_x, normal_z = -side * math.cos(heading), side * math.sin(heading)
            car.x -= gap * normal_x
            car.z -= gap * normal_z
            speed_x = car.speed_x + car.yaw_rate * arm_z
            speed_z = car.speed_z - car.yaw_rate * arm_x
            push, slide = _impulses(speed_x, speed_z, normal_x, normal_z, 1 / car.mass_kg, arm_x, arm_z, 0.0, 0.0, 0.0)
            _strike(car, push * normal_x + slide * normal_z, push * normal_z - slide * normal_x, arm_x, arm_z)
    return smallest


@compiled
def _impulses(
    speed_x: float,
    speed_z: float,
    normal_x: float,
    normal_z: float,
    inverse_mass: float,
    arm_x: float,
    arm_z: float,
    other_inverse_mass: float,
    other_arm_x: float,
    other_arm_z: float,
) -> tuple[float, float]:
    """Computes the impulses that end the approach of two bodies at a contact point, with friction.

    Args:
        speed_x: The velocity (m/s) of the contact point relative to the other body.
        speed_z: The z component of this velocity.
        normal_x: The unit normal, which points from the other body towards the car.
        normal_z: The z component of the normal.
        inverse_mass: 1 / mass (1/kg) of the car.
        arm_x: The position (m) of the contact point relative to the car's centre.
        arm_z: The z component of this position.
        other_inverse_mass: 1 / mass of the other body; 0 for a wall.
        other_arm_x: The position (m) of the contact point relative to the other body's centre.
        other_arm_z: The z component of this position.

    Returns:
        The impulses (N s) on the car along the normal and along (``normal_z``, ``-normal_x``); 0 if the bodies move apart.
    """
    approach = speed_x * normal_x + speed_z * normal_z
    if approach >= 0.0:
        return 0.0, 0.0
    sliding = speed_x * normal_z - speed_z * normal_x
    both = inverse_mass + other_inverse_mass
    yaw, other_yaw = inverse_mass / YAW_INERTIA_PER_KG_M2, other_inverse_mass / YAW_INERTIA_PER_KG_M2
    lever = arm_z * normal_x - arm_x * normal_z
    other_lever = other_arm_z * normal_x - other_arm_x * normal_z
    push = -approach / (both + lever**2 * yaw + other_lever**2 * other_yaw)
    lever = arm_z * normal_z + arm_x * normal_x
    other_lever = other_arm_z * normal_z + other_arm_x * normal_x
    slide = -sliding / (both + lever**2 * yaw + other_lever**2 * other_yaw)
    return push, min(FRICTION * push, max(-FRICTION * push, slide))


@compiled
def _strike(car: Any, impulse_x: float, impulse_z: float, arm_x: float, arm_z: float) -> None:
    """Applies an impulse (N s) to the car at ``arm`` (m) from its centre; a push to the right in front turns it clockwise."""
    car.speed_x += impulse_x / car.mass_kg
    car.speed_z += impulse_z / car.mass_kg
    car.yaw_rate += (arm_z * impulse_x - arm_x * impulse_z) / (car.mass_kg * YAW_INERTIA_PER_KG_M2)


@compiled
def collide_cars(cars: Any, touching: Any) -> None:
    """Pushes overlapping cars apart and records in ``touching``, ``<bool>[capacity, capacity]``, which cars touch."""
    for i in range(len(cars)):
        if not cars[i].present:
            continue
        for j in range(i + 1, len(cars)):
            if not cars[j].present:
                continue
            apart = math.hypot(cars[i].x - cars[j].x, cars[i].z - cars[j].z)
            gap = math.inf
            if apart < 2 * REACH_M + CONTACT_GAP_M and abs(cars[i].y - cars[j].y) < LEVEL_M:
                gap = min(_push_apart(cars[i], cars[j]), _push_apart(cars[j], cars[i]))
            if gap <= 0.0:
                touching[i, j] = True
            elif gap > CONTACT_GAP_M:
                touching[i, j] = False


@compiled
def _push_apart(car: Any, other: Any) -> float:
    """Resolves the contact of ``car``'s outline with ``other``'s box; returns the smallest gap (m) found before."""
    smallest = math.inf
    for point in range(len(OUTLINE_RIGHT_M)):
        sin, cos = math.sin(car.heading), math.cos(car.heading)
        arm_x = OUTLINE_RIGHT_M[point] * cos + OUTLINE_AHEAD_M[point] * sin
        arm_z = OUTLINE_AHEAD_M[point] * cos - OUTLINE_RIGHT_M[point] * sin
        other_arm_x, other_arm_z = car.x + arm_x - other.x, car.z + arm_z - other.z
        sin, cos = math.sin(other.heading), math.cos(other.heading)
        right = other_arm_x * cos - other_arm_z * sin
        ahead = other_arm_x * sin + other_arm_z * cos
        gap_right = abs(right) - BODY_WIDTH_M / 2
        gap_ahead = abs(ahead) - BODY_LENGTH_M / 2
        gap = max(gap_right, gap_ahead)
        smallest = min(smallest, gap)
        if gap >= 0.0:
            continue
        # The point leaves through the nearest side of the other's box.
        if gap_right > gap_ahead:
            normal_x, normal_z = math.copysign(1.0, right) * cos, -math.copysign(1.0, right) * sin
        else:
            normal_x, normal_z = math.copysign(1.0, ahead) * sin, math.copysign(1.0, ahead) * cos
        share = other.mass_kg / (car.mass_kg + other.mass_kg)
        car.x -= gap * share * normal_x
        car.z -= gap * share * normal_z
        other.x += gap * (1.0 - share) * normal_x
        other.z += gap * (1.0 - share) * normal_z
        speed_x = car.speed_x + car.yaw_rate * arm_z - other.speed_x - other.yaw_rate * other_arm_z
        speed_z = car.speed_z - car.yaw_rate * arm_x - other.speed_z + other.yaw_rate * other_arm_x
        push, slide = _impulses(
            speed_x,
            speed_z,
            normal_x,
            normal_z,
            1.0 / car.mass_kg,
            arm_x,
            arm_z,
            1.0 / other.mass_kg,
            other_arm_x,
            other_arm_z,
        )
        impulse_x, impulse_z = push * normal_x + slide * normal_z, push * normal_z - slide * normal_x
        _strike(car, impulse_x, impulse_z, arm_x, arm_z)
        _strike(other, -impulse_x, -impulse_z, other_arm_x, other_arm_z)
    return smallest
