"""What the monitor remembers of cars, and what of other people's data it lets through."""

from __future__ import annotations

import json

import pytest

from robotini_ray.car.state_store import StoredCar
from robotini_ray.monitor.fleet import CRASH_MARKS, FORGET_AFTER_S, LONGEST_TEXT, MOST_CARS, SILENT_AFTER_S, Fleet


def stored(name="a-car0", at=100.0, png=None, **fields):
    return StoredCar(name, {"role": "collector", "color": "#12abEF", **fields}, png, at)


def test_a_car_s_state_goes_to_the_page():
    fleet = Fleet()
    fleet.update([stored(x=1.25, speed_m_s=2.5, laps=3, status="reconnecting")], 100.5)
    (row,) = fleet.rows(100.5)
    assert (row["name"], row["role"], row["color"], row["status"]) == ("a-car0", "collector", "#12abEF", "reconnecting")
    assert (row["x"], row["speed_m_s"], row["laps"], row["age_s"]) == (1.25, 2.5, 3.0, 0.5)
    assert row["lap_time_s"] is None


def test_a_car_that_says_nothing_is_silent_and_later_forgotten():
    fleet = Fleet()
    fleet.update([stored(at=100.0)], 100.0)
    assert fleet.rows(100.0 + SILENT_AFTER_S - 0.1)[0]["status"] == "driving"
    assert fleet.rows(100.0 + SILENT_AFTER_S)[0]["status"] == "silent"
    fleet.update([stored("other", at=700.0)], 100.0 + FORGET_AFTER_S)
    assert len(fleet.rows(700.0)) == 2
    fleet.update([], 100.1 + FORGET_AFTER_S)
    assert [row["name"] for row in fleet.rows(701.0)] == ["other"]


def test_the_evaluator_s_car_comes_first():
    fleet = Fleet()
    cars = [stored("r-car1"), stored("r-car0"), stored("r-evaluator", role="evaluator")]
    fleet.update(cars, 100.0)
    assert [row["name"] for row in fleet.rows(100.0)] == ["r-evaluator", "r-car0", "r-car1"]


def test_only_known_numbers_and_short_texts_go_further():
    fleet = Fleet()
    hostile = {
        "x": "<b>", "z": True, "speed_m_s": [1], "laps": float("inf"), "color": "red;background:url(//x)", "status": "s" * 9999,
        "role": {"a": 1}, "extra": "<script>", "faults": {"f" * 999: 2, "text": "many", "deep": {}},
    }  # fmt: skip
    fleet.update([stored("n" * 5000, **hostile)], 100.0)
    (row,) = fleet.rows(100.0)
    assert row["x"] is row["z"] is row["speed_m_s"] is row["laps"] is row["color"] is None
    assert row["role"] == "" and "extra" not in row
    assert len(row["name"]) == len(row["status"]) == LONGEST_TEXT
    assert fleet.faults() == {"f" * LONGEST_TEXT: 2}
    json.dumps(row, allow_nan=False)


def test_there_is_room_for_so_many_cars():
    fleet = Fleet()
    fleet.update([stored(f"car{index}", at=100.0 + index) for index in range(3 * MOST_CARS)], 300.0)
    assert {row["name"] for row in fleet.rows(300.0)} == {f"car{index}" for index in range(2 * MOST_CARS, 3 * MOST_CARS)}


def test_pictures_are_counted_when_they_change():
    fleet = Fleet()
    numbers = []
    for png in (b"one", b"one", b"two", None, b"two"):
        fleet.update([stored(at=100.0 + len(numbers), png=png)], 100.0)
        numbers.append(next(iter(fleet.cars.values())).frame_number)
    assert numbers == [1, 1, 2, 2, 2]


def test_frames_per_second_are_measured_over_the_last_seconds():
    fleet = Fleet()
    for index in range(60):
        fleet.update([stored(at=100.0 + 0.1 * index, frames=6 * index)], 100.0)
    assert fleet.rows(106.0)[0]["frames_per_s"] == pytest.approx(60.0, rel=0.01)
    fleet.update([stored(at=106.1, frames=1)], 106.1)  # joined again
    assert fleet.rows(106.1)[0]["frames_per_s"] is None


def test_a_crash_leaves_a_mark_where_it_was():
    fleet = Fleet()
    for at, crashes, x in ((100.0, 7, 0.0), (101.0, 7, 1.0), (102.0, 8, 2.0), (103.0, 8, 3.0), (104.0, 0, 4.0)):
        fleet.update([stored(at=at, crashes=crashes, x=x, z=-1.0)], at)
    assert [(mark["x"], mark["z"], mark["at"]) for mark in fleet.crashes] == [(2.0, -1.0, 102.0)]
    for index in range(3 * CRASH_MARKS):
        fleet.update([stored(at=200.0 + index, crashes=10 + index, x=0.0, z=0.0)], 200.0 + index)
    assert len(fleet.crashes) == CRASH_MARKS


def test_the_board_has_the_best_lap_of_each_car_the_fastest_first():
    fleet = Fleet()
    fleet.update([stored("a", best_lap_s=8.0, weights_version=5), stored("b", best_lap_s=7.0)], 100.0)
    fleet.update([stored("a", at=101.0, best_lap_s=6.5, weights_version=9), stored("b", at=101.0, best_lap_s=None)], 101.0)
    fleet.update([stored("a", at=102.0, best_lap_s=9.5)], 102.0)  # it has joined again and counts anew
    assert [(lap["name"], lap["time_s"], lap["weights_version"]) for lap in fleet.board()] == [
        ("a", 6.5, 9.0),
        ("b", 7.0, None),
    ]


def test_faults_of_all_cars_are_added_up():
    fleet = Fleet()
    fleet.update([stored("a", faults={"closed": 2}), stored("b", faults={"closed": 1, "stalled": 4})], 100.0)
    assert fleet.faults() == {"closed": 3, "stalled": 4}


def test_integers_that_no_float_can_hold_end_nothing():
    fleet = Fleet()
    huge = 10**400
    fleet.update([stored(x=huge, frames=huge, best_lap_s=-huge, crashes=huge, faults={"dropped": huge, "stalled": 2})], 100.0)
    (row,) = fleet.rows(100.0)
    assert row["x"] is None and row["crashes"] is None and row["frames_per_s"] is None
    assert fleet.faults() == {"stalled": 2} and fleet.board() == []
