"""Cars on tracks with height: gravity along the slope, load, the way in the plan, height, pitch and vertical speed."""

import math

import numpy as np
import pytest

from robotini_ray.simulator.world import contacts, physics
from robotini_ray.track.centre_line import HEIGHT, WALL_OFFSET_M, Line

G = 9.81
MIDDLE_M = 200.0
DAMPING_NS_M = 4 * 0.001 / 0.023**2  # of the four wheels, as a force per speed
SLOPE = math.radians(8.0)


def straight_line(slopes_rad):
    """A line along +z from z = -200, of these slopes at every 0.2 m of it; so long that its ends are never met."""
    z = np.linspace(-MIDDLE_M, MIDDLE_M, 2001)
    slopes_rad = np.broadcast_to(slopes_rad, z.shape).copy()
    points = np.stack([np.zeros_like(z), z], axis=1)
    means = (slopes_rad[1:] + slopes_rad[:-1]) / 2
    arc_m = np.append(0.0, np.cumsum(np.diff(z) / np.cos(means)))
    heights_m = np.append(0.0, np.cumsum(np.diff(z) * np.tan(means)))
    walls_m = np.full((len(z), 2), WALL_OFFSET_M)
    profile = np.column_stack([heights_m, slopes_rad, walls_m])
    return Line(points, arc_m, np.zeros_like(z), 2 * arc_m[-1], False, profile, WALL_OFFSET_M)


class Hill:
    def __init__(self, slopes_rad=SLOPE, cars=1, **place):
        self.line = straight_line(slopes_rad)
        self.cars = physics.parked_cars(cars)
        self.cars["present"] = True
        self.touching = np.zeros((cars, cars), np.bool_)
        for slot in range(cars):
            physics.place_car(self.cars, slot, self.line, float(self.line.arc_m[1000]) + 0.5 * slot, **place)

    def drive(self, frames, throttle=0.0, turn=0.0, brake=0.0):
        """Speeds (m/s, over the road) of the first car after each frame."""
        self.cars["throttle"], self.cars["turn"], self.cars["brake"] = throttle, turn, brake
        speeds = []
        for frame in range(frames):
            physics.advance(self.cars, self.touching, self.line, physics.STEPS_OF_FRAME[frame % 3], True)
            speeds.append(float(self.cars["speed_ahead"][0]))
        return speeds

    def get(self, name):
        return float(self.cars[name][0])


@pytest.mark.parametrize("throttle", [0.02, 0.05, 0.1])
@pytest.mark.parametrize("slope", [SLOPE, -SLOPE])
def test_gravity_pulls_along_the_slope(throttle, slope):
    """Steady: motor = wheel damping + weight along the slope. The car goes by as much faster downhill as the wheels slip."""
    motor_n = 4 * throttle * 0.75 / 0.023
    expected = (motor_n - physics.MASS_KG * G * math.sin(slope)) / DAMPING_NS_M
    hill = Hill(slope)
    speed = hill.drive(600, throttle)[-1]
    assert hill.cars["wheel_spin"].mean() * physics.WHEEL_RADIUS_M == pytest.approx(expected, rel=0.001)
    # The friction curve rises with slope 1 at first: tan(slope) of the load takes a little less than that much slip.
    slip = math.tan(slope) * physics.FORWARD_PEAK_SLIP
    assert expected / speed - 1 == pytest.approx(slip * max(1.0, physics.SLIP_FLOOR_M_S / speed), rel=0.2)


def test_a_car_rolls_down_by_itself_but_not_with_its_brakes_on():
    hill = Hill()
    assert -0.12 < hill.drive(300)[-1] < -physics.MASS_KG * G * math.sin(SLOPE) / DAMPING_NS_M  # and some slip
    assert hill.get("speed_y") < 0
    assert abs(Hill().drive(300, brake=1.0)[-1]) < 0.02


def test_the_way_in_the_plan_is_shorter_and_height_follows_the_road():
    hill = Hill(speed_m_s=1.0)
    hill.drive(120, 0.08)
    before = {name: hill.get(name) for name in ("z", "y", "arc")}
    speeds = hill.drive(60, 0.08)
    way_m = sum(speeds) / 60
    assert hill.get("arc") - before["arc"] == pytest.approx(way_m, rel=1e-3)
    assert hill.get("z") - before["z"] == pytest.approx(way_m * math.cos(SLOPE), rel=1e-3)
    assert hill.get("y") - before["y"] == pytest.approx(way_m * math.sin(SLOPE), rel=1e-3)
    assert hill.get("speed_z") == pytest.approx(speeds[-1] * math.cos(SLOPE))
    assert hill.get("speed_y") == pytest.approx(speeds[-1] * math.sin(SLOPE))


