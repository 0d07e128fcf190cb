"""What is drawn for each car and episode."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robotini_ray.config import RandomisationConfig
from robotini_ray.simulator.world.randomisation import STANDARD, Conditions, Look, draw

RANGES = [field.name for field in dataclasses.fields(RandomisationConfig) if field.type != "bool"]
WIDE = RandomisationConfig(
    grip=(0.7, 1.2),
    mass=(0.8, 1.3),
    motor=(0.9, 1.1),
    latency_frames=(1, 4),
    light=(0.6, 1.3),
    colour=(0.8, 1.2),
    camera_pitch_deg=(-2, 2),
    camera_roll_deg=(-3, 3),
    camera_yaw_deg=(-4, 4),
    camera_height_m=(-0.01, 0.02),
    frame_noise=(0, 10),
    start_offset_m=(-0.2, 0.2),
    start_heading_deg=(-30, 30),
    start_speed_m_s=(0, 1.5),
)


def values(conditions):
    look = conditions.look
    return {
        "grip": conditions.grip,
        "mass": conditions.mass,
        "motor": conditions.motor,
        "latency_frames": conditions.latency_frames,
        "light": look.light,
        "colour": look.colour,
        "camera_pitch_deg": math.degrees(look.pitch_rad),
        "camera_roll_deg": math.degrees(look.roll_rad),
        "camera_yaw_deg": math.degrees(look.yaw_rad),
        "camera_height_m": look.height_m,
        "frame_noise": look.noise,
        "start_offset_m": conditions.start_offset_m,
        "start_heading_deg": math.degrees(conditions.start_heading_rad),
        "start_speed_m_s": conditions.start_speed_m_s,
    }


def test_every_range_of_the_config_is_drawn():
    assert set(values(STANDARD)) == set(RANGES)


def test_the_default_config_gives_the_standard_itself():
    assert draw(RandomisationConfig(), np.random.default_rng(0)) is STANDARD
    assert Conditions() == STANDARD and STANDARD.look == Look() and STANDARD.latency_frames == 2


@given(seed=st.integers(0, 2**32))
def test_what_is_drawn_lies_in_its_range(seed):
    drawn = values(draw(WIDE, np.random.default_rng(seed)))
    for name in RANGES:
        low, high = getattr(WIDE, name)
        for value in drawn[name] if name == "colour" else (drawn[name],):
            assert low - 1e-9 <= value <= high + 1e-9


def test_ranges_are_drawn_evenly_and_to_both_ends():
    many = [values(draw(WIDE, np.random.default_rng(seed))) for seed in range(2000)]
    assert {one["latency_frames"] for one in many} == {1, 2, 3, 4}
    latencies = np.bincount([one["latency_frames"] for one in many])[1:]
    assert latencies.min() > 400
    for name in set(RANGES) - {"latency_frames", "colour"}:
        low, high = getattr(WIDE, name)
        share = (np.array([one[name] for one in many]) - low) / (high - low)
        assert share.min() < 0.01 and share.max() > 0.99
        assert share.mean() == pytest.approx(0.5, abs=0.03)
        assert share.std() == pytest.approx(12**-0.5, abs=0.02)


def test_the_same_seed_gives_the_same_conditions_and_another_does_not():
    one, same, other = (draw(WIDE, np.random.default_rng([7, join])) for join in (1, 1, 2))
    assert one == same
    assert one != other and one.look.noise_key != other.look.noise_key


def test_equal_ends_fix_a_value():
    fixed = draw(RandomisationConfig(grip=(0.8, 0.8), latency_frames=(3, 3)), np.random.default_rng(1))
    assert fixed == Conditions(grip=0.8, latency_frames=3)


@pytest.mark.parametrize("name", RANGES)
def test_opening_one_range_changes_nothing_else(name):
    opened = RandomisationConfig(**{name: getattr(WIDE, name)})
    one, all_of_them = draw(opened, np.random.default_rng(4)), draw(WIDE, np.random.default_rng(4))
    assert values(one) == {**values(STANDARD), name: values(all_of_them)[name]}


def test_each_channel_has_a_factor_of_its_own():
    assert len(set(draw(WIDE, np.random.default_rng(0)).look.colour)) == 3


def test_without_noise_there_is_no_key():
    assert draw(RandomisationConfig(light=(0.5, 0.6)), np.random.default_rng(0)).look.noise_key == 0
