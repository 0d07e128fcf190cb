from pathlib import Path

import cv2
import numpy as np
import pytest

import robotini_ray
from robotini_ray.benchmarks.apparatus.old_step import old_features
from robotini_ray.benchmarks.collect import PartTimes, Reading, Stretch, collect_figures, make_config, measure
from robotini_ray.environment.observation import features
from robotini_ray.policy.hand_written import color_balance_action, driving_policy


def test_the_old_features_are_the_same():
    picture = np.random.default_rng(0).integers(0, 256, (80, 128, 3), np.uint8)
    picture = cv2.GaussianBlur(picture, (0, 0), 8)
    picture = cv2.normalize(picture, None, 0, 255, cv2.NORM_MINMAX)
    assert old_features(picture) == pytest.approx(features(picture), abs=1e-5)


def test_the_network_drives_as_the_hand_written_policy():
    config = make_config(32)
    observations = np.random.default_rng(0).random((20, config.environment.observation_size), np.float32)
    policy = driving_policy(config)
    actions, _ = policy.act(observations, policy.initial_state(20))
    expected = np.array([color_balance_action(observation) for observation in observations])
    expected[:, 1] = np.tanh(expected[:, 1])
    assert actions == pytest.approx(expected, abs=1e-5)
    assert np.ptp(actions[:, 1]) > 0.1


def test_a_short_measurement(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(robotini_ray.__file__).parents[1]))
    figures = {figure.name: figure for figure in measure(lambda line: None, window_s=0.1, parts_window_s=0.01, rounds=1)}
    assert figures["collect_speedup"].target.value == 6.0 and figures["collect_speedup_width_32"].target.value == 10.0
    assert figures["collector_roofline"].target.value == 0.8
    assert all(figure.spread.low > 0 for figure in figures.values())


def test_the_figures_of_made_up_readings():
    parts = PartTimes(10e-6, 90e-6, 100e-6, 20e-6)
    reading = Reading(Stretch(500.0, 2e-3), Stretch(4000.0, 240e-6), Stretch(8000.0, 100e-6), parts)
    values = {figure.name: figure.spread.value for figure in collect_figures(32, [reading])}
    assert values["collect_speedup_width_32"] == 8.0
    assert values["collect_speedup_repeat_3_width_32"] == 16.0
    assert values["collector_roofline_width_32"] == pytest.approx(0.5)
    assert values["collector_roofline_features_width_32"] == pytest.approx(220 / 240)
    assert values["collector_time_append_width_32"] == pytest.approx(20.0)
