"""How the cars move: four wheels with load and slip, walls, and each other; all cars in one compiled loop.

The car is Robotini's: its masses, torques and friction curves are the constants below. The ground is flat, so a car
is a rigid body in the plane (x, z, heading) with four spinning wheels. Units are SI, headings are clockwise from +z as
seen from above, and in the car's own frame the first axis points right and the second forward.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from robotini_ray.track import Line, locate_on

STEP_S = 0.002
STEPS_OF_FRAME = (8, 8, 9)  # physics steps in turn; 25 steps make three frames of 1/60 s

GRAVITY_M_S2 = 9.81
MASS_KG = 0.553
ANGULAR_DRAG_PER_S = 0.05
BODY_LENGTH_M = 0.26
BODY_WIDTH_M = 0.12
YAW_INERTIA_KG_M2 = MASS_KG * (BODY_LENGTH_M**2 + BODY_WIDTH_M**2) / 12  # of a box

WHEEL_RADIUS_M = 0.023
WHEEL_INERTIA_KG_M2 = 0.5 * 0.02 * WHEEL_RADIUS_M**2  # a disc of 20 g
WHEEL_DAMPING_NMS = 0.001
WHEEL_RIGHT_M = (-0.045, 0.045, -0.045, 0.045)
WHEEL_AHEAD_M = (0.085, 0.085, -0.085, -0.085)
MOTOR_TORQUE_NM = 0.75
MOTOR_TOP_SPIN_RAD_S = 1800.0 * 2 * math.pi / 60
BRAKE_TORQUE_NM = 100.0
STEERING_RAD = math.radians(30.0)
STEERING_RATE_PER_S = 10.0

FORWARD_PEAK_SLIP = 0.4
SIDEWAYS_PEAK_SLIP = 0.2
FORWARD_SLIDE = (0.8 / FORWARD_PEAK_SLIP, 0.5)  # (slip over peak slip, friction) where the curve ends
SIDEWAYS_SLIDE = (0.5 / SIDEWAYS_PEAK_SLIP, 0.75)
# Slip is a ratio to the wheel's speed over ground; below this speed it is a ratio to this speed, which keeps the
# explicit 2 ms steps of the body stable at a standstill.
SLIP_FLOOR_M_S = 0.3

# Load moves between the wheels as if the mass sat at this height, as fast as spring and damper let it (25/500 s).
# With the body's own 0.048 m the car would tip over before it slides, which the real one does not do.
MASS_HEIGHT_M = 0.02
LOAD_LAG_S = 0.05

WALL_OFFSET_M = 0.44
FRICTION = 0.6  # Unity's default between bodies
CONTACT_GAP_M = 0.005  # a contact lasts until the gap is wider than this
# Points of the body's outline that can touch: both sides, then the middle of front and rear, which alone are within
# the box of a car straight ahead.
OUTLINE_RIGHT_M = (-0.06,) * 5 + (0.06,) * 5 + (0.0, 0.0)
OUTLINE_AHEAD_M = (-0.13, -0.065, 0.0, 0.065, 0.13) * 2 + (-0.13, 0.13)
REACH_M = math.hypot(BODY_LENGTH_M / 2, BODY_WIDTH_M / 2)
LOCATE_WINDOW_M = 0.4

CAR = np.dtype(
    [
        ("present", np.bool_),
        # commands
        ("throttle", np.float64),
        ("brake", np.float64),
        ("turn", np.float64),
        # motion
        ("x", np.float64),
        ("z", np.float64),
        ("heading", np.float64),
        ("speed_x", np.float64),
        ("speed_z", np.float64),
        ("speed_ahead", np.float64),
        ("yaw_rate", np.float64),
        ("steering", np.float64),  # -1 full left .. +1 full right
        ("wheel_spin", np.float64, (4,)),  # rad/s
        ("load_shift_ahead", np.float64),  # lagged acceleration, m/s^2
        ("load_shift_right", np.float64),
        # place on the track
        ("arc", np.float64),
        ("offset", np.float64),
        ("track_heading", np.float64),
        # contacts
        ("touching_wall", np.bool_),
        ("wall_contact_s", np.float64),
        ("new_wall_contacts", np.int64),  # in this frame
    ]
)


def parked_cars(capacity: int) -> NDArray[Any]:
    """`capacity` slots for cars, none of them present: a record array of dtype `CAR`."""
    return np.zeros(capacity, CAR)


def place_car(cars: NDArray[Any], slot: int, pose: tuple[float, float, float], arc_m: float) -> None:
    """Put the car of `slot` at rest at `pose` (x, z, heading) on the centre line; its commands stay as they are."""
    car = cars[slot]
    kept = {name: car[name] for name in ("present", "throttle", "brake", "turn")}
    cars[slot] = np.zeros((), CAR)
    for name, value in kept.items():
        car[name] = value
    car["x"], car["z"], car["heading"] = pose
    car["arc"], car["track_heading"] = arc_m, pose[2]


@njit(cache=True)
def advance(cars: Any, touching: Any, line: Line, steps: int, car_contact: bool) -> None:
    """Move every present car by `steps` physics steps; also counts the contacts that begin (`new_wall_contacts`).

    `touching` is bool[capacity, capacity]: which cars touch each other; updated in place.
    """
    for i in range(len(cars)):
        cars[i].new_wall_contacts = 0
    for _ in range(steps):
        for i in range(len(cars)):
            if cars[i].present:
                _drive(cars[i])
                _collide_with_walls(cars[i], line)
        if car_contact:
            _collide_cars(cars, touching)
    for i in range(len(cars)):
        cars[i].speed_ahead = cars[i].speed_x * math.sin(cars[i].heading) + cars[i].speed_z * math.cos(cars[i].heading)


@njit(cache=True)
def copy_poses(cars: Any, poses: Any) -> None:
    """Write (x, z, heading) of every present car into its row of `poses`."""
    for i in range(len(cars)):
        if cars[i].present:
            poses[i] = cars[i].x, cars[i].z, cars[i].heading


@njit(cache=True)
def _friction(slip: float, slide_slip: float, slide_friction: float) -> float:
    """Unity's friction curve over slip in units of the peak's: up to 1 at 1, then down to where it slides.

    Both pieces are cubic splines, level at the peak and at the end; the first begins with slope 1.
    """
    if slip <= 1.0:
        return slip * (1.0 + slip - slip * slip)
    if slip >= slide_slip:
        return slide_friction
    part = (slip - 1.0) / (slide_slip - 1.0)
    return 1.0 - (1.0 - slide_friction) * part * part * (3.0 - 2.0 * part)


@njit(cache=True)
def _motor(throttle: float, mean_spin: float) -> tuple[float, float]:
    """Torque on a wheel (N m) at a mean spin (rad/s), and its slope (N m s/rad), which is never positive."""
    part = mean_spin / MOTOR_TOP_SPIN_RAD_S
    full = throttle * MOTOR_TORQUE_NM
    if part <= 0.478:
        return full, 0.0
    if part <= 0.518:
        return full * (1.0 - (part - 0.478)), min(0.0, -full / MOTOR_TOP_SPIN_RAD_S)
    if part >= 1.0:
        return 0.0, 0.0
    return full * 0.96 * (1.0 - part) / 0.482, min(0.0, -full * 0.96 / 0.482 / MOTOR_TOP_SPIN_RAD_S)


@njit(cache=True)
def _grip(load: float, slip_ahead: float, slip_right: float, reference: float) -> tuple[float, float]:
    """Force per slip speed (N s/m) along and across a wheel whose contact slips at these speeds (m/s).

    The two slips share one friction: with each in units of its peak slip, their length goes into both curves, and
    the force points against the slip (the similarity method), so that the grip is the same in any direction.
    """
    ahead = slip_ahead / (FORWARD_PEAK_SLIP * reference)
    right = slip_right / (SIDEWAYS_PEAK_SLIP * reference)
    slip = max(1e-9, math.hypot(ahead, right))
    grip_ahead = load * _friction(slip, FORWARD_SLIDE[0], FORWARD_SLIDE[1]) / slip
    grip_right = load * _friction(slip, SIDEWAYS_SLIDE[0], SIDEWAYS_SLIDE[1]) / slip
    return grip_ahead / (FORWARD_PEAK_SLIP * reference), grip_right / (SIDEWAYS_PEAK_SLIP * reference)


@njit(cache=True)
def _turn_wheel(
    spin: float, motor: tuple[float, float], brake: float, load: float, ahead: float, right: float
) -> tuple[float, float, float]:
    """One step of one wheel moving over ground at (ahead, right) m/s: new spin, force ahead, force right.

    The wheels are so light that explicit steps of their spin are unstable: with the grip written as force per slip
    speed, the new spin is the solution of a linear equation, refined once. Steady spins are exact.
    """
    reference = max(abs(ahead), SLIP_FLOOR_M_S)
    inertia = WHEEL_INERTIA_KG_M2 / STEP_S
    new_spin, grip_ahead, grip_right = spin, 0.0, 0.0
    for _ in range(2):
        grip_ahead, grip_right = _grip(load, new_spin * WHEEL_RADIUS_M - ahead, right, reference)
        push = (inertia - motor[1]) * spin + motor[0] + WHEEL_RADIUS_M * grip_ahead * ahead
        push = math.copysign(max(0.0, abs(push) - brake), push)
        resistance = WHEEL_DAMPING_NMS - motor[1] + WHEEL_RADIUS_M * WHEEL_RADIUS_M * grip_ahead
        new_spin = push / (inertia + resistance)
    return new_spin, grip_ahead * (new_spin * WHEEL_RADIUS_M - ahead), -grip_right * right


@njit(cache=True)
def _drive(car: Any) -> None:
    """One step of motor, wheels and body."""
    largest = STEERING_RATE_PER_S * STEP_S
    car.steering += min(largest, max(-largest, -car.turn - car.steering))
    sin, cos = math.sin(car.heading), math.cos(car.heading)
    ahead = car.speed_x * sin + car.speed_z * cos
    right = car.speed_x * cos - car.speed_z * sin
    spins = car.wheel_spin
    motor = _motor(car.throttle, (spins[0] + spins[1] + spins[2] + spins[3]) / 4)
    brake = car.brake * BRAKE_TORQUE_NM
    force_ahead, force_right, twist = 0.0, 0.0, 0.0
    for wheel in range(4):
        at_right, at_ahead = WHEEL_RIGHT_M[wheel], WHEEL_AHEAD_M[wheel]
        shift = car.load_shift_ahead / at_ahead + car.load_shift_right / at_right
        load = max(0.0, MASS_KG / 4 * (GRAVITY_M_S2 - MASS_HEIGHT_M * shift))
        angle = STEERING_RAD * car.steering if at_ahead > 0 else 0.0
        wheel_sin, wheel_cos = math.sin(angle), math.cos(angle)
        over_ahead = ahead - car.yaw_rate * at_right
        over_right = right + car.yaw_rate * at_ahead
        spin, along, across = _turn_wheel(
            spins[wheel],
            motor,
            brake,
            load,
            over_ahead * wheel_cos + over_right * wheel_sin,
            over_right * wheel_cos - over_ahead * wheel_sin,
        )
        spins[wheel] = spin
        push_ahead = along * wheel_cos - across * wheel_sin
        push_right = along * wheel_sin + across * wheel_cos
        force_ahead += push_ahead
        force_right += push_right
        twist += push_right * at_ahead - push_ahead * at_right
    force_ahead /= MASS_KG
    force_right /= MASS_KG
    car.load_shift_ahead += (force_ahead - car.load_shift_ahead) * (STEP_S / LOAD_LAG_S)
    car.load_shift_right += (force_right - car.load_shift_right) * (STEP_S / LOAD_LAG_S)
    car.speed_x += (force_ahead * sin + force_right * cos) * STEP_S
    car.speed_z += (force_ahead * cos - force_right * sin) * STEP_S
    car.yaw_rate = (car.yaw_rate + twist / YAW_INERTIA_KG_M2 * STEP_S) * (1 - ANGULAR_DRAG_PER_S * STEP_S)
    car.x += car.speed_x * STEP_S
    car.z += car.speed_z * STEP_S
    car.heading += car.yaw_rate * STEP_S


@njit(cache=True)
def _collide_with_walls(car: Any, line: Line) -> None:
    """Find the car's place on the track, push it off a wall, and keep the account of its contact."""
    car.arc, car.offset, car.track_heading = locate_on(line, car.x, car.z, car.arc, LOCATE_WINDOW_M)
    gap = WALL_OFFSET_M - abs(car.offset) - REACH_M
    if gap < CONTACT_GAP_M:
        gap = _push_off_walls(car, line)
    if gap > CONTACT_GAP_M:
        car.touching_wall = False
        car.wall_contact_s = 0.0
    elif car.touching_wall:
        car.wall_contact_s += STEP_S
    elif gap <= 0.0:
        car.touching_wall = True
        car.new_wall_contacts += 1


