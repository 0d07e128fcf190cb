"""A simulator that hangs with its sockets open."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import signal
import time

import numpy as np
import pytest

from robotini_ray.car import frame_meter
from robotini_ray.car import link as link_module
from robotini_ray.car.connection import Login
from robotini_ray.car.errors import FrameTimeout
from robotini_ray.car.link import LOCKSTEP_SILENCE, REALTIME_SILENCE, CarLink
from robotini_ray.config import SimulatorConfig
from robotini_ray.replay.table import FIRST
from robotini_ray.simulator.embedded import temporary_simulator
from robotini_ray.simulator_address import SimulatorAddress
from tests.fake_time import FakeTime
from tests.waiting import eventually

NEUTRAL = b'{"action":"forward","value":0.000000}\n{"action":"turn","value":0.000000}\n'


class NoSpectator:
    def follow(self, name):
        pass


@contextlib.contextmanager
def stopped(process_id):
    """SIGSTOP for the time of the context."""
    os.kill(process_id, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process_id, signal.SIGCONT)


@pytest.fixture
def embedded():
    with contextlib.ExitStack() as opened:
        yield lambda pace: opened.enter_context(temporary_simulator(SimulatorConfig(track="oval", pace=pace), 0))


def test_a_silent_car_asks_again_then_is_stalled_and_then_given_up(fault_server, wire, monkeypatch):
    monkeypatch.setattr(link_module, "REALTIME_SILENCE", REALTIME_SILENCE)
    clock = FakeTime(monkeypatch, frame_meter)
    commands = []

    def script(sock):
        lines = sock.makefile("rb")
        lines.readline()
        sock.sendall(wire.framed(wire.png()))
        while line := lines.readline():
            commands.append(line + lines.readline())

    host, port = fault_server(script).address
    link = CarLink(SimulatorAddress(host, port), Login("car", "team", image_width=16))
    link.join(NoSpectator())
    eventually(link.receive, "the first frame is there")
    link.send(0.5, 0.5)
    last_frame_s = clock.now_s
    asked_s, stalled_s = [], []
    with pytest.raises(FrameTimeout, match=r"'car' from 127\.0\.0\.1:\d+ in 10 s"):
        while clock.now_s - last_frame_s < 20.0:
            clock.now_s += 0.25
            if link.check_silence():
                asked_s.append(clock.now_s - last_frame_s)
            if link.stalled:
                stalled_s.append(clock.now_s - last_frame_s)
            assert link.receive() == []
    assert clock.now_s - last_frame_s == 10.0 and stalled_s[0] == 2.0 and asked_s == list(range(1, 10))
    assert link.take_faults() == {"stalled": 1}
    eventually(lambda: len(commands) == 1 + len(asked_s), "all commands have arrived")
    link.close()
    assert set(commands[1:10]) == {NEUTRAL}


def test_three_seconds_stall_and_write_nothing(embedded, rig, monkeypatch):
    """Or more than three, if the machine is slow: the connections are kept."""
    monkeypatch.setattr(link_module, "REALTIME_SILENCE", dataclasses.replace(REALTIME_SILENCE, lost_s=math.inf))
    simulator = embedded("realtime")
    collecting = rig(simulator.address, cars=2)
    collecting.wait_for_steps(60)
    collecting.wait_for_status("driving")
    with stopped(simulator.pid):
        collecting.wait_for_status("stalled", "car1")
        live = collecting.wait_for_status("stalled")
        assert live["stale"]
        items = collecting.stored_items()
        collecting.look()
        decisions = collecting.decisions
        time.sleep(1.0)
        collecting.look()
        assert (collecting.stored_items(), collecting.decisions) == (items, decisions)
    collecting.wait_for_status("driving")
    collecting.wait_for_steps(60)
    assert set(collecting.faults) == {"stalled"} and collecting.faults["stalled"] >= 2 and collecting.reconnects == 0
    eventually(lambda: not collecting.live()["stale"], "states are fresh again")
    kinds = np.concatenate(collecting.windows())[:, -1]
    assert np.count_nonzero(kinds == FIRST) >= 4, "the decision that the stall spoiled is in no episode"


@pytest.mark.slow
def test_fifteen_seconds_reconnect(embedded, rig, monkeypatch):
    monkeypatch.setattr(link_module, "REALTIME_SILENCE", REALTIME_SILENCE)
    simulator = embedded("realtime")
    collecting = rig(simulator.address, cars=2)
    collecting.wait_for_steps(60)
    with stopped(simulator.pid):
        collecting.wait_for_faults("stalled", 2)
        collecting.wait_for_status("reconnecting")
        time.sleep(4.0)
    collecting.wait_for_status("driving")
    collecting.wait_for_status("driving", "car1")
    collecting.wait_for_steps(60)
    assert collecting.reconnects >= 2 and collecting.faults["stalled"] >= 2
    assert collecting.reconnect_causes["stalled"] >= 2


@pytest.mark.slow
def test_a_simulator_that_hangs_for_some_seconds_in_lockstep_is_no_fault(embedded, rig, monkeypatch):
    monkeypatch.setattr(link_module, "LOCKSTEP_SILENCE", LOCKSTEP_SILENCE)
    simulator = embedded("max")
    collecting = rig(simulator.address, cars=2, lockstep=True)
    collecting.wait_for_steps(60)
    with stopped(simulator.pid):
        time.sleep(15.0)
        assert collecting.live()["status"] == "driving"
    collecting.wait_for_steps(60)
    assert not collecting.faults and collecting.reconnects == 0


def test_a_world_that_waits_for_the_learner_in_lockstep_is_no_fault(faulty_simulator, rig, monkeypatch):
    """Not even if it waits for longer than a silent connection is kept."""
    monkeypatch.setattr(link_module, "LOCKSTEP_SILENCE", LOCKSTEP_SILENCE)
    clock = FakeTime(monkeypatch, frame_meter)
    collecting = rig(faulty_simulator("max").address, cars=2, lockstep=True)
    collecting.wait_for_steps(60)
    collecting.pause(True)
    collecting.wait_for_status("paused")
    meters = [car.environment.link.meter for car in collecting.collector._connections.cars]
    clock.now_s += LOCKSTEP_SILENCE.lost_s + 1.0
    eventually(lambda: all(meter.silence_s() == 0.0 for meter in meters), "the silence is excused")
    assert collecting.live()["status"] == "paused"
    collecting.pause(False)
    collecting.wait_for_steps(60)
    assert not collecting.faults and collecting.reconnects == 0
