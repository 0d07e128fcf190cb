"""Simulates the motion of all cars in one compiled loop: four wheels with load and slip, walls, and contacts of cars.

The car is Robotini's: its masses, torques and friction curves are the constants below. A car is a rigid body in the plane
(x, z, heading) with four spinning wheels. Where the track has height, the car stays on the road, which may rise along the
track but not across it: gravity pulls along the slope, the load on the wheels depends on slope and crests, and the distance
covered in the ground plan is shorter than that on the road. Units are SI, headings are clockwise from +z as seen from
above, and in the car's own frame the first axis points right and the second forward.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robotini_ray.machine.compiled import compiled
from robotini_ray.simulator.world.contacts import YAW_INERTIA_PER_KG_M2, collide_cars, collide_with_walls
from robotini_ray.track.centre_line import Line, height_on, pose_on, slope_on

STEP_S = 0.002
STEPS_OF_FRAME = (8, 8, 9)  # physics steps of successive frames; 25 steps make three frames of 1/60 s

MASS_KG = 0.553
GRAVITY_M_S2 = 9.81
ANGULAR_DRAG_PER_S = 0.05
BODY_HEIGHT_M = 0.048  # height of the body's origin above the road

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
# Slip is relative to the wheel's speed over ground; below this speed it is relative to this speed instead, which keeps the
# explicit 2 ms steps of the body stable at a standstill.
SLIP_FLOOR_M_S = 0.3

# Load moves between the wheels as if the centre of mass were at this height, with the time constant of spring and damper
# (25/500 s). With the body's own 0.048 m the car would tip over before it slides, which the real simulator's car does not do.
MASS_HEIGHT_M = 0.02
LOAD_LAG_S = 0.05

CAR = np.dtype(
    [
        ("present", np.bool_),
        # properties
        ("grip", np.float64),  # factor on both friction curves
        ("mass_kg", np.float64),
        ("motor", np.float64),  # factor on the motor's torque
        # commands
        ("throttle", np.float64),
        ("brake", np.float64),
        ("turn", np.float64),
        # motion
        ("x", np.float64),
        ("y", np.float64),
        ("z", np.float64),
        ("heading", np.float64),
        ("pitch", np.float64),  # positive nose up
        ("speed_x", np.float64),
        ("speed_y", np.float64),
        ("speed_z", np.float64),
        ("speed_ahead", np.float64),  # along the road
        ("yaw_rate", np.float64),
        ("steering", np.float64),  # -1 full left .. +1 full right
        ("wheel_spin", np.float64, (4,)),  # rad/s
        ("load_shift_ahead", np.float64),  # lagged acceleration, m/s^2
        ("load_shift_right", np.float64),
        ("load_shift_up", np.float64),
        # place on the track
        ("arc", np.float64),
        ("offset", np.float64),
        ("track_heading", np.float64),
        ("track_slope", np.float64),
        # contacts
        ("touching_wall", np.bool_),
        ("wall_contact_s", np.float64),
        ("new_wall_contacts", np.int64),  # in this frame
    ]
)


KEPT = ("present", "grip", "mass_kg", "motor", "throttle", "brake", "turn")  # fields that ``place_car`` leaves unchanged


def parked_cars(capacity: int) -> NDArray[Any]:
    """Returns ``capacity`` slots with standard cars, none of them present: a record array of dtype ``CAR``."""
    cars = np.zeros(capacity, CAR)
    cars["grip"] = cars["motor"] = 1.0
    cars["mass_kg"] = MASS_KG
    cars["y"] = BODY_HEIGHT_M
    return cars


def place_car(
    cars: NDArray[Any],
    slot: int,
    line: Line,
    arc_m: float,
    *,
    offset_m: float = 0.0,
    turned_rad: float = 0.0,
    speed_m_s: float = 0.0,
) -> None:
    """Puts a car on the road; its commands, grip, mass and motor stay as they are.

    Args:
        cars: All cars, a record array of dtype ``CAR``; updated in place.
        slot: The car to place.
        line: The centre line of the track.
        arc_m: The place along the centre line, in metres.
        offset_m: The distance to the right of the centre line.
        turned_rad: The car's heading, clockwise from that of the line.
        speed_m_s: The speed at which the car rolls ahead.
    """
    car = cars[slot]
    kept = {name: car[name] for name in KEPT}
    cars[slot] = np.zeros((), CAR)
    for name, value in kept.items():
        car[name] = value
    x, z, track_heading = pose_on(line, arc_m)
    heading, slope = track_heading + turned_rad, slope_on(line, arc_m)
    car["x"], car["z"] = x + offset_m * math.cos(track_heading), z - offset_m * math.sin(track_heading)
    car["y"] = height_on(line, arc_m) + BODY_HEIGHT_M
    car["heading"], car["pitch"] = heading, _pitch(slope, turned_rad)
    car["arc"], car["offset"] = arc_m % line.length_m, offset_m
    car["track_heading"], car["track_slope"] = track_heading, slope
    car["speed_x"], car["speed_z"] = speed_m_s * math.sin(heading), speed_m_s * math.cos(heading)
    car["speed_ahead"], car["wheel_spin"] = speed_m_s, speed_m_s / WHEEL_RADIUS_M
    _project_speed(cars[slot])


@compiled
def advance(cars: Any, touching: Any, line: Line, steps: int, car_contact: bool) -> None:
    """Moves every present car by some physics steps and counts the wall contacts that begin (``new_wall_contacts``).

    Args:
        cars: All cars, a record array of dtype ``CAR``; updated in place.
        touching: Which cars touch each other, ``<bool>[capacity, capacity]``; updated in place.
        line: The centre line of the track.
        steps: The number of steps of ``STEP_S``.
        car_contact: True if cars push each other, False if they pass through each other.
    """
    for i in range(len(cars)):
        cars[i].new_wall_contacts = 0
        if not line.is_flat and cars[i].present:
            _unroll_speed(cars[i])
    for _ in range(steps):
        for i in range(len(cars)):
            if cars[i].present:
                _drive(cars[i])
                collide_with_walls(cars[i], line, STEP_S)
                if not line.is_flat:
                    _follow_road(cars[i], line)
        if car_contact:
            collide_cars(cars, touching)
    for i in range(len(cars)):
        cars[i].speed_ahead = cars[i].speed_x * math.sin(cars[i].heading) + cars[i].speed_z * math.cos(cars[i].heading)
        if not line.is_flat and cars[i].present:
            _project_speed(cars[i])


@compiled
def copy_poses(cars: Any, poses: Any) -> None:
    """Writes (x, z, heading, y, pitch) of every present car to its row of ``poses``, ``<float64>[capacity, 5]``."""
    for i in range(len(cars)):
        if cars[i].present:
            poses[i, 0] = cars[i].x
            poses[i, 1] = cars[i].z
            poses[i, 2] = cars[i].heading
            poses[i, 3] = cars[i].y
            poses[i, 4] = cars[i].pitch


@compiled
def _pitch(slope: float, turned: float) -> float:
    """Returns the pitch (rad) of a car on a road with ``slope`` (rad) when its heading is ``turned`` (rad) from the road's."""
    return math.atan(math.tan(slope) * math.cos(turned))