@njit(cache=True)
def _push_off_walls(car: Any, line: Line) -> float:
    """Resolve the contact of every point of the outline that is in a wall; returns the smallest gap before it."""
    smallest = math.inf
    for point in range(len(OUTLINE_RIGHT_M)):
        sin, cos = math.sin(car.heading), math.cos(car.heading)
        arm_x = OUTLINE_RIGHT_M[point] * cos + OUTLINE_AHEAD_M[point] * sin
        arm_z = OUTLINE_AHEAD_M[point] * cos - OUTLINE_RIGHT_M[point] * sin
        _, offset, heading = locate_on(line, car.x + arm_x, car.z + arm_z, car.arc, LOCATE_WINDOW_M)
        gap = WALL_OFFSET_M - abs(offset)
        smallest = min(smallest, gap)
        if gap < 0.0:
            # The normal points from the wall back to the centre line.
            side = math.copysign(1.0, offset)
            normal_x, normal_z = -side * math.cos(heading), side * math.sin(heading)
            car.x -= gap * normal_x
            car.z -= gap * normal_z
            speed_x = car.speed_x + car.yaw_rate * arm_z
            speed_z = car.speed_z - car.yaw_rate * arm_x
            push, slide = _impulses(speed_x, speed_z, normal_x, normal_z, arm_x, arm_z, 0.0, 0.0, 0.0)
            _strike(car, push * normal_x + slide * normal_z, push * normal_z - slide * normal_x, arm_x, arm_z)
    return smallest


