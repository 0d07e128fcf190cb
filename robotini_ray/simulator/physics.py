"""How the cars move: four wheels with load and slip, walls, and each other; all cars in one compiled loop.

The car is Robotini's: its masses, torques and friction curves are the constants below. The ground is flat, so a car
is a rigid body in the plane (x, z, heading) with four spinning wheels. Units are SI, headings are clockwise from +z as
seen from above, and in the car's own frame the first axis points right and the second forward.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robotini_ray.compiled import compiled
from robotini_ray.simulator.contacts import MASS_KG, YAW_INERTIA_KG_M2, collide_cars, collide_with_walls
from robotini_ray.track import Line

STEP_S = 0.002
STEPS_OF_FRAME = (8, 8, 9)  # physics steps in turn; 25 steps make three frames of 1/60 s

GRAVITY_M_S2 = 9.81
ANGULAR_DRAG_PER_S = 0.05
BODY_HEIGHT_M = 0.048  # of the body's origin above the road

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


@compiled
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
                collide_with_walls(cars[i], line, STEP_S)
        if car_contact:
            collide_cars(cars, touching)
    for i in range(len(cars)):
        cars[i].speed_ahead = cars[i].speed_x * math.sin(cars[i].heading) + cars[i].speed_z * math.cos(cars[i].heading)


@compiled
def copy_poses(cars: Any, poses: Any) -> None:
    """Write (x, z, heading) of every present car into its row of `poses`."""
    for i in range(len(cars)):
        if cars[i].present:
            poses[i, 0] = cars[i].x
            poses[i, 1] = cars[i].z
            poses[i, 2] = cars[i].heading


@compiled
def _friction_per_slip(slip: float, slide_slip: float, slide_friction: float) -> float:
    """Unity's friction curve, divided by the slip, which is in units of the peak's.

    The curve goes up to 1 at 1, then down to where the wheel slides. Both pieces are cubic splines, level at the peak
    and at the end; the first begins with slope 1.
    """
    if slip <= 1.0:
        return 1.0 + slip - slip * slip
    if slip >= slide_slip:
        return slide_friction / slip
    part = (slip - 1.0) / (slide_slip - 1.0)
    return (1.0 - (1.0 - slide_friction) * part * part * (3.0 - 2.0 * part)) / slip


@compiled
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


@compiled
def _turn_wheel(
    spin: float, motor: tuple[float, float], brake: float, load: float, ahead: float, right: float
) -> tuple[float, float, float]:
    """One step of one wheel moving over ground at (ahead, right) m/s: new spin, force ahead, force right.

    The slips ahead and to the right share one friction: with each in units of its peak slip, their length goes into
    both curves, and the force points against the slip (the similarity method), so the grip is the same in any direction.
    The wheels are so light that explicit steps of their spin are unstable: with the force as `grip` (N s/m) times the
    slip's speed, the new spin is the solution of a linear equation, refined once. Steady spins are exact.
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
    """One step of motor, wheels and body."""
    largest = STEERING_RATE_PER_S * STEP_S
    car.steering += min(largest, max(-largest, -car.turn - car.steering))
    sin, cos = math.sin(car.heading), math.cos(car.heading)
    ahead = car.speed_x * sin + car.speed_z * cos
    right = car.speed_x * cos - car.speed_z * sin
    spins = car.wheel_spin
    motor = _motor(car.throttle, (spins[0] + spins[1] + spins[2] + spins[3]) / 4)
    brake = car.brake * BRAKE_TORQUE_NM
    steering_sin, steering_cos = math.sin(STEERING_RAD * car.steering), math.cos(STEERING_RAD * car.steering)
    force_ahead, force_right, twist = 0.0, 0.0, 0.0
    for wheel in range(4):
        at_right, at_ahead = WHEEL_RIGHT_M[wheel], WHEEL_AHEAD_M[wheel]
        shift = car.load_shift_ahead / at_ahead + car.load_shift_right / at_right
        load = max(0.0, MASS_KG / 4 * (GRAVITY_M_S2 - MASS_HEIGHT_M * shift))
        wheel_sin, wheel_cos = (steering_sin, steering_cos) if at_ahead > 0 else (0.0, 1.0)
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