@compiled
def _unroll_speed(car: Any) -> None:
    """Converts the velocity in the ground plan to the velocity over the road, which the physics steps use."""
    sin, cos = math.sin(car.track_heading), math.cos(car.track_heading)
    along = car.speed_x * sin + car.speed_z * cos
    more = along / math.cos(car.track_slope) - along
    car.speed_x += more * sin
    car.speed_z += more * cos


@compiled
def _project_speed(car: Any) -> None:
    """Converts the velocity over the road to its components in the ground plan and upwards; reverses ``_unroll_speed``."""
    sin, cos = math.sin(car.track_heading), math.cos(car.track_heading)
    along = car.speed_x * sin + car.speed_z * cos
    more = along * math.cos(car.track_slope) - along
    car.speed_x += more * sin
    car.speed_z += more * cos
    car.speed_y = along * math.sin(car.track_slope)


@compiled
def _follow_road(car: Any, line: Line) -> None:
    """Sets the car's height and pitch to the road's at its place, and updates the load caused by dips and crests."""
    slope = slope_on(line, car.arc)
    along = car.speed_x * math.sin(car.track_heading) + car.speed_z * math.cos(car.track_heading)
    # Centripetal acceleration: speed times the rate at which the slope changes, upwards in a dip.
    up = along * (slope - car.track_slope) / STEP_S
    car.load_shift_up += (up - car.load_shift_up) * (STEP_S / LOAD_LAG_S)
    car.track_slope = slope
    car.y = height_on(line, car.arc) + BODY_HEIGHT_M
    car.pitch = _pitch(slope, car.heading - car.track_heading)