@njit(cache=True)
def _impulses(
    speed_x: float,
    speed_z: float,
    normal_x: float,
    normal_z: float,
    arm_x: float,
    arm_z: float,
    other_inverse_mass: float,
    other_arm_x: float,
    other_arm_z: float,
) -> tuple[float, float]:
    """Impulses (N s) along the normal and along (normal_z, -normal_x) that end the approach, with friction.

    `speed` is how the contact point moves against the other body; `other_inverse_mass` is 0 for a wall.
    """
    approach = speed_x * normal_x + speed_z * normal_z
    if approach >= 0.0:
        return 0.0, 0.0
    sliding = speed_x * normal_z - speed_z * normal_x
    inverse_mass = 1.0 / MASS_KG + other_inverse_mass
    other_yaw = 1.0 / YAW_INERTIA_KG_M2 if other_inverse_mass > 0.0 else 0.0
    lever = arm_z * normal_x - arm_x * normal_z
    other_lever = other_arm_z * normal_x - other_arm_x * normal_z
    push = -approach / (inverse_mass + lever**2 / YAW_INERTIA_KG_M2 + other_lever**2 * other_yaw)
    lever = arm_z * normal_z + arm_x * normal_x
    other_lever = other_arm_z * normal_z + other_arm_x * normal_x
    slide = -sliding / (inverse_mass + lever**2 / YAW_INERTIA_KG_M2 + other_lever**2 * other_yaw)
    return push, min(FRICTION * push, max(-FRICTION * push, slide))


