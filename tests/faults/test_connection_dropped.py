"""A connection dropped in the middle of an episode: the episode is truncated, the car comes back, the others drive on."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from robotini_ray.car import reconnection
from robotini_ray.replay.table import FIRST, LAST, PAD
from tests.waiting import eventually

STEPS_BEFORE = 40


@pytest.mark.parametrize("reset", [pytest.param(False, marks=pytest.mark.slow), True], ids=["FIN", "RST"])
def test_the_others_drive_on_and_the_car_comes_back(faulty_simulator, rig, reset):
    simulator = faulty_simulator("realtime")
    collecting = rig(simulator.address, cars=2)
    collecting.wait_for_steps(STEPS_BEFORE)
    collecting.wait_for_status("driving", "car1")
    simulator.cars.refuse = lambda name: name.startswith("car0")
    simulator.cars.cut("car0", reset)
    collecting.wait_for_status("reconnecting", "car0")
    frames = collecting.live("car1")["frames_sent"]
    eventually(lambda: collecting.live("car1")["frames_sent"] >= frames + 60, "the other car has driven a second more")
    assert collecting.live("car0")["status"] == "reconnecting"
    assert collecting.live("car1")["status"] == "driving"
    simulator.cars.refuse = lambda name: False
    collecting.wait_for_status("driving", "car0")
    collecting.look()
    assert collecting.faults["dropped"] == 1 and collecting.reconnects >= 1
    assert set(collecting.reconnect_causes) <= {"dropped", "login_refused"} and collecting.reconnect_causes["dropped"] == 1
    assert len([way for way in simulator.cars.ways if way.name == "car1"]) == 1, "the other car was never connected anew"


def test_what_is_in_replay_is_a_truncation(faulty_simulator, rig):
    simulator = faulty_simulator("realtime")
    collecting = rig(simulator.address)
    collecting.wait_for_steps(STEPS_BEFORE)
    simulator.cars.cut("car0", reset=True)
    collecting.wait_for_faults("dropped", 1)
    collecting.wait_for_steps(STEPS_BEFORE)
    windows = collecting.windows()
    rows = np.concatenate(windows)
    kinds, rewards, discounts = rows[:, -1], rows[:, -3], rows[:, -2]
    ends = np.flatnonzero(kinds == LAST)
    assert len(ends) >= 1
    assert set(discounts[ends - 1]) == {1.0}, "no termination"
    assert set(discounts[(kinds != LAST) & (kinds != PAD)]) == {1.0}
    assert rewards.min() > -1.0, "no crash was paid"
    assert np.count_nonzero(kinds == FIRST) >= 2, "an episode before and one after"
    for window in windows:
        after_end = window[:, -1][np.flatnonzero(window[:, -1] == LAST)[0] + 1 :] if LAST in window[:, -1] else []
        assert set(after_end) <= {PAD}, "no window goes on after an end"


@pytest.mark.slow
def test_the_wait_before_a_new_connection_is_nobody_elses(faulty_simulator, rig, monkeypatch):
    monkeypatch.setattr(reconnection, "backoff_delays", lambda: itertools.repeat(1000.0))
    simulator = faulty_simulator("realtime")
    collecting = rig(simulator.address, cars=2)
    collecting.wait_for_steps(STEPS_BEFORE)
    simulator.cars.cut("car0")
    collecting.wait_for_status("reconnecting", "car0")
    frames = collecting.live("car1")["frames_sent"]
    eventually(lambda: collecting.live("car1")["frames_sent"] >= frames + 120, "the other car has driven two seconds more")


@pytest.mark.slow
def test_in_lockstep_the_world_goes_on_without_the_car(faulty_simulator, rig):
    simulator = faulty_simulator("max")
    collecting = rig(simulator.address, cars=2, lockstep=True)
    collecting.wait_for_steps(STEPS_BEFORE)
    simulator.cars.refuse = lambda name: name.startswith("car0")
    simulator.cars.cut("car0")
    collecting.wait_for_status("reconnecting", "car0")
    collecting.wait_for_steps(600)
    simulator.cars.refuse = lambda name: False
    collecting.wait_for_status("driving", "car0")
    collecting.wait_for_steps(STEPS_BEFORE)
    assert collecting.faults["dropped"] == 1
