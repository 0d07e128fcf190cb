"""The commands that actions become."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robotini_ray.config import ConfigError, EnvironmentConfig
from robotini_ray.environment.controls import car_command

SHARES = st.floats(-1.0, 1.0, width=32)
SCALES = st.sampled_from(["linear", "exponential"])


def throttle(action: float, **settings: object) -> float:
    config = EnvironmentConfig(**{"throttle_low": 0.06, "throttle_high": 0.96, **settings})
    return car_command(np.array([action, 0.0], np.float32), config)[0]


@pytest.mark.parametrize(("scale", "middle"), [("linear", 0.51), ("exponential", 0.24)])
def test_the_throttle_goes_from_low_to_high(scale: str, middle: float) -> None:
    """The exponential scale has the geometric mean in its middle."""
    found = [throttle(action, throttle_scale=scale) for action in (-1.0, 0.0, 1.0)]
    assert found == pytest.approx([0.06, middle, 0.96])


@given(SCALES, SHARES, SHARES)
def test_more_action_is_more_throttle(scale: str, one: float, other: float) -> None:
    low, high = sorted([one, other])
    assert 0.06 - 1e-9 <= throttle(low, throttle_scale=scale) <= throttle(high, throttle_scale=scale) <= 0.96 + 1e-9


@given(st.floats(-1.0, 0.5, width=32))
def test_equal_steps_of_the_exponential_scale_are_equal_factors(action: float) -> None:
    ratio = throttle(action + 0.5, throttle_scale="exponential") / throttle(action, throttle_scale="exponential")
    assert ratio == pytest.approx((0.96 / 0.06) ** 0.25)


def test_an_exponential_scale_cannot_start_from_zero() -> None:
    with pytest.raises(ConfigError, match=r"environment\.throttle_low is 0"):
        EnvironmentConfig(throttle_low=0.0, throttle_scale="exponential")


@given(SCALES, SHARES)
def test_the_turn_is_in_proportion_to_its_limit(scale: str, action: float) -> None:
    config = EnvironmentConfig(turn_limit=0.5, throttle_scale=scale)
    assert car_command(np.array([0.0, action], np.float32), config)[1] == pytest.approx(0.5 * action)