@compiled
def _friction_per_slip(slip: float, slide_slip: float, slide_friction: float) -> float:
    """Returns Unity's friction curve divided by the slip.

    The curve rises to 1 at the peak, then falls to the point where the wheel slides. Both pieces are cubic splines that are
    level at the peak and at the end; the first begins with slope 1.

    Args:
        slip: The slip in units of the peak slip.
        slide_slip: The slip from which on the wheel slides, in the same units.
        slide_friction: The friction of a sliding wheel, in units of the peak friction.
    """
    if slip <= 1.0:
        return 1.0 + slip - slip * slip
    if slip >= slide_slip:
        return slide_friction / slip
    part = (slip - 1.0) / (slide_slip - 1.0)
    return (1.0 - (1.0 - slide_friction) * part * part * (3.0 - 2.0 * part)) / slip


@compiled
def _motor(throttle: float, mean_spin: float) -> tuple[float, float]:
    """Returns the torque on a wheel (N m) at a mean spin (rad/s) and its slope (N m s/rad), which is never positive."""
    part = mean_spin / MOTOR_TOP_SPIN_RAD_S
    full = throttle * MOTOR_TORQUE_NM
    if part <= 0.478:
        return full, 0.0
    if part <= 0.518:
        return full * (1.0 - (part - 0.478)), min(0.0, -full / MOTOR_TOP_SPIN_RAD_S)
    if part >= 1.0:
        return 0.0, 0.0
    return full * 0.96 * (1.0 - part) / 0.482, min(0.0, -full * 0.96 / 0.482 / MOTOR_TOP_SPIN_RAD_S)


@compiled
def _turn_wheel(
    spin: float, motor: tuple[float, float], brake: float, load: float, ahead: float, right: float
) -> tuple[float, float, float]:
    """Computes one step of one wheel: its new spin and the forces of the ground on it.

    The slips ahead and to the right share one friction: with each in units of its peak slip, the length of their vector is
    the argument of both curves, and the force points against the slip (the similarity method), so the grip is the same in
    every direction. The wheels are so light that explicit steps of their spin are unstable. With the force written as
    ``grip`` (N s/m) times the slip's speed, the new spin is the solution of a linear equation, refined once. Steady spins
    are exact.

    Args:
        spin: The spin before the step (rad/s).
        motor: The torque of the motor (N m) and its slope (N m s/rad), from ``_motor``.
        brake: The torque of the brake (N m).
        load: The load on the wheel (N) times the car's grip factor.
        ahead: The speed over ground in the wheel's direction (m/s).
        right: The speed over ground to the wheel's right (m/s).

    Returns:
        The new spin (rad/s), the force ahead (N) and the force to the right (N).
    """
    reference = max(abs(ahead), SLIP_FLOOR_M_S)
    to_peak_ahead, to_peak_right = 1.0 / (FORWARD_PEAK_SLIP * reference), 1.0 / (SIDEWAYS_PEAK_SLIP * reference)
    inertia = WHEEL_INERTIA_KG_M2 / STEP_S
    new_spin, slip, grip = spin, 0.0, 0.0
    for _ in range(2):
        slip_ahead = (new_spin * WHEEL_RADIUS_M - ahead) * to_peak_ahead
        slip = math.sqrt(slip_ahead**2 + (right * to_peak_right) ** 2)
        grip = load * _friction_per_slip(slip, FORWARD_SLIDE[0], FORWARD_SLIDE[1]) * to_peak_ahead
        push = (inertia - motor[1]) * spin + motor[0] + WHEEL_RADIUS_M * grip * ahead
        push = math.copysign(max(0.0, abs(push) - brake), push)
        resistance = WHEEL_DAMPING_NMS - motor[1] + WHEEL_RADIUS_M * WHEEL_RADIUS_M * grip
        new_spin = push / (inertia + resistance)
    sideways_grip = load * _friction_per_slip(slip, SIDEWAYS_SLIDE[0], SIDEWAYS_SLIDE[1]) * to_peak_right
    return new_spin, grip * (new_spin * WHEEL_RADIUS_M - ahead), -sideways_grip * right


