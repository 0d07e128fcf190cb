"""Frames that arrive in pieces or together, and frames that are none. The decoder's own tests are in tests/car."""

from __future__ import annotations

import contextlib
import random

import numpy as np
import pytest

from robotini_ray.car.connection import Login
from robotini_ray.car.spectator import Spectator
from robotini_ray.config import EnvironmentConfig
from robotini_ray.environment.race_environment import RaceEnvironment
from robotini_ray.track.track import load_track

DECISIONS = 20
ACTION = np.array([0.2, 0.1], np.float32)


def drive(address):
    """The observations of a short drive in lock-step, which are the same for the same seed and actions."""
    track = load_track("oval")
    config = EnvironmentConfig(image_width=32, throttle_high=0.12, action_repeat=2)
    spectator = Spectator(address.host, address.log_port, track=track)
    with contextlib.closing(spectator):
        login = Login("car", "car", "#123456", config.image_width, lockstep=True)
        environment = RaceEnvironment(config, track, address, login, spectator)
        with contextlib.closing(environment):
            steps = [environment.reset(), *(environment.step(ACTION) for _ in range(DECISIONS))]
            assert environment.link.take_faults() == {}
    return np.stack([step.observation for step in steps]), [float(step.reward) for step in steps]


def test_the_chunking_of_frames_changes_nothing(faulty_simulator):
    """Cut at random bytes, the head of one frame sent together with the tail of the one before."""
    cut = random.Random(1)
    simulator = faulty_simulator("max")
    expected = drive(simulator.address)

    def in_pieces(way, piece):
        while len(piece) > 1:
            size = cut.choice([1, 2, 3, 50, 500])
            way.client.sendall(piece[:size])
            piece = piece[size:]
        return piece

    other = faulty_simulator("max")
    other.cars.alter = in_pieces
    observations, rewards = drive(other.address)
    np.testing.assert_array_equal(observations, expected[0])
    assert rewards == expected[1]


def bad_frames(wire):
    good = wire.png()
    broken = bytearray(good)
    broken[-20] ^= 1
    return [b"", b"no PNG at all", good[:-5], bytes(broken), wire.png(4000, 4000, pixels=b""), wire.png(pixels=b"no zlib")]


@pytest.mark.parametrize("pace", [pytest.param("realtime", marks=pytest.mark.slow), "max"])
def test_bad_frames_are_counted_and_driven_over(faulty_simulator, rig, wire, pace):
    """In place of good ones: an answer must go out all the same, or no other frame would come."""
    simulator = faulty_simulator(pace)
    collecting = rig(simulator.address, lockstep=pace == "max")
    collecting.wait_for_steps(60)
    bad = [wire.framed(frame) for frame in bad_frames(wire)]
    left = [frame for frame in bad for _ in range(3)]
    simulator.cars.alter = lambda way, piece: left.pop() if left and way.from_server % 2 else piece
    collecting.wait_for_faults("bad_frame", 10)
    collecting.wait_for_steps(60)
    assert set(collecting.faults) == {"bad_frame"} and collecting.reconnects == 0
    assert collecting.live()["status"] == "driving"


@pytest.mark.parametrize("kind", ["before decoding", pytest.param("by the decoder", marks=pytest.mark.slow)])
def test_twenty_refused_in_a_row_reconnect(faulty_simulator, rig, wire, kind):
    simulator = faulty_simulator("realtime")
    collecting = rig(simulator.address, action_repeat=1)
    collecting.wait_for_steps(60)
    bad = wire.framed(b"no PNG at all" if kind == "before decoding" else wire.png(pixels=b"no zlib"))
    first = simulator.cars.ways[0]
    simulator.cars.alter = lambda way, piece: bad if way is first else piece
    collecting.wait_for_faults("dropped", 1)
    collecting.wait_for_faults("bad_frame", 20)
    collecting.wait_for_status("driving")
    collecting.wait_for_steps(60)
    assert collecting.reconnects == 1 and collecting.faults == {"dropped": 1, "bad_frame": 20}
