"""Cars on a track without sockets: starts, put-backs, crashes, bumps, laps, and the events of free practice."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robotini_ray.config import MAX_CARS
from robotini_ray.simulator.world import race as race_module
from robotini_ray.simulator.world.entries import JoinError
from robotini_ray.simulator.world.race import Race
from robotini_ray.simulator.world.race_parameters import ListedCar, RaceParameters
from robotini_ray.track.track import load_track

OVAL = load_track("oval")


def make_race(seed=0, **settings):
    return Race(OVAL, RaceParameters(**settings), seed)


def joined(race, *names):
    slots = [race.join("team", name, "#ff0000") for name in names]
    race.take_events()
    return slots


def drive(race, frames, throttle=None, turn=0.0, slot=0):
    """Events of so many frames with these commands in every one."""
    for _ in range(frames):
        if throttle is not None and slot in race.cars:
            race.heard_from(slot)
            race.command(slot, "forward", throttle)
            race.command(slot, "turn", turn)
        race.step()
    return race.take_events()


def kinds(events, leave_out=("CurrentStandings",)):
    return [event["type"] for event in events if event["type"] not in leave_out]


def car_status(race, slot=0):
    names = [car.info["name"] for car in race.cars.values()]
    cars = race.status({each: 7 for each in race.cars})["cars"]
    return cars[names.index(race.cars[slot].info["name"])]


def poses_of(race):
    return np.stack([race._motion[name] for name in ("x", "z", "heading", "y", "pitch")], axis=1)[list(race.cars)]


def arc_of(race, slot=0):
    position = car_status(race, slot)["position"]
    return OVAL.locate(position["x"], position["z"]).arc_m


def test_a_new_car_is_announced_with_all_its_fields():
    race = make_race()
    race.take_events()
    race.join("my team", "my car", "#0080ff")
    connected, added = race.take_events()
    assert (connected["type"], added["type"]) == ("CarConnected", "CarAdded")
    assert set(added) == {"type", "timestamp", "car"}
    assert added["car"] == {
        "teamId": "my team",
        "name": "my car",
        "color": "#0080ff",
        "texture": "",
        "type": "CarInfo",
        "timestamp": 0.0,
    }


def test_start_places():
    race = make_race(num_segments=30, num_segments_between_cars=2)
    slots = joined(race, *"abcd")
    for k, slot in enumerate(slots):
        behind_m = -arc_of(race, slot) % OVAL.length_m
        assert math.remainder(behind_m - k * 2 * OVAL.length_m / 30, OVAL.length_m) == pytest.approx(0, abs=1e-6)
        status = car_status(race, slot)
        assert status["trackAngle"] == pytest.approx(0, abs=1e-6)
        assert status["velocity"] == {"x": 0.0, "y": 0.0, "z": 0.0}
        assert status["position"]["y"] == 0.048


def test_car_0_stands_on_the_line():
    race = make_race()
    joined(race, "a")
    position = car_status(race)["position"]
    assert (position["x"], position["z"]) == pytest.approx(tuple(OVAL.points[0]))


def test_places_never_overlap_however_many_cars_start_together():
    race = make_race(num_segments=30, num_segments_between_cars=0)
    joined(race, *(str(k) for k in range(MAX_CARS)))
    places = np.array([[race.status({s: 0 for s in race.cars})["cars"][k]["position"][a] for a in "xz"] for k in range(32)])
    apart = np.linalg.norm(places[:, None] - places[None], axis=-1) + np.eye(32)
    assert apart.min() > 0.27
    with pytest.raises(JoinError, match="32 cars"):
        race.join("team", "one more")


def test_a_name_on_the_track_is_refused_and_free_again_afterwards():
    race = make_race()
    (slot,) = joined(race, "a")
    with pytest.raises(JoinError, match="'a'"):
        race.join("other team", "a")
    race.leave(slot)
    race.join("team", "a")


def test_a_listed_team_gets_the_listed_name():
    race = make_race(cars=(ListedCar("team", "listed", "#123456", "zebra"),))
    race.take_events()
    race.join("team", "own name", "#ff0000")
    car = race.take_events()[0]["car"]
    assert (car["name"], car["color"], car["texture"]) == ("listed", "#123456", "zebra")


def test_leaving():
    race = make_race()
    joined(race, "a", "b")
    race.leave(0)
    events = race.take_events()
    assert kinds(events, ()) == ["CarDisconnected", "CurrentStandings", "CarRemoved"]
    assert [standing["dnf"] for standing in events[1]["standings"]] == [True, False]
    assert list(race.cars) == [1]


def test_a_welcome_tells_the_parameters_and_the_cars():
    race = make_race(num_segments=12)
    joined(race, "a", "b")
    parameters, *added = race.welcome_events()
    assert parameters["type"] == "RaceParameters"
    assert (parameters["numSegments"], parameters["track"], parameters["mode"]) == (12, "oval.json", "development")
    assert [(event["type"], event["car"]["name"]) for event in added] == [("CarAdded", "a"), ("CarAdded", "b")]


def test_status_fields():
    race = make_race()
    joined(race, "a")
    drive(race, 60, 0.05)
    status = race.status({0: 7})
    assert set(status) == {"type", "timestamp", "cars"}
    assert status["timestamp"] == pytest.approx(1.0)
    (car,) = status["cars"]
    assert set(car) == {
        "name", "position", "velocity", "rotation", "trackAngle", "trackSegment", "frames_sent",
    }  # fmt: skip
    assert car["frames_sent"] == 7
    assert car["velocity"]["x"] < -0.5  # the oval starts towards -x
    yaw = 2 * math.atan2(car["rotation"]["y"], car["rotation"]["w"])
    assert math.remainder(yaw - OVAL.headings_rad[0], 2 * math.pi) == pytest.approx(0, abs=1e-3)


def test_track_angle_is_180_the_wrong_way_round():
    race = make_race()
    joined(race, "a")
    race._motion["heading"][0] += math.radians(170)
    assert car_status(race)["trackAngle"] == pytest.approx(170, abs=0.1)
    race._motion["heading"][0] += math.radians(20)
    assert car_status(race)["trackAngle"] == pytest.approx(170, abs=0.1)


def test_segments_and_standings():
    race = make_race()
    joined(race, "a")
    assert car_status(race)["trackSegment"] == -1
    events = drive(race, 2, 0.05)
    assert kinds(events, ()) == ["CurrentStandings"]
    assert events[0]["qualifying"] is True
    (standing,) = events[0]["standings"]
    assert standing["type"] == "LapCompleted"
    assert (standing["lapCount"], standing["dnf"]) == (0, False)
    assert math.isnan(standing["lastLap"]) and math.isnan(standing["bestLap"])
    assert car_status(race)["trackSegment"] == 0
    drive(race, 90, 0.05)
    segment = car_status(race)["trackSegment"]
    assert segment == math.floor(arc_of(race) / OVAL.length_m * 31) - 1 > 0


def test_silence_for_300_ms_stops_the_car():
    race = make_race()
    joined(race, "a")
    drive(race, 30, 0.05, 0.5)
    drive(race, 17)
    assert race._motion["throttle"][0] == 0.05
    drive(race, 3)
    assert (race._motion["throttle"][0], race._motion["turn"][0]) == (0.0, 0.0)


def test_commands():
    race = make_race()
    joined(race, "a")
    motion = race._motion[0]
    race.command(0, "forward", 0.5)
    race.command(0, "turn", -0.3)
    race.command(0, "brake", 0.7)
    assert (motion["throttle"], motion["brake"], motion["turn"]) == (0.0, 0.7, -0.3)
    race.command(0, "forward", 0.2)
    assert (motion["throttle"], motion["brake"]) == (0.2, 0.0)
    race.command(0, "reverse", 1.0)
    assert (motion["throttle"], motion["brake"], motion["turn"]) == (0.0, 0.0, -0.3)


def test_turn_1_goes_left():
    race = make_race()
    joined(race, "a")
    drive(race, 40, 0.03, 1.0)
    position = car_status(race)["position"]
    assert OVAL.locate(position["x"], position["z"]).offset_m < -0.02


def test_a_wall_crashes_once_and_returns_the_car_after_200_ms():
    race = make_race()
    joined(race, "a")
    events = []
    while "CarReturnedToTrack" not in kinds(events):
        events += drive(race, 1, 0.06, -1.0)
    assert kinds(events)[-2:] == ["CarCrashed", "CarReturnedToTrack"]
    crashed, returned = events[-2], events[-1]
    assert crashed["car"]["name"] == returned["car"]["name"] == "a"
    assert 0.19 <= returned["timestamp"] - crashed["timestamp"] <= 0.24


def test_a_returned_car_stands_on_the_line_and_knows_its_segment():
    places = []
    for seed in range(4):
        race = make_race(seed)
        joined(race, "a")
        while "CarReturnedToTrack" not in kinds(drive(race, 1, 0.06, -1.0)):
            pass
        status = car_status(race)
        place = OVAL.locate(status["position"]["x"], status["position"]["z"])
        assert place.offset_m == pytest.approx(0, abs=1e-6)
        assert status["trackAngle"] == pytest.approx(0, abs=1e-6)
        assert status["velocity"] == {"x": 0.0, "y": 0.0, "z": 0.0}
        assert status["trackSegment"] == max(0, math.floor(place.arc_m / OVAL.length_m * 31) - 1)
        places.append(place.arc_m)
    assert len(set(places)) == 4


def test_a_touch_of_the_wall_is_a_crash_without_return():
    race = make_race()
    joined(race, "a")
    race._motion["x"][0] += 0.0
    race._motion["z"][0] -= 0.44 - 0.06 + 0.001  # the left wall
    events = drive(race, 1, 0.0)
    race._motion["z"][0] += 0.2
    events += drive(race, 20, 0.0)
    assert kinds(events) == ["CarCrashed"]


def test_put_backs_never_put_a_car_into_another():
    """With a car every 0.6 m of half the track, where a random place is often taken."""
    for seed in range(12):
        race = make_race(seed, num_segments=46, num_segments_between_cars=2)
        slots = joined(race, *(str(number) for number in range(13)))
        while "CarReturnedToTrack" not in kinds(drive(race, 1, 0.06, -1.0)):
            pass
        places = np.stack([race._motion["x"][slots], race._motion["z"][slots]], axis=1)
        apart_m = np.linalg.norm(places[1:] - places[0], axis=1)
        assert apart_m.min() > 0.28


def test_a_put_back_waits_for_a_free_place(monkeypatch):
    race = make_race()
    joined(race, "a")
    monkeypatch.setattr(race_module, "nearest_free_arc", lambda *_: None)
    assert set(kinds(drive(race, 120, 0.06, -1.0))) == {"CarCrashed"}
    monkeypatch.undo()
    assert kinds(drive(race, 1, 0.06, -1.0)) == ["CarReturnedToTrack"]


def test_a_car_for_which_there_is_no_place_is_refused(monkeypatch):
    race = make_race()
    race.take_events()
    monkeypatch.setattr(race_module, "nearest_free_arc", lambda *_: None)
    with pytest.raises(JoinError, match="no free place"):
        race.join("team", "a")
    assert (race.take_events(), race.cars, race.waiting) == ([], {}, {})


def test_falling_below_0_returns_the_car(bridge_track):
    sunk = dataclasses.replace(bridge_track, heights_m=bridge_track.heights_m - 0.2)
    race = Race(sunk, RaceParameters())
    joined(race, "a")
    assert race.status({0: 1})["cars"][0]["position"]["y"] < 0
    events = []
    for _ in range(60):
        race.step()
        events += race.take_events()
        if race.status({0: 1})["cars"][0]["position"]["y"] > 0:
            break
    assert set(kinds(events)) == {"CarReturnedToTrack"}
    for _ in range(20):
        race.step()
    assert kinds(race.take_events()) == []


def test_standing_still_for_2_s_returns_a_car_that_has_driven():
    race = make_race()
    joined(race, "a")
    assert kinds(drive(race, 150, 0.0)) == []
    drive(race, 30, 0.05)
    events = drive(race, 240)
    assert kinds(events) == ["CarReturnedToTrack"]
    assert kinds(drive(race, 240)) == []


def test_driving_backwards_counts_as_standing_still():
    race = make_race()
    joined(race, "a")
    drive(race, 10, 0.02)
    events = drive(race, 150, -0.002)
    assert "CarReturnedToTrack" in kinds(events)


def test_bumping_tells_both_cars_and_crashes_neither():
    race = make_race(num_segments=30, num_segments_between_cars=1)
    behind, ahead = 1, 0
    joined(race, "ahead", "behind")
    events = drive(race, 60, 0.1, slot=behind)
    bumps = [(event["car"]["name"], event["other"]["name"]) for event in events if event["type"] == "CarBumped"]
    assert bumps[:2] == [("ahead", "behind"), ("behind", "ahead")]
    assert set(kinds(events)) == {"CarBumped"}
    assert arc_of(race, ahead) > 0.02


def test_cars_pass_through_each_other_if_so_wished():
    race = Race(OVAL, RaceParameters(num_segments_between_cars=1), car_contact=False)
    joined(race, "ahead", "behind")
    assert kinds(drive(race, 60, 0.1, slot=1)) == []


def test_a_lap_is_completed():
    race = make_race()
    joined(race, "a")
    events = []
    for _ in range(700):
        place = OVAL.locate(race._motion["x"][0], race._motion["z"][0])
        off_rad = math.remainder(race._motion["heading"][0] - place.heading_rad, 2 * math.pi)
        events += drive(race, 1, 0.1, 3 * place.offset_m + 2 * off_rad - 0.5 * OVAL.curvature(place.arc_m))
    (lap,) = [event for event in events if event["type"] == "LapCompleted"]
    assert set(lap) == {"type", "timestamp", "car", "lapCount", "lastLap", "bestLap", "totalTime", "dnf"}
    assert lap["lapCount"] == 1
    assert lap["lastLap"] == lap["bestLap"] == pytest.approx(OVAL.length_m / 1.65, rel=0.1)
    assert lap["totalTime"] == pytest.approx(lap["timestamp"], abs=1 / 60)


def test_pictures_are_two_frames_old_and_a_new_car_is_in_its_own():
    race = make_race()
    joined(race, "a")
    poses = []
    for _ in range(5):
        poses.append(race.views([0])[0][0, 0].copy())
        drive(race, 1, 0.1)
    assert (poses[0] == poses[1]).all() and (poses[1] == poses[2]).all()
    drive(race, 1, 0.1)
    now = poses_of(race)[0].copy()
    drive(race, 1, 0.1)
    assert (race.views([0])[0][0, 0] != now).any()
    drive(race, 1, 0.1)
    assert (race.views([0])[0][0, 0] == now).all()
    (slot,) = joined(race, "b")
    assert (race.views([0])[0][0, slot] == poses_of(race)[slot]).all()
    joined(race, "c")
    race.leave(slot)
    assert np.isnan(race.views([0])[0][0, slot]).all()


def run_world(seed):
    race = make_race(seed)
    joined(race, *"abc")
    random = np.random.default_rng(5)
    for frame in range(400):
        for slot in range(3):
            race.heard_from(slot)
            race.command(slot, "forward", 0.12)
            if frame % 10 == 0:
                race.command(slot, "turn", float(random.uniform(-1, 1)))
        race.step()
    return race.take_events(), poses_of(race)


def test_the_same_seed_gives_the_same_world():
    events, poses = run_world(1)
    again, same_poses = run_world(1)
    assert repr(events) == repr(again)
    assert np.array_equal(poses, same_poses, equal_nan=True)
    assert "CarReturnedToTrack" in kinds(events)
    assert not np.array_equal(poses, run_world(2)[1], equal_nan=True)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(-2, 2)), min_size=1, max_size=6))
def test_cars_stay_on_the_track_whatever_they_do(commands):
    race = make_race()
    joined(race, "a", "b")
    for throttle, turn in commands:
        drive(race, 20, throttle, turn)
        for slot in race.cars:
            assert abs(race._motion["offset"][slot]) < 0.45
