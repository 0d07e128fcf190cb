"""What Redis says of the weights that a car drives with: their train step, and how long ago they came."""

from __future__ import annotations

import dataclasses
import threading

import cv2
import numpy as np

from robotini_ray.car.state_store import CarStateStore
from robotini_ray.config import Config, EnvironmentConfig, EvaluationConfig, SimulatorConfig
from robotini_ray.machine.redis_server import RedisServer
from robotini_ray.parts.evaluator import Evaluator
from robotini_ray.parts.last_lap_film import STRIP_FRAMES
from robotini_ray.policy.hand_written import driving_policy
from robotini_ray.run.reports import weights_version
from tests.waiting import eventually, stored_cars


def test_cars_tell_the_train_step_and_an_age_that_repeats_do_not_renew(faulty_simulator, rig):
    simulator = faulty_simulator("realtime")
    collecting = rig(simulator.address)
    collecting.wait_for_steps(20)
    flat_weights = collecting.collector._policy.flat_weights()

    def broadcast():
        collecting.collector.set_weights(weights_version(2, 40), flat_weights, False)
        return collecting.live()

    first = eventually(lambda: (live := broadcast())["weights_version"] == 40 and live, "the car drives with step 40")
    eventually(lambda: broadcast()["weights_age_s"] > first["weights_age_s"] + 1.0, "they grow old though they are sent again")
    report = collecting.look()
    assert report.weights_version == weights_version(2, 40), "parts tell each other which life it was"
    assert report.weights_age_s > 1.0
    collecting.collector.set_weights(weights_version(2, 41), flat_weights, False)
    newer = eventually(lambda: (live := collecting.live())["weights_version"] == 41 and live, "newer ones have come")
    assert newer["weights_age_s"] < collecting.live()["weights_age_s"] + 1.0


def test_frames_actions_and_their_age_are_reported(faulty_simulator, rig):
    simulator = faulty_simulator("realtime")
    collecting = rig(simulator.address, cars=2)
    frames, actions = 0, np.zeros(2, int)

    def look():
        nonlocal frames, actions
        report = collecting.look()
        frames, actions = frames + report.frames, actions + np.sum(report.actions, axis=1)
        return frames > 200 and report

    report = eventually(look, "frames have come")
    assert 0.0 <= report.frame_age_s < 60.0 and 0 <= report.late_frames <= report.frames
    assert (abs(actions - collecting.decisions) <= 8).all()
    acted_on = collecting.env_steps
    eventually(lambda: look() and frames >= acted_on, "every frame that was acted on has come")  # frames are told now and then


def test_the_evaluator_tells_the_train_step_and_shows_its_last_lap(faulty_simulator, tmp_path):
    config = Config(
        simulator=SimulatorConfig(track="oval"),
        environment=EnvironmentConfig(image_width=16),
        evaluation=EvaluationConfig(laps=1, max_seconds=120.0),
    )
    redis = RedisServer(tmp_path / "redis.log")
    redis.start()
    simulator, store = faulty_simulator("max"), CarStateStore(redis.url, "run")
    judge = Evaluator(config, simulator.address, True, "judge", tmp_path / "policies", redis.url, "run")
    judge.set_weights(weights_version(1, 30), driving_policy(config).flat_weights(), False)
    thread = threading.Thread(target=judge.run)
    thread.start()
    try:
        told = eventually(lambda: stored_cars(store), "its car is in Redis")
        assert told[0].fields["weights_version"] == 30
        (evaluation,) = eventually(judge.report, "the evaluation is there")
    finally:
        judge.stop()
        thread.join()
        store.close()
        redis.stop()
    assert evaluation.version == 30 and len(evaluation.result.laps) == 1
    strip = cv2.imdecode(np.frombuffer(evaluation.last_lap_png, np.uint8), cv2.IMREAD_COLOR)
    assert strip.shape == (10, STRIP_FRAMES * 16, 3)
    pictures = np.split(strip, STRIP_FRAMES, axis=1)
    assert len({picture.tobytes() for picture in pictures}) > STRIP_FRAMES // 2, "it moves"
    assert dataclasses.replace(evaluation, last_lap_png=b"").scalars() == evaluation.scalars()