@pytest.mark.parametrize(
    ("turned_deg", "pitch_rad"),
    [(0, SLOPE), (180, -SLOPE), (90, 0.0), (-60, math.atan(math.tan(SLOPE) / 2))],
)
def test_the_nose_follows_the_road_in_the_cars_own_direction(turned_deg, pitch_rad):
    hill = Hill(turned_rad=math.radians(turned_deg))
    assert hill.get("pitch") == pytest.approx(pitch_rad)
    hill.drive(1, brake=1.0)
    assert hill.get("pitch") == pytest.approx(pitch_rad, abs=0.01)


@pytest.mark.parametrize("slope", [SLOPE, -SLOPE, math.radians(20)])
def test_load_on_a_slope_is_less(slope):
    """Locked wheels slide with half of the load's friction, which goes with the slope's cosine."""
    hill = Hill(slope, speed_m_s=2.5)
    speeds = hill.drive(20, brake=1.0)
    expected = 0.5 * G * math.cos(slope) + G * math.sin(slope)
    assert (speeds[5] - speeds[15]) / (10 / 60) == pytest.approx(expected, rel=0.04)


@pytest.mark.parametrize("bend_per_m", [0.3, -0.3])
def test_dips_press_and_crests_lift(bend_per_m):
    """Slope changing evenly with the way: speed squared times the bend comes on top of gravity."""
    z = np.linspace(-MIDDLE_M, MIDDLE_M, 2001)
    hill = Hill(np.where(np.abs(z) < 2.0, bend_per_m * z, np.sign(z) * 2.0 * bend_per_m), speed_m_s=2.0)
    speed = np.mean(hill.drive(20, 0.116))  # for 0.6 m or so
    assert hill.get("load_shift_up") == pytest.approx(speed**2 * bend_per_m, rel=0.15)


def test_placing_on_a_slope():
    hill = Hill(offset_m=0.1, turned_rad=math.pi / 2, speed_m_s=1.0)
    assert hill.get("speed_x") == pytest.approx(1.0)
    assert (hill.get("x"), hill.get("offset")) == pytest.approx((0.1, 0.1))
    hill = Hill(turned_rad=math.pi, speed_m_s=2.0)
    assert hill.get("speed_z") == pytest.approx(-2.0 * math.cos(SLOPE))
    assert hill.get("speed_y") == pytest.approx(-2.0 * math.sin(SLOPE))
    assert hill.get("speed_ahead") == 2.0
    assert hill.get("y") == pytest.approx(hill.line.profile[1000, HEIGHT] + physics.BODY_HEIGHT_M)


def test_speed_over_the_road_is_kept_where_the_slope_begins():
    """Only gravity and damping change it: crossing into the slope and turning off the motor costs no more."""
    z = np.linspace(-MIDDLE_M, MIDDLE_M, 2001)
    hill = Hill(np.where(z > 0.3, math.radians(15.0), 0.0), speed_m_s=3.0)
    hill.cars["mass_kg"] = 1e3  # so heavy that neither wheels nor motor matter
    hill.drive(30)
    rise_m = hill.get("y") - physics.BODY_HEIGHT_M - hill.line.profile[1000, HEIGHT]
    assert rise_m > 0.2
    assert hill.get("speed_ahead") ** 2 == pytest.approx(9.0 - 2 * G * rise_m, rel=0.02)


def test_poses_have_height_and_pitch():
    hill = Hill(cars=2, offset_m=0.1)
    hill.cars["present"][1] = False
    poses = np.full((2, 5), np.nan)
    physics.copy_poses(hill.cars, poses)
    assert poses[0] == pytest.approx([hill.get(name) for name in ("x", "z", "heading", "y", "pitch")])
    assert np.isnan(poses[1]).all()


def test_cars_bump_on_a_slope():
    hill = Hill(cars=2)
    hill.cars["throttle"][1] = 0.0
    physics.place_car(hill.cars, 1, hill.line, hill.get("arc") + contacts.BODY_LENGTH_M - 0.001)
    hill.drive(1)
    assert hill.touching[0, 1]
