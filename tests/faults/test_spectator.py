"""The spectator stream: lines without sense, and a stream that ends while the cameras live."""

from __future__ import annotations

import json
import threading
import time

import numpy as np
import pytest

from robotini_ray.car import spectator as spectator_module
from robotini_ray.car.spectator import Spectator
from robotini_ray.environment import race_environment
from robotini_ray.environment.race_environment import REALTIME_STATE_TIMEOUT_S
from robotini_ray.replay.table import LAST, PAD
from tests.fake_time import FakeTime
from tests.waiting import LONG_S, eventually

NEUTRAL = b'"value":0.000000}\n{"action":"turn","value":0.000000}'


def bad_lines():
    return [
        b"no JSON", b'{"type":"GameStatus"', b"[1, 2]", b'{"type":7}', b'{"type":"\xc3"}', b"[" * 100_000,
        b'{"type":"GameStatus"}', b'{"type":"GameStatus","cars":[{"name":"car0"}]}', b'{"type":"CarCrashed"}',
        b'{"type":"GameStatus","cars":[{"name":"car0","position":{"x":NaN}}]}',
    ]  # fmt: skip


def between_lines(lines):
    """Puts lines, all at once, where the next line of a stream ends."""
    left = list(lines)

    def alter(way, piece):
        end = piece.find(b"\n") + 1
        if not left or not end:
            return piece
        extra = b"".join(line + b"\n" for line in left)
        left.clear()
        return piece[:end] + extra + piece[end:]

    return alter


@pytest.mark.parametrize("pace", [pytest.param("realtime", marks=pytest.mark.slow), "max"])
def test_bad_lines_are_skipped_and_counted(faulty_simulator, rig, pace):
    simulator = faulty_simulator(pace)
    collecting = rig(simulator.address, lockstep=pace == "max")
    collecting.wait_for_steps(60)
    harmless = [b'{"type":"SomethingNew","lastLap":NaN}', b'{"type":"LapCompleted","car":{"name":"car0"},"lastLap":NaN}', b""]
    simulator.spectators.alter = between_lines([*bad_lines(), *harmless])
    collecting.wait_for_faults("bad_line", len(bad_lines()))
    collecting.wait_for_steps(60)
    assert collecting.faults == {"bad_line": len(bad_lines())} and collecting.reconnects == 0


def test_a_line_without_end_is_dropped_and_the_next_one_read(faulty_simulator, rig):
    simulator = faulty_simulator("max")
    collecting = rig(simulator.address, lockstep=True)
    collecting.wait_for_steps(60)
    simulator.spectators.alter = between_lines([b'{"type":"' + b"x" * 10_000_000 + b'"}'])
    collecting.wait_for_faults("bad_line", 1)
    collecting.wait_for_steps(120)
    assert collecting.faults == {"bad_line": 1}


@pytest.mark.slow
def test_ten_thousand_lines_a_second_for_five_seconds(fault_server, wire):
    """Half of them without sense; the reader keeps up, and its memory of a car stays bounded."""
    block = b"".join(wire.status("car", frames_sent=0) + b'{"type":"GameStatus","cars":[7]}\n' for _ in range(500))
    ended = threading.Event()

    def script(sock):
        began = time.monotonic()
        for number in range(50):
            sock.sendall(block)
            time.sleep(max(0.0, began + (number + 1) * 0.1 - time.monotonic()))
        sock.sendall(wire.status("car", frames_sent=1))
        ended.wait(LONG_S)

    spectator = Spectator(*fault_server(script).address)
    spectator.follow("car")
    assert spectator.wait_for("car", 1, LONG_S).frames_sent == 1
    assert spectator.take_bad_lines() == 25_000
    assert len(spectator.take_states("car")) == 600
    spectator.close()
    ended.set()


@pytest.mark.parametrize("pace", ["realtime", pytest.param("max", marks=pytest.mark.slow)])
def test_without_the_spectator_cars_drive_on_and_write_nothing(faulty_simulator, rig, pace):
    simulator = faulty_simulator(pace)
    collecting = rig(simulator.address, cars=2, lockstep=pace == "max")
    collecting.wait_for_steps(60)
    eventually(lambda: not collecting.wait_for_status("driving")["stale"], "the state is fresh")
    simulator.spectators.stop_listening()
    simulator.spectators.cut()
    collecting.wait_for_faults("spectator_lost", 1)
    eventually(lambda: collecting.live()["stale"] and collecting.live("car1")["stale"], "the state is marked stale")
    items = collecting.stored_items()
    collecting.look()
    steps = collecting.env_steps
    ways = simulator.cars.live()
    frames = [way.from_server for way in ways]
    eventually(
        lambda: all(way.from_server >= count + 60 for way, count in zip(ways, frames, strict=True)), "both cars drive on"
    )
    assert all(NEUTRAL not in way.from_client for way in ways), "with the policy's actions"
    collecting.wait_for_faults("unreachable", 1)
    assert collecting.live()["status"] == "driving"
    assert (collecting.stored_items(), collecting.env_steps) == (items, steps)
    simulator.spectators.open()
    eventually(lambda: not collecting.live()["stale"] and not collecting.live("car1")["stale"], "the state is fresh again")
    collecting.wait_for_steps(60)
    assert simulator.cars.live() == ways and collecting.reconnects == 0
    if pace == "realtime":  # in lock-step the cars have come far enough for real crashes
        rows = np.concatenate(collecting.windows())
        assert np.count_nonzero(rows[:, -1] == LAST) >= 2
        assert set(rows[(rows[:, -1] != PAD) & (rows[:, -1] != LAST), -2]) == {1.0}, "all ends are truncations"


def test_a_stream_that_falls_silent_is_stale_after_a_second(faulty_simulator, rig, monkeypatch):
    """The socket stands and says nothing, while frames come: no step is made of old states."""
    monkeypatch.setattr(race_environment, "REALTIME_STATE_TIMEOUT_S", REALTIME_STATE_TIMEOUT_S)
    simulator = faulty_simulator("realtime")
    collecting = rig(simulator.address, cars=2)
    collecting.wait_for_steps(60)
    simulator.spectators.alter = lambda way, piece: b""
    eventually(lambda: collecting.live()["stale"], "the state is marked stale")
    collecting.look()
    steps = collecting.env_steps
    (first, _) = ways = simulator.cars.live()
    frames = first.from_server
    eventually(lambda: first.from_server >= frames + 60, "the car drives on")
    collecting.look()
    assert collecting.env_steps == steps and set(collecting.faults) == {"spectator_lost"}
    simulator.spectators.alter = lambda way, piece: piece
    eventually(lambda: not collecting.live()["stale"], "the state is fresh again")
    collecting.wait_for_steps(60)
    assert simulator.cars.live() == ways and collecting.reconnects == 0


def test_states_without_numbers_are_not_believed_when_they_are_old(fault_server, wire, monkeypatch):
    """Unity does not number its frames: the age of the stream decides."""
    clock = FakeTime(monkeypatch, spectator_module)
    spectator = Spectator(*fault_server(lambda sock: (sock.sendall(wire.status("car")), sock.recv(1))).address)
    spectator.follow("car")
    assert json.loads(wire.status("car"))["cars"][0].get("frames_sent") is None
    eventually(lambda: spectator.drain() or spectator.has_state("car", 100), "the state has come")
    clock.now_s += 1.0
    assert spectator.has_state("car", 200)
    clock.now_s += 0.001
    assert not spectator.has_state("car", 200)
    spectator.close()