@compiled
def _drive(car: Any) -> None:
    """Advances the motor, the wheels and the body of a car by one physics step."""
    largest = STEERING_RATE_PER_S * STEP_S
    car.steering += min(largest, max(-largest, -car.turn - car.steering))
    sin, cos = math.sin(car.heading), math.cos(car.heading)
    ahead = car.speed_x * sin + car.speed_z * cos
    right = car.speed_x * cos - car.speed_z * sin
    spins = car.wheel_spin
    motor = _motor(car.throttle * car.motor, (spins[0] + spins[1] + spins[2] + spins[3]) / 4)
    brake = car.brake * BRAKE_TORQUE_NM
    steering_sin, steering_cos = math.sin(STEERING_RAD * car.steering), math.cos(STEERING_RAD * car.steering)
    slope_sin, slope_cos = (math.sin(car.track_slope), math.cos(car.track_slope)) if car.track_slope != 0.0 else (0.0, 1.0)
    pressing = GRAVITY_M_S2 * slope_cos + car.load_shift_up
    force_ahead, force_right, twist = 0.0, 0.0, 0.0
    for wheel in range(4):
        at_right, at_ahead = WHEEL_RIGHT_M[wheel], WHEEL_AHEAD_M[wheel]
        shift = car.load_shift_ahead / at_ahead + car.load_shift_right / at_right
        load = max(0.0, car.mass_kg / 4 * (pressing - MASS_HEIGHT_M * shift))
        wheel_sin, wheel_cos = (steering_sin, steering_cos) if at_ahead > 0 else (0.0, 1.0)
        over_ahead = ahead - car.yaw_rate * at_right
        over_right = right + car.yaw_rate * at_ahead
        spin, along, across = _turn_wheel(
            spins[wheel],
            motor,
            brake,
            load * car.grip,
            over_ahead * wheel_cos + over_right * wheel_sin,
            over_right * wheel_cos - over_ahead * wheel_sin,
        )
        spins[wheel] = spin
        push_ahead = along * wheel_cos - across * wheel_sin
        push_right = along * wheel_sin + across * wheel_cos
        force_ahead += push_ahead
        force_right += push_right
        twist += push_right * at_ahead - push_ahead * at_right
    force_ahead /= car.mass_kg
    force_right /= car.mass_kg
    car.load_shift_ahead += (force_ahead - car.load_shift_ahead) * (STEP_S / LOAD_LAG_S)
    car.load_shift_right += (force_right - car.load_shift_right) * (STEP_S / LOAD_LAG_S)
    car.speed_x += (force_ahead * sin + force_right * cos) * STEP_S
    car.speed_z += (force_ahead * cos - force_right * sin) * STEP_S
    inertia = car.mass_kg * YAW_INERTIA_PER_KG_M2
    car.yaw_rate = (car.yaw_rate + twist / inertia * STEP_S) * (1 - ANGULAR_DRAG_PER_S * STEP_S)
    if slope_sin != 0.0:
        _move_on_slope(car, slope_sin, slope_cos)
    else:
        car.x += car.speed_x * STEP_S
        car.z += car.speed_z * STEP_S
    car.heading += car.yaw_rate * STEP_S


@compiled
def _move_on_slope(car: Any, slope_sin: float, slope_cos: float) -> None:
    """Applies gravity along the track and moves the car by one step, with the distance projected to the ground plan."""
    sin, cos = math.sin(car.track_heading), math.cos(car.track_heading)
    pull = -GRAVITY_M_S2 * slope_sin * STEP_S
    car.speed_x += pull * sin
    car.speed_z += pull * cos
    along = car.speed_x * sin + car.speed_z * cos
    car.x += (car.speed_x - along * (1.0 - slope_cos) * sin) * STEP_S
    car.z += (car.speed_z - along * (1.0 - slope_cos) * cos) * STEP_S
