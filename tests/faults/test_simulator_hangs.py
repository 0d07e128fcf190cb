"""A simulator that hangs with its sockets open."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import time

import numpy as np
import pytest

from robotini_ray.car import link as link_module
from robotini_ray.car.connection import Login
from robotini_ray.car.errors import FrameTimeout
from robotini_ray.car.link import CarLink, SilenceLimits
from robotini_ray.config import SimulatorConfig
from robotini_ray.replay.table import FIRST
from robotini_ray.simulator.embedded import temporary_simulator
from robotini_ray.simulator_address import SimulatorAddress
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
    """In a fifth of the time that it takes otherwise."""
    assert SilenceLimits(ask_again_s=1.0, stalled_s=2.0, lost_s=10.0) == link_module.REALTIME_SILENCE
    monkeypatch.setattr(link_module, "REALTIME_SILENCE", SilenceLimits(0.2, 0.4, 2.0))
    commands = []

    def script(sock):
        lines = sock.makefile("rb")
        lines.readline()
        sock.sendall(wire.framed(wire.png()))
        commands.append((lines.readline() + lines.readline(), time.monotonic()))
        while line := lines.readline():
            commands.append((line + lines.readline(), time.monotonic()))

    host, port = fault_server(script).address
    link = CarLink(SimulatorAddress(host, port), Login("car", "team", image_width=16))
    link.join(NoSpectator())
    eventually(link.receive, "the first frame is there")
    link.send(0.5, 0.5)
    last_frame_s = time.monotonic()
    asked = stalled_s = 0.0
    with pytest.raises(FrameTimeout, match=r"'car' from 127\.0\.0\.1:\d+ in 2 s"):
        while True:
            asked += link.check_silence()
            assert link.receive() == []
            if link.stalled and not stalled_s:
                stalled_s = time.monotonic() - last_frame_s
            time.sleep(0.02)
    assert time.monotonic() - last_frame_s >= 2.0
    assert stalled_s >= 0.4 and link.take_faults() == {"stalled": 1}
    eventually(lambda: len(commands) == 1 + asked, "all commands have arrived")
    link.close()
    assert asked >= 2 and {line for line, _ in commands[1:]} == {NEUTRAL}
    assert commands[1][1] - last_frame_s >= 0.2


def test_three_seconds_stall_and_write_nothing(embedded, rig):
    simulator = embedded("realtime")
    collecting = rig(simulator.address, cars=2)
    collecting.wait_for_steps(60)
    collecting.wait_for_status("driving")
    with stopped(simulator.pid):
        live = collecting.wait_for_status("stalled")
        assert live["stale"]
        collecting.look()
        items, decisions = collecting.stored_items(), collecting.decisions
        collecting.wait_for_status("stalled", "car1")
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
def test_fifteen_seconds_reconnect(embedded, rig):
    simulator = embedded("realtime")
    collecting = rig(simulator.address, cars=2)
    collecting.wait_for_steps(60)
    with stopped(simulator.pid):
        collecting.wait_for_status("stalled")
        collecting.wait_for_status("reconnecting")
        time.sleep(4.0)
    collecting.wait_for_status("driving")
    collecting.wait_for_status("driving", "car1")
    collecting.wait_for_steps(60)
    assert collecting.reconnects >= 2 and collecting.faults["stalled"] >= 2
    assert collecting.reconnect_causes["stalled"] >= 2


@pytest.mark.slow
def test_a_simulator_that_hangs_for_some_seconds_in_lockstep_is_no_fault(embedded, rig):
    simulator = embedded("max")
    collecting = rig(simulator.address, cars=2, lockstep=True)
    collecting.wait_for_steps(60)
    with stopped(simulator.pid):
        time.sleep(15.0)
        assert collecting.live()["status"] == "driving"
    collecting.wait_for_steps(60)
    assert not collecting.faults and collecting.reconnects == 0


def test_a_world_that_waits_for_the_learner_in_lockstep_is_no_fault(faulty_simulator, rig, monkeypatch):
    """Not even where patience is short."""
    monkeypatch.setattr(link_module, "LOCKSTEP_SILENCE", SilenceLimits(math.inf, 2.0, 60.0))
    collecting = rig(faulty_simulator("max").address, cars=2, lockstep=True)
    collecting.wait_for_steps(60)
    collecting.pause(True)
    collecting.wait_for_status("paused")
    time.sleep(3.0)
    assert collecting.live()["status"] == "paused"
    collecting.pause(False)
    collecting.wait_for_steps(60)
    assert not collecting.faults and collecting.reconnects == 0
