"""The decision cycle by itself: when an observation is due, what it holds, and what the car is told meanwhile."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robotini_ray.config import EnvironmentConfig
from robotini_ray.environment.controls import car_command
from robotini_ray.environment.decision_cycle import NEUTRAL, DecisionCycle
from robotini_ray.environment.observation import LATENCY_FRAMES, BadFrame, picture_features

WIDTH = 32
ACTION = np.array([0.5, -0.25], np.float32)


def picture(red: int = 0, green: int = 0, blue: int = 255) -> bytes:
    return cv2.imencode(".png", np.full((WIDTH * 80 // 128, WIDTH, 3), (blue, green, red), np.uint8))[1].tobytes()


BLUE, RED, GREEN = picture(), picture(255, 0, 0), picture(0, 255, 0)


def features(png: bytes) -> np.ndarray:
    return picture_features([png], WIDTH).reshape(-1)


def make_cycle(latency_frames: int = LATENCY_FRAMES, **settings: object) -> DecisionCycle:
    return DecisionCycle(EnvironmentConfig(image_width=WIDTH, **settings), latency_frames)  # type: ignore[arg-type]


@given(repeat=st.integers(1, 6), frames=st.integers(1, 40), bad=st.sets(st.integers(0, 39)))
def test_an_action_lasts_its_frames_and_one_more_for_each_bad_picture_at_its_end(
    repeat: int, frames: int, bad: set[int]
) -> None:
    cycle = make_cycle(action_repeat=repeat)
    since_decision, settled = 0, False
    for frame in range(frames):
        since_decision += 1
        is_due = not settled or since_decision >= repeat
        if is_due and frame in bad:
            with pytest.raises(BadFrame):
                cycle.take([b"no picture"])
            continue
        observation = cycle.take([b"no picture" if frame in bad else BLUE])
        assert (observation is not None) == is_due
        if observation is not None:
            assert cycle.frames == (since_decision if settled else 0)
            cycle.decide(ACTION)
            settled, since_decision = True, 0
    assert cycle.settling != settled


def test_a_car_stands_still_until_its_first_observation_is_answered() -> None:
    cycle = make_cycle()
    assert cycle.settling and cycle.command == NEUTRAL
    assert cycle.take([BLUE]) is not None
    cycle.decide(ACTION)
    assert cycle.command == car_command(ACTION, EnvironmentConfig())
    cycle.begin()
    assert cycle.settling and cycle.command == NEUTRAL


@pytest.mark.parametrize("latency_frames", [1, LATENCY_FRAMES, 4])
def test_after_a_put_back_pictures_of_the_earlier_place_are_passed_over_and_history_begins_anew(latency_frames: int) -> None:
    cycle = make_cycle(latency_frames, action_repeat=1, observation_history=2, action_history=1)
    for png in (RED, GREEN):
        cycle.take([png])
        cycle.decide(ACTION)
    assert list(cycle.observation) == [*features(GREEN), *features(RED), *ACTION]
    cycle.put_back()
    for _ in range(latency_frames):
        assert cycle.take([RED]) is None and cycle.command == NEUTRAL
    first = cycle.take([BLUE])
    assert first is not None and list(first) == [*features(BLUE), *features(BLUE), 0.0, 0.0]


@pytest.mark.parametrize("merge_frames", [True, False])
def test_only_a_merging_environment_sees_the_frames_before_the_newest(merge_frames: bool) -> None:
    cycle = make_cycle(action_repeat=2, merge_frames=merge_frames)
    cycle.take([BLUE])
    cycle.decide(ACTION)
    cycle.take([RED])
    observation = cycle.take([GREEN])
    assert observation is not None
    expected = picture_features([RED, GREEN] if merge_frames else [GREEN], WIDTH)
    np.testing.assert_array_equal(observation[:24], expected.reshape(-1))
