"""Frames that come slowly, or many at once."""

from __future__ import annotations

import threading
import time

import cv2
import numpy as np
import pytest

from robotini_ray.car.connection import Login
from robotini_ray.car.frame_meter import LATE_S
from robotini_ray.car.spectator import Spectator
from robotini_ray.config import EnvironmentConfig
from robotini_ray.environment.observation import features, merge_frames
from robotini_ray.environment.race_environment import RaceEnvironment
from robotini_ray.simulator_address import SimulatorAddress
from robotini_ray.track.track import load_track
from tests.waiting import LONG_S, eventually

BURST = 200


def test_five_frames_a_second_are_shown_as_such(faulty_simulator, rig):
    simulator = faulty_simulator("realtime")
    collecting = rig(simulator.address)
    collecting.wait_for_steps(60)

    def slowly(way, piece):
        time.sleep(0.2)
        return piece

    simulator.cars.alter = slowly

    def told(late_share, frames_per_s):
        """Every frame is late, and where that is so there are not more than five a second; in a pause there may be none."""
        assert late_share < 1.0 or frames_per_s <= 5.5
        return late_share == 1.0 and frames_per_s > 0.0

    def reported():
        report = collecting.look()
        return told(report.late_share, report.frames_per_s)

    def shown():
        live = collecting.live()
        return told(live["late_share"], live["frames_per_s"])

    eventually(reported, "every frame is reported as late")
    eventually(shown, "every frame is shown as late")
    assert collecting.reconnects == 0


@pytest.mark.slow
def test_a_step_without_a_new_frame_is_never_stored(faulty_simulator, rig):
    simulator = faulty_simulator("realtime")
    collecting = rig(simulator.address, action_repeat=1)
    simulator.cars.alter = lambda way, piece: (time.sleep(0.3), piece)[1]
    collecting.wait_for_steps(120)
    collecting.stop()
    collecting.look()
    (way,) = simulator.cars.ways
    assert 0 < collecting.decisions <= way.from_server < collecting.env_steps


@pytest.fixture
def scripted(fault_server, wire):
    """A car of the oval whose frames come from a list of pictures, all at once."""
    opened = []

    def join(pictures, **settings):
        sent = threading.Event()
        stream = b"".join(wire.framed(cv2.imencode(".png", picture)[1].tobytes()) for picture in pictures)

        def cars(sock):
            lines = sock.makefile("rb")
            lines.readline()
            sock.sendall(wire.framed(cv2.imencode(".png", pictures[0])[1].tobytes()))
            lines.readline(), lines.readline()
            sock.sendall(stream)
            sent.set()
            while lines.readline():
                pass

        def spectators(sock):
            sock.sendall(b'{"type":"RaceParameters","numSegments":30,"track":"oval.json"}\n')
            track = load_track("oval")
            x, z, _ = track.pose(1.0)
            line = wire.status(position={"x": x, "y": 0.048, "z": z})
            while True:
                sock.sendall(line)
                time.sleep(0.02)

        host, car_port = fault_server(cars).address
        log_port = fault_server(spectators).address[1]
        track = load_track("oval")
        config = EnvironmentConfig(image_width=16, action_repeat=1, observation_history=1, action_history=0, **settings)
        spectator = Spectator(host, log_port, track=track)
        login = Login("car", "team", image_width=16)
        environment = RaceEnvironment(config, track, SimulatorAddress(host, car_port, log_port), login, spectator)
        opened.append((environment, spectator))
        return environment, sent

    yield join
    for environment, spectator in opened:
        environment.close()
        spectator.close()


def pictures_of(count):
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (10, 16, 3), np.uint8) for _ in range(count)]


def seen(pictures):
    return features(merge_frames([cv2.cvtColor(picture, cv2.COLOR_BGR2RGB) for picture in pictures]))


def drive_into_the_burst(environment, sent, count):
    """The time steps that come of it, once every frame has been sent and read."""
    environment.reset()
    steps = []
    neutral = np.zeros(2, np.float32)
    environment.begin_decision(neutral)
    assert sent.wait(LONG_S)

    def all_read():
        step = environment.advance()
        if step is not None:
            steps.append(step)
            environment.begin_decision(neutral)
        return environment.link.frames_received == 1 + count

    eventually(all_read, "the burst has been read")
    assert environment.advance() is None and environment.advance() is None, "no step without a new frame"
    return steps


def test_of_a_burst_the_newest_frame_wins(scripted):
    pictures = pictures_of(BURST)
    environment, sent = scripted(pictures)
    steps = drive_into_the_burst(environment, sent, BURST)
    assert 1 <= len(steps) < BURST / 4, "what waits is dropped, not driven through"
    np.testing.assert_allclose(steps[-1].observation, seen(pictures[-1:]).ravel(), atol=1e-6)


def test_only_the_original_mode_merges_and_only_the_newest_two(scripted):
    pictures = pictures_of(BURST)
    environment, sent = scripted(pictures, merge_frames=True)
    steps = drive_into_the_burst(environment, sent, BURST)
    merged = seen(pictures[-2:]).ravel()
    assert not np.allclose(merged, seen(pictures[-1:]).ravel(), atol=1e-3)
    np.testing.assert_allclose(steps[-1].observation, merged, atol=1e-6)


def test_late_is_half_a_frame_time_more_than_it_should_take():
    assert pytest.approx(1.5 / 60) == LATE_S
