"""The tables of a camera's view: they agree with the camera's geometry, for any pose."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robotini_ray.simulator.camera.pixel_view import CAMERA_AHEAD_M, SKY_LEVEL, directions, make_view, picture_height
from robotini_ray.simulator.world.randomisation import STANDARD_LOOK, Look

angles = st.floats(-math.radians(10), math.radians(10))
looks = st.builds(Look, pitch_rad=angles, roll_rad=angles, yaw_rad=angles, height_m=st.floats(-0.03, 0.05))


def test_the_standard_camera_looks_ahead_and_11_degrees_down():
    right, ahead, up = directions(64, 40, 128)
    assert right == pytest.approx(0)
    assert math.degrees(math.atan2(-up, ahead)) == pytest.approx(11)
    edges = [directions(64, row, 128) for row in (0, 80)]
    top, bottom = (math.degrees(math.atan2(up, ahead)) for _, ahead, up in edges)
    assert top - bottom == pytest.approx(48.8)


@given(look=looks, width=st.sampled_from([8, 32, 101, 128]))
@settings(max_examples=40, deadline=None)
def test_the_tables_hold_together(look, width):
    view, height = make_view(width, look), picture_height(width)
    assert np.allclose(view.axes @ view.pixels, np.eye(3), atol=1e-9)
    assert view.ray.shape == view.open_beyond_m.shape == (2, height, width)
    assert view.ray.max() < len(view.ray_right) == width
    assert (view.open_beyond_m > 0).all()
    # Every sample's ray points where the sample does, within half a ray.
    right, ahead, _ = directions(np.arange(width) + 0.25, np.arange(height)[:, None] + 0.25, width, look)
    slopes = view.ray_right / view.ray_ahead
    assert np.abs(slopes[view.ray[0]] - right / ahead).max() < 0.51 * (slopes[1] - slopes[0]) + 1e-4
    # The spans follow each other and cover the picture.
    rows, firsts, ends, _ = view.spans.T
    assert (ends > firsts).all() and (ends - firsts).sum() == width * height
    assert (np.diff(rows * width + firsts) == (ends - firsts)[:-1]).all()


@given(look=looks)
@settings(max_examples=20, deadline=None)
def test_pixels_meet_the_floor_where_their_direction_leads(look):
    view, camera_m = make_view(32, look), 0.068 + look.height_m
    right, ahead, up = directions(np.arange(32) + 0.5, np.arange(20)[:, None] + 0.5, 32, look)
    seen = np.zeros((20, 32), np.bool_)
    for row, first, end, level in view.spans:
        seen[row, first:end] = level != SKY_LEVEL
    assert (up[seen] < 0).all()
    assert (seen == (camera_m / np.maximum(-up, 1e-9) <= 20)).all()
    assert np.allclose(view.floor_right_m[seen], (camera_m * right / -up)[seen], rtol=1e-3, atol=1e-3)
    assert np.allclose(view.floor_ahead_m[seen], (camera_m * ahead / -up + CAMERA_AHEAD_M)[seen], rtol=1e-3, atol=1e-3)


def test_spans_know_how_near_walls_matter():
    view = make_view(64, Look(roll_rad=0.15))
    for index in (0, 20, len(view.spans) // 2, len(view.spans) - 1):
        row, first, end, _ = view.spans[index]
        inside = view.open_beyond_m[:, row, first:end]
        assert (view.span_closed_m[index], view.span_open_m[index]) == (inside.min(), inside.max())


@pytest.mark.parametrize("look", [Look(height_m=-0.07), Look(height_m=0.09), Look(yaw_rad=1.2)])
def test_a_camera_that_these_tables_are_not_for_is_refused(look):
    with pytest.raises(ValueError, match="camera"):
        make_view(128, look)


def test_the_standard_look_has_the_standard_pose():
    assert (STANDARD_LOOK.pitch_rad, STANDARD_LOOK.roll_rad, STANDARD_LOOK.yaw_rad, STANDARD_LOOK.height_m) == (0, 0, 0, 0)
