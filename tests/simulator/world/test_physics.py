"""The car's numbers as measured in the real simulator, and what walls and other cars do to it."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robotini_ray.simulator.world import contacts, physics
from robotini_ray.track.centre_line import Line

MIDDLE_M = 200.0


def straight_line():
    """A line along z, so long that its ends are never met."""
    z = np.linspace(-MIDDLE_M, MIDDLE_M, 2001)
    points = np.stack([np.zeros_like(z), z], axis=1)
    flat = np.zeros_like(z)
    profile = np.tile([0.0, 0.0, contacts.WALL_OFFSET_M, contacts.WALL_OFFSET_M], (len(z), 1))
    return Line(points, z + MIDDLE_M, flat, 4 * MIDDLE_M, True, profile, contacts.WALL_OFFSET_M)


class Road:
    """Cars on a straight; `open_field` keeps the first one away from the walls."""

    def __init__(self, cars=1, open_field=True):
        self.cars = physics.parked_cars(cars)
        self.cars["present"] = True
        self.cars["arc"] = MIDDLE_M
        self.touching = np.zeros((cars, cars), np.bool_)
        self.line = straight_line()
        self.open_field = open_field
        self.frames = 0

    def drive(self, frames, throttle=0.0, turn=0.0, brake=0.0):
        """Speeds (m/s) of the first car after each frame."""
        self.cars["throttle"][0], self.cars["turn"][0], self.cars["brake"][0] = throttle, turn, brake
        speeds = []
        for _ in range(frames):
            if self.open_field:
                self.cars["x"][0] = self.cars["z"][0] = 0.0
            physics.advance(self.cars, self.touching, self.line, physics.STEPS_OF_FRAME[self.frames % 3], True)
            self.frames += 1
            speeds.append(float(np.hypot(self.cars["speed_x"][0], self.cars["speed_z"][0])))
        return speeds

    def acceleration(self):
        return float(np.hypot(self.cars["speed_x"][0], self.cars["speed_z"][0]) * abs(self.cars["yaw_rate"][0]))


def test_three_frames_are_a_twentieth_of_a_second():
    assert sum(physics.STEPS_OF_FRAME) * physics.STEP_S == pytest.approx(3 / 60)


@pytest.mark.parametrize(("throttle", "low", "high"), [(0.02, 0.33, 0.35), (0.1, 1.65, 1.74), (1.0, 3.7, 3.95)])
def test_steady_speeds(throttle, low, high):
    speeds = Road().drive(900, throttle)
    assert low <= speeds[-1] <= high
    assert speeds[-1] == pytest.approx(speeds[-100], abs=0.01)


def test_steady_speed_follows_wheel_damping():
    assert Road().drive(900, 0.05)[-1] == pytest.approx(17.25 * 0.05, rel=0.01)


def test_speeding_up_takes_at_most_26_frames():
    road = Road()
    road.drive(300, 0.02)
    assert road.drive(26, 0.1)[-1] >= 1.65


def test_lifting_slows_the_car_down():
    road = Road()
    while road.drive(1, 0.1)[0] < 1.3:
        pass
    speeds = road.drive(54, 0.02)
    assert speeds[27] < 0.9
    assert speeds[53] < 0.40


@pytest.mark.parametrize("turn", [0.5, -0.5])
def test_bends_cost_speed(turn):
    road = Road()
    speed = road.drive(600, 0.1, turn)[-1]
    assert 1.50 <= speed <= 1.68
    assert math.copysign(1, road.cars["yaw_rate"][0]) == -turn / abs(turn)  # +1 is left: counterclockwise


def test_grip_is_about_g():
    best = max(max(_accelerations_of_a_bend(throttle, turn)) for throttle in (0.15, 0.3, 0.5) for turn in (0.3, 0.4, 0.5, 0.7))
    assert 9.0 <= best <= 10.0


def _accelerations_of_a_bend(throttle, turn):
    road = Road()
    for _ in range(300):
        road.drive(1, throttle, turn)
        yield road.acceleration()


def test_brakes_lock_the_wheels_and_slide():
    road = Road()
    road.drive(600, 0.15)
    speeds = road.drive(30, brake=1.0)
    assert (speeds[4] - speeds[14]) / (10 / 60) == pytest.approx(0.5 * 9.81, rel=0.05)  # the slide's friction
    assert road.drive(120, brake=1.0)[-1] < 1e-3
    assert np.abs(road.cars["wheel_spin"]).max() == 0


def test_slowing_down_at_the_peak_of_the_grip():
    """Wheel damping alone locks the wheels; some throttle keeps their slip where the grip is highest."""
    best = 0.0
    for throttle in (0.05, 0.06, 0.07, 0.08, 0.09):
        road = Road()
        road.drive(600, 0.15)
        speeds = np.array(road.drive(18, throttle))
        best = max(best, (speeds[:-3] - speeds[3:]).max() / (3 / 60))
    assert 7.8 <= best <= 10.0


def test_steering_takes_a_tenth_of_a_second():
    road = Road()
    road.drive(3, 0.0, 1.0)
    assert road.cars["steering"][0] == pytest.approx(-0.5)
    road.drive(4, 0.0, 1.0)
    assert road.cars["steering"][0] == -1.0


def test_a_car_at_rest_stays_at_rest():
    road = Road(open_field=False)
    road.drive(300)
    assert (road.cars["x"][0], road.cars["z"][0], road.cars["heading"][0]) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("mass_factor", [0.2, 1.0, 5.0])
@pytest.mark.parametrize("grip", [0.1, 1.0, 3.0])
def test_no_grip_or_mass_shakes_the_car(grip, mass_factor):
    """Pushed a little, it comes to rest: the steps are short enough for the stiffest tyres."""
    road = Road(open_field=False)
    road.cars["grip"], road.cars["mass_kg"] = grip, mass_factor * physics.MASS_KG
    road.cars["speed_x"], road.cars["yaw_rate"] = 0.05, 0.5
    assert road.drive(600)[-1] < 1e-4
    assert abs(road.cars["yaw_rate"][0]) < 1e-3


def test_reverse_gear_is_only_no_throttle_but_negative_throttle_drives_back():
    road = Road()
    road.drive(60, -0.05)
    assert road.cars["speed_ahead"][0] < -0.5


@settings(max_examples=30, deadline=None)
@given(
    commands=st.lists(st.tuples(*[st.floats(-100, 100)] * 3), min_size=1, max_size=8),
    grip=st.floats(0.1, 3.0),
    mass_factor=st.floats(0.2, 5.0),
    motor=st.floats(0.1, 5.0),
)
def test_no_command_makes_the_world_infinite(commands, grip, mass_factor, motor):
    road = Road(open_field=False)
    road.cars["grip"], road.cars["mass_kg"], road.cars["motor"] = grip, mass_factor * physics.MASS_KG, motor
    for throttle, turn, brake in commands:
        road.drive(15, throttle, turn, brake)
        for name in ("x", "z", "heading", "speed_x", "speed_z", "yaw_rate"):
            assert np.isfinite(road.cars[name]).all()
        assert abs(road.cars["x"][0]) < 0.45
        assert np.hypot(road.cars["speed_x"][0], road.cars["speed_z"][0]) < 25


def test_a_wall_stops_the_car_sideways_and_lets_it_slide():
    road = Road(open_field=False)
    road.cars["heading"] = math.radians(30)
    road.cars["speed_x"], road.cars["speed_z"] = 0.8, 1.39
    road.cars["wheel_spin"] = 1.6 / physics.WHEEL_RADIUS_M
    begun = 0
    for _ in range(40):
        road.drive(1, 0.1)
        begun += int(road.cars["new_wall_contacts"][0])
        if road.cars["touching_wall"][0]:
            break
    assert begun == 1
    assert road.cars["speed_x"][0] < 0.3
    assert 0.7 < road.cars["speed_z"][0] < 1.39
    corners = _corner_offsets(road.cars[0])
    assert corners.max() < contacts.WALL_OFFSET_M + 0.003


def test_pressing_against_a_wall_is_one_contact_that_lasts():
    road = Road(open_field=False)
    road.cars["heading"] = math.radians(80)
    road.cars["x"] = 0.25
    begun = 0
    for _ in range(40):
        road.drive(1, 0.03)
        begun += int(road.cars["new_wall_contacts"][0])
    assert begun == 1
    assert road.cars["wall_contact_s"][0] > 0.2


def test_leaving_a_wall_ends_the_contact():
    road = Road(open_field=False)
    road.cars["x"] = contacts.WALL_OFFSET_M - contacts.BODY_WIDTH_M / 2 + 0.001
    road.drive(1)
    assert road.cars["touching_wall"][0]
    road.cars["x"] = 0.3
    road.drive(1)
    assert not road.cars["touching_wall"][0]
    assert road.cars["wall_contact_s"][0] == 0


def test_both_walls_stop_a_car_symmetrically():
    ends = []
    for side in (1, -1):
        road = Road(open_field=False)
        road.cars["heading"], road.cars["speed_x"] = side * math.radians(40), side * 1.0
        road.drive(30)
        ends.append((side * road.cars["x"][0], road.cars["z"][0], side * road.cars["heading"][0]))
    assert ends[0] == pytest.approx(ends[1])


def _corner_offsets(car):
    right = np.array([-1, 1, -1, 1]) * contacts.BODY_WIDTH_M / 2
    ahead = np.array([-1, -1, 1, 1]) * contacts.BODY_LENGTH_M / 2
    return np.abs(car["x"] + right * math.cos(car["heading"]) + ahead * math.sin(car["heading"]))


def two_cars(gap_m, speed_m_s):
    """One car behind the other, the first rolling towards the second."""
    road = Road(cars=2, open_field=False)
    road.cars["z"] = 0.0, contacts.BODY_LENGTH_M + gap_m
    road.cars["speed_z"][0] = speed_m_s
    road.cars["wheel_spin"][0] = speed_m_s / physics.WHEEL_RADIUS_M
    return road


def test_a_car_pushes_the_one_before_it_and_is_slowed():
    road = two_cars(0.02, 1.0)
    road.drive(3)
    assert road.touching[0, 1]
    assert 0.3 < road.cars["speed_z"][1] <= road.cars["speed_z"][0] + 0.05 < 0.75
    assert road.cars["z"][1] - road.cars["z"][0] > contacts.BODY_LENGTH_M - 0.005


def test_cars_pass_through_each_other_without_contact():
    road = two_cars(0.02, 1.0)
    physics.advance(road.cars, road.touching, road.line, 40, False)
    assert not road.touching.any()
    assert road.cars["speed_z"][1] == 0.0


def test_a_hit_beside_the_middle_turns_the_other_car():
    road = two_cars(0.02, 1.0)
    road.cars["x"][1] = 0.09  # hit at its left rear corner: the push turns it clockwise
    road.drive(4)
    assert road.cars["heading"][1] > 0.002


def test_momentum_is_kept_in_a_bump():
    """Without wheels on the ground (no load), two cars keep their common momentum."""
    road = two_cars(0.001, 1.0)
    road.cars["z"][0] += 0.002
    contacts.collide_cars(road.cars, road.touching)
    assert road.cars["speed_z"].sum() == pytest.approx(1.0)
    assert road.cars["speed_z"][0] == pytest.approx(0.5, abs=0.01)


def test_a_heavy_car_pushes_a_light_one_away():
    road = two_cars(0.001, 1.0)
    road.cars["mass_kg"] = 2.0, 0.5
    road.cars["z"][0] += 0.002
    contacts.collide_cars(road.cars, road.touching)
    assert (road.cars["speed_z"] * road.cars["mass_kg"]).sum() == pytest.approx(2.0)
    assert road.cars["speed_z"][0] == pytest.approx(0.8, abs=0.01)


def test_a_heavy_car_turns_less_easily():
    turned = []
    for mass_kg in (physics.MASS_KG, 2 * physics.MASS_KG):
        road = two_cars(0.001, 1.0)
        road.cars["mass_kg"][1] = mass_kg
        road.cars["x"][1], road.cars["z"][0] = 0.09, 0.002
        contacts.collide_cars(road.cars, road.touching)
        turned.append(road.cars["yaw_rate"][1])
    assert turned[0] > turned[1] > 0


def test_cars_on_two_levels_do_not_touch():
    road = two_cars(-0.1, 1.0)
    road.cars["y"][1] += 0.2
    road.drive(3)
    assert not road.touching.any()
    assert road.cars["speed_z"][1] == 0.0


@pytest.mark.parametrize("grip", [0.5, 1.0, 1.5])
def test_grip_scales_what_the_tyres_hold(grip):
    road = Road()
    road.cars["grip"] = grip
    road.cars["speed_z"], road.cars["wheel_spin"] = 2.5, 2.5 / physics.WHEEL_RADIUS_M
    speeds = road.drive(16, brake=1.0)
    assert (speeds[4] - speeds[14]) / (10 / 60) == pytest.approx(0.5 * 9.81 * grip, rel=0.05)


@pytest.mark.parametrize("motor", [0.7, 1.3])
def test_motor_scales_throttle(motor):
    road = Road()
    road.cars["motor"] = motor
    assert road.drive(900, 0.05)[-1] == pytest.approx(17.25 * 0.05 * motor, rel=0.01)


def test_a_heavy_car_speeds_up_more_slowly():
    """At little throttle the motor's force is the limit, so the speed goes with 1 / mass, until wheel damping counts."""
    reached = []
    for mass_kg in (physics.MASS_KG, 2 * physics.MASS_KG):
        road = Road()
        road.cars["mass_kg"] = mass_kg
        reached.append(road.drive(3, 0.01)[-1])
    assert 0.5 < reached[1] / reached[0] < 0.7
