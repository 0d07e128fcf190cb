"""Randomised cars: what is drawn, when, and that no car's draws depend on another's."""

import dataclasses
import math

import numpy as np
import pytest

from robotini_ray.config import RandomisationConfig
from robotini_ray.simulator.world.physics import MASS_KG
from robotini_ray.simulator.world.race import Race
from robotini_ray.simulator.world.race_parameters import RaceParameters
from robotini_ray.simulator.world.randomisation import STANDARD, Look
from robotini_ray.track.track import load_track

OVAL = load_track("oval")
WIDE = RandomisationConfig(grip=(0.5, 1.5), mass=(0.5, 1.5), motor=(0.5, 1.5), latency_frames=(1, 4), light=(0.5, 1.5))


def make_race(seed=0, parameters=None, **ranges):
    return Race(OVAL, parameters or RaceParameters(), seed, randomisation=RandomisationConfig(**ranges))


def crash(race, slot=0):
    """Drive into the wall until the car has been put back."""
    for _ in range(600):
        race.heard_from(slot)
        race.command(slot, "forward", 0.06)
        race.command(slot, "turn", -1.0)
        race.step()
        for event in race.take_events():
            if event["type"] == "CarReturnedToTrack" and event["car"] is race.cars[slot].info:
                return
    raise AssertionError("the car was not put back")


def place_of(race, slot=0):
    """(arc, offset, heading against the track's) of a car."""
    motion = race._motion[slot]
    place = OVAL.locate(motion["x"], motion["z"])
    return place.arc_m, place.offset_m, math.remainder(motion["heading"] - place.heading_rad, 2 * math.pi)


def test_without_randomisation_every_car_is_the_standard_one():
    race = make_race()
    race.join("team", "a")
    crash(race)
    assert race.cars[0].conditions is STANDARD
    assert race.views([0])[2] == [Look()]


def test_a_join_and_a_put_back_each_draw_anew():
    race = Race(OVAL, RaceParameters(), randomisation=WIDE)
    race.join("team", "a")
    first = race.cars[0].conditions
    for _ in range(20):
        race.step()
    assert race.cars[0].conditions is first
    crash(race)
    second = race.cars[0].conditions
    assert len({first.grip, second.grip, 1.0}) == 3
    assert race.views([0])[2] == [second.look]


def test_what_is_drawn_reaches_the_physics():
    race = make_race(grip=(0.8, 0.8), mass=(1.5, 1.5), motor=(0.7, 0.7))
    race.join("team", "a")
    for _ in range(2):
        motion = race._motion[0]
        assert (motion["grip"], motion["mass_kg"], motion["motor"]) == (0.8, 1.5 * MASS_KG, 0.7)
        crash(race)


def test_a_slot_keeps_nothing_of_the_car_before():
    race = Race(OVAL, RaceParameters(), randomisation=WIDE)
    race.join("team", "a")
    race.leave(0)
    race.join("team", "b")
    conditions, motion = race.cars[0].conditions, race._motion[0]
    assert (motion["grip"], motion["motor"]) == (conditions.grip, conditions.motor)


def test_a_cars_draws_depend_on_its_seed_and_number_alone():
    def conditions(seed, crashes_of_another):
        race = Race(OVAL, RaceParameters(), seed, randomisation=WIDE)
        race.join("team", "other")
        for _ in range(crashes_of_another):
            crash(race, 0)
        slot = race.join("team", "a")
        drawn = [race.cars[slot].conditions]
        race.leave(0)
        crash(race, slot)
        return [*drawn, race.cars[slot].conditions]

    assert conditions(5, 0) == conditions(5, 2)
    assert conditions(5, 0) != conditions(6, 0)


def test_put_back_places_depend_on_no_other_car_either():
    def arc_m(crashes_of_another):
        race = make_race()
        race.join("team", "other")
        for _ in range(crashes_of_another):
            crash(race, 0)
        slot = race.join("team", "a")
        race.leave(0)
        crash(race, slot)
        return place_of(race, slot)[0]

    assert arc_m(0) == arc_m(1)


def test_starts_and_put_backs_are_offset_turned_and_rolling():
    race = make_race(start_offset_m=(0.1, 0.1), start_heading_deg=(20.0, 20.0), start_speed_m_s=(0.5, 0.5))
    race.join("team", "a")
    for _ in range(2):
        _, offset_m, turned_rad = place_of(race)
        assert offset_m == pytest.approx(0.1, abs=1e-3)
        assert math.degrees(turned_rad) == pytest.approx(20, abs=0.5)
        (car,) = race.status({0: 1})["cars"]
        assert math.hypot(car["velocity"]["x"], car["velocity"]["z"]) == pytest.approx(0.5)
        crash(race)


def test_start_anywhere_starts_cars_at_random_places():
    def arcs_m(seed):
        race = make_race(seed, start_anywhere=True)
        return [place_of(race, race.join("team", name))[0] for name in "abcd"]

    assert len({round(arc_m, 2) for seed in range(3) for arc_m in arcs_m(seed)}) == 12
    assert arcs_m(1) == arcs_m(1)


def test_no_two_cars_stand_in_each_other_however_starts_are_drawn():
    race = make_race(
        parameters=RaceParameters(num_segments_between_cars=0),
        start_offset_m=(-0.2, 0.2),
        start_heading_deg=(-180.0, 180.0),
    )
    for number in range(20):
        race.join("team", str(number))
    places = np.stack([race._motion["x"][:20], race._motion["z"][:20]], axis=1)
    apart_m = np.linalg.norm(places[:, None] - places[None], axis=-1) + np.eye(20)
    assert apart_m.min() > math.hypot(0.26, 0.12)
    race.step()
    assert not race._touching.any()


def test_a_picture_is_as_old_as_the_cars_own_latency():
    race = Race(OVAL, RaceParameters(), seed=1, randomisation=dataclasses.replace(WIDE, grip=(1.0, 1.0)))
    slots = [race.join("team", name) for name in "abcdef"]
    past = []
    for _ in range(30):
        for slot in slots:
            race.heard_from(slot)
            race.command(slot, "forward", 0.08)
        race.step()
        past.append(race._motion["x"][slots].copy())
    latencies = [race.cars[slot].conditions.latency_frames for slot in slots]
    assert len(set(latencies)) > 1 and set(latencies) <= {1, 2, 3, 4}
    poses, colours, looks = race.views(slots)
    assert (poses.shape, colours.shape, len(looks)) == ((6, 6, 5), (6, 3), 6)
    for viewer, latency in enumerate(latencies):
        assert poses[viewer, :, 0].tolist() == past[-1 - latency].tolist()
