"""Putting cars on the road, and how their place on it follows them."""

import math

import numpy as np
import pytest

from robotini_ray.simulator.world import physics
from robotini_ray.track.track import load_track


def test_the_standard_car():
    (car,) = physics.parked_cars(1)
    assert (car["grip"], car["mass_kg"], car["motor"], car["y"], car["pitch"]) == (1.0, 0.553, 1.0, 0.048, 0.0)
    assert not car["present"]


def test_placing_keeps_what_the_car_is_and_is_told():
    kept = {"present": True, "grip": 0.8, "mass_kg": 0.6, "motor": 1.2, "throttle": 0.1, "brake": 0.2, "turn": -0.3}
    track, cars = load_track("oval"), physics.parked_cars(2)
    for name, value in kept.items():
        cars[name][1] = value
    cars["yaw_rate"], cars["steering"], cars["wall_contact_s"] = 5.0, 0.5, 0.1
    physics.place_car(cars, 1, track.line, 3.0, offset_m=0.2, turned_rad=0.4, speed_m_s=1.5)
    assert {name: cars[name][1] for name in kept} == kept
    assert (cars["yaw_rate"][1], cars["steering"][1], cars["wall_contact_s"][1]) == (0.0, 0.0, 0.0)
    x, z, heading = track.pose(3.0)
    assert cars["heading"][1] == pytest.approx(heading + 0.4)
    place = track.locate(float(cars["x"][1]), float(cars["z"][1]))
    assert (place.arc_m, place.offset_m) == pytest.approx((3.0, 0.2), abs=5e-3)
    assert (cars["arc"][1], cars["offset"][1], cars["track_heading"][1]) == pytest.approx((3.0, 0.2, heading))
    assert math.hypot(cars["x"][1] - x, cars["z"][1] - z) == pytest.approx(0.2)
    assert (cars["speed_x"][1], cars["speed_z"][1]) == pytest.approx(
        (1.5 * math.sin(heading + 0.4), 1.5 * math.cos(heading + 0.4))
    )
    assert cars["wheel_spin"][1] == pytest.approx(np.full(4, 1.5 / physics.WHEEL_RADIUS_M))
    assert cars["yaw_rate"][0] == 5.0


def test_a_flat_track_may_lie_anywhere():
    track = load_track("oval")
    profile = track.line.profile + np.array([1.0, 0.0, 0.0, 0.0])
    profile.setflags(write=False)  # as in every track's line, for which the compiled code is ready
    line = track.line._replace(profile=profile)
    cars = physics.parked_cars(1)
    cars["present"] = True
    physics.place_car(cars, 0, line, 3.0)
    physics.advance(cars, np.zeros((1, 1), np.bool_), line, 8, True)
    assert (cars["y"][0], cars["pitch"][0], cars["speed_y"][0]) == (1.048, 0.0, 0.0)


def test_place_on_the_track_follows_the_car():
    track = load_track("oval")
    cars = physics.parked_cars(1)
    cars["present"] = True
    physics.place_car(cars, 0, track.line, 3.0)
    cars["throttle"] = 0.02
    physics.advance(cars, np.zeros((1, 1), np.bool_), track.line, 500, True)
    place = track.locate(float(cars["x"][0]), float(cars["z"][0]))
    assert place.arc_m > 3.1
    assert (cars["arc"][0], cars["offset"][0]) == pytest.approx((place.arc_m, place.offset_m))
