"""What the car's side computes for itself, beside what the embedded simulator says of the same drive."""

import contextlib
import dataclasses
import itertools
import json
import math
import socket
import threading
import time

import pytest

from robotini_ray.car.connection import CarConnection, Login, wait_readable
from robotini_ray.car.spectator import Spectator
from robotini_ray.simulator.server.server import SimulatorServer
from robotini_ray.simulator.world.race_parameters import RaceParameters
from robotini_ray.track.track import load_track
from tests.waiting import LONG_S

NUM_SEGMENTS = 30


@contextlib.contextmanager
def simulator(track, **settings):
    parameters = RaceParameters(num_segments=NUM_SEGMENTS)
    server = SimulatorServer(track, parameters, car_port=0, log_port=0, pace="max", answer_timeout_ms=600_000, **settings)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(timeout=LONG_S)
        assert not thread.is_alive()


def without_track_fields(log_address):
    """A script for a server: passes the events of another one on, without the fields that upstream does not send."""

    def script(sock):
        with socket.create_connection(log_address) as source, source.makefile("rb") as lines:
            for line in lines:
                event = json.loads(line)
                for car in event.get("cars", []) if event["type"] == "GameStatus" else []:
                    del car["trackAngle"], car["trackSegment"]
                sock.sendall(json.dumps(event).encode() + b"\n")

    return script


class Driver:
    """A car in lock-step and the spectators that watch it: one state a frame for each of them."""

    def __init__(self, server, track, *spectators):
        self.track = track
        self.spectators = spectators
        for spectator in spectators:
            spectator.follow("car")
            while spectator.parameters is None:  # connected for good: the first state is sent but once
                assert wait_readable(spectator, time.monotonic() + LONG_S)
                spectator.drain()
        self.connection = CarConnection.connect(*server.car_address, Login("car", "team", image_width=8, lockstep=True))
        self._take()

    def _take(self):
        self.connection.receive(LONG_S)
        number = self.connection.frames_received
        self.states = [spectator.wait_for("car", number, LONG_S) for spectator in self.spectators]
        for spectator in self.spectators:
            assert len(spectator.take_states("car")) == 1
        newest = self.states[0]
        self.arc_m = self.track.locate(newest.x, newest.z, y=newest.y).arc_m

    def answer(self, throttle, turn):
        commands = [{"action": "forward", "value": throttle}, {"action": "turn", "value": turn}]
        self.connection._write("".join(json.dumps(command) + "\n" for command in commands).encode() + b"\n")
        self._take()
        return self.states

    def forward(self, throttle=0.1, ahead_m=0.5):
        """One frame towards a point on the centre line (pure pursuit)."""
        return self.answer(throttle, max(-1.0, min(1.0, -2.0 * self._bearing_rad(ahead_m))))

    def backward(self):
        """One frame tail first, towards a point on the centre line behind the car."""
        tail = math.remainder(self._bearing_rad(-0.5) + math.pi, 2 * math.pi)
        return self.answer(-0.1, max(-1.0, min(1.0, 2.0 * tail)))

    def _bearing_rad(self, ahead_m):
        x, z, _ = self.track.pose(self.arc_m + ahead_m)
        newest = self.states[0]
        return math.remainder(math.atan2(x - newest.x, z - newest.z) - newest.heading_rad, 2 * math.pi)

    def close(self):
        self.connection.close()


@pytest.fixture(params=["oval", "bridge"])
def track(request, bridge_track):
    return load_track("oval") if request.param == "oval" else bridge_track


def drive(driver, laps):
    """Frame after frame of everything that changes segments and angles."""
    frames_per_lap = int(driver.track.length_m / 1.5 * 60)
    for _ in range(int(laps * frames_per_lap)):
        yield driver.forward()
    for _ in range(240):
        yield driver.answer(0.5, 0.3)  # crashes, and is put back
    for _ in range(150):
        yield driver.forward()
    for _ in range(240):
        yield driver.backward()
    for _ in range(150):
        yield driver.forward()
    for _ in range(200):
        yield driver.answer(0.0, 0.0)  # rolls out, stands still, is put back
    for number in range(600):  # turns round to the left, to and fro, and drives on the wrong way round
        if driver.states[0].track_angle_deg > 140.0:
            yield driver.forward(ahead_m=-0.5)
        else:
            yield driver.answer(0.05, 1.0) if number // 25 % 2 == 0 else driver.answer(-0.05, -1.0)


def test_computed_fields_are_those_of_the_simulator(serve, track):
    with simulator(track, seed=5, allow_ui_commands=True) as server, contextlib.ExitStack() as closing:
        proxy = serve(without_track_fields(server.log_address))
        sent, computed = Spectator(*server.log_address), Spectator(*proxy.address, track=track)
        for each in (driver := Driver(server, track, sent, computed), sent, computed):
            closing.callback(each.close)
        pairs = [driver.states, *drive(driver, laps=1.2)]
        with socket.fromfd(sent.fileno(), socket.AF_INET, socket.SOCK_STREAM) as connection:
            connection.sendall(b'{"type":"ResetSimulator"}\n')
        pairs_after_reset = [driver.forward() for _ in range(180)]
    for told, ours in pairs + pairs_after_reset:
        assert dataclasses.replace(ours, track_angle_deg=0.0, track_segment=0) == dataclasses.replace(
            told, track_angle_deg=0.0, track_segment=0
        )
        assert ours.track_angle_deg == pytest.approx(told.track_angle_deg, abs=0.1), told
        assert ours.track_segment == told.track_segment, told
    segments = [told.track_segment for told, _ in pairs]
    assert set(segments) == {*range(-1, NUM_SEGMENTS)}
    assert {told.track_segment for told, _ in pairs_after_reset} >= {0, 1, 2}
    last = pairs[-1][0]
    assert last.crashes >= 3 and last.returns >= 3
    unmoved = [(a, b) for (a, _), (b, _) in itertools.pairwise(pairs) if a.returns == b.returns]
    assert sum(b.track_segment == a.track_segment - 1 for a, b in unmoved) >= 5, "it has driven backwards"
    assert max(told.track_angle_deg for told, _ in pairs) > 150.0