@njit(cache=True)
def _strike(car: Any, impulse_x: float, impulse_z: float, arm_x: float, arm_z: float) -> None:
    """An impulse on the car at `arm` from its centre; a push to the right in front of it turns it clockwise."""
    car.speed_x += impulse_x / MASS_KG
    car.speed_z += impulse_z / MASS_KG
    car.yaw_rate += (arm_z * impulse_x - arm_x * impulse_z) / YAW_INERTIA_KG_M2


@njit(cache=True)
def _collide_cars(cars: Any, touching: Any) -> None:
    for i in range(len(cars)):
        if not cars[i].present:
            continue
        for j in range(i + 1, len(cars)):
            if not cars[j].present:
                continue
            apart = math.hypot(cars[i].x - cars[j].x, cars[i].z - cars[j].z)
            gap = math.inf
            if apart < 2 * REACH_M + CONTACT_GAP_M:
                gap = min(_push_apart(cars[i], cars[j]), _push_apart(cars[j], cars[i]))
            if gap <= 0.0:
                touching[i, j] = True
            elif gap > CONTACT_GAP_M:
                touching[i, j] = False


@njit(cache=True)
def _push_apart(car: Any, other: Any) -> float:
    """Resolve the contact of `car`'s outline with `other`'s box; returns the smallest gap before it."""
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
        # Out through the nearer side of the other's box.
        if gap_right > gap_ahead:
            normal_x, normal_z = math.copysign(1.0, right) * cos, -math.copysign(1.0, right) * sin
        else:
            normal_x, normal_z = math.copysign(1.0, ahead) * sin, math.copysign(1.0, ahead) * cos
        car.x -= gap / 2 * normal_x
        car.z -= gap / 2 * normal_z
        other.x += gap / 2 * normal_x
        other.z += gap / 2 * normal_z
        speed_x = car.speed_x + car.yaw_rate * arm_z - other.speed_x - other.yaw_rate * other_arm_z
        speed_z = car.speed_z - car.yaw_rate * arm_x - other.speed_z + other.yaw_rate * other_arm_x
        push, slide = _impulses(speed_x, speed_z, normal_x, normal_z, arm_x, arm_z, 1.0 / MASS_KG, other_arm_x, other_arm_z)
        impulse_x, impulse_z = push * normal_x + slide * normal_z, push * normal_z - slide * normal_x
        _strike(car, impulse_x, impulse_z, arm_x, arm_z)
        _strike(other, -impulse_x, -impulse_z, other_arm_x, other_arm_z)
    return smallest
