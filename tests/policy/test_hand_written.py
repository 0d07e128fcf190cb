import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as np_st

from robotini_ray.config import FEATURES_PER_FRAME
from robotini_ray.environment.observation import features
from robotini_ray.policy.hand_written import CRUISE, color_balance_action

RED, GREEN, BLUE = (0, 0, 255), (0, 255, 0), (255, 0, 0)


def road(*colors):
    """The observation of a picture with vertical bands of these colors (B, G, R) from left to right."""
    picture = np.zeros((80, 128, 3), np.uint8)
    edges = np.linspace(0, 128, len(colors) + 1).astype(int)
    for left, right, color in zip(edges[:-1], edges[1:], colors, strict=True):
        cv2.rectangle(picture, (int(left), 0), (int(right) - 1, 79), color, -1)
    return features(picture[:, :, ::-1]).ravel()


def test_a_balanced_road_is_driven_straight_ahead_at_a_steady_throttle():
    action = color_balance_action(road(RED, RED, RED, BLUE, BLUE, GREEN, GREEN, GREEN))
    assert action == pytest.approx([CRUISE, 0.0], abs=0.02)
    assert action.shape == (2,) and action.dtype == np.float32


def test_more_red_turns_right_and_more_green_left():
    assert color_balance_action(road(RED, RED, RED, BLUE, GREEN))[1] < -0.1
    assert color_balance_action(road(RED, BLUE, GREEN, GREEN, GREEN))[1] > 0.1


def test_a_farther_drift_turns_harder():
    little = color_balance_action(road(RED, RED, RED, RED, BLUE, GREEN, GREEN, GREEN))[1]
    much = color_balance_action(road(RED, RED, RED, RED, RED, BLUE, GREEN, GREEN))[1]
    assert much < little < 0


@settings(deadline=None)
@given(
    np_st.arrays(np.float32, FEATURES_PER_FRAME, elements=st.floats(-10, 10, width=32)),
    np_st.arrays(np.float32, st.integers(0, 60), elements=st.floats(-10, 10, width=32)),
)
def test_actions_stay_in_range_and_only_the_newest_frame_counts(newest, older):
    action = color_balance_action(np.concatenate([newest, older]))
    assert np.all(np.abs(action) <= 1.0)
    np.testing.assert_array_equal(action, color_balance_action(newest))
