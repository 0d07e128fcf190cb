"""What only a critic may see, against places on the track that are known."""

import dataclasses
import math

import numpy as np
import pytest

from robotini_ray.car.state import CarState
from robotini_ray.config import PRIVILEGED_SIZE
from robotini_ray.environment.privileged import AHEAD_M, PrivilegedView
from robotini_ray.shipped.files import shipped_tracks
from robotini_ray.track.track import load_track

STATE = CarState("car", 1, 10.0, 0.0, 0.0, 0.048, 0.0, 0.0, 0.0, 0.0, -1, 0, 0, 0)


@pytest.fixture(scope="module")
def track():
    return load_track("default")


def at(track, arc_m, right_m=0.0, turned_rad=0.0, **fields):
    """A state at a place of the line, so far to its right and turned so far to the right of it."""
    x, z, heading = track.pose(arc_m)
    x, z = x + right_m * math.cos(heading), z - right_m * math.sin(heading)
    return dataclasses.replace(STATE, x=x, z=z, heading_rad=heading + turned_rad, **fields)


def test_a_car_in_the_middle_that_looks_ahead(track):
    described = PrivilegedView(track).describe(at(track, 3.0))
    assert described.shape == (PRIVILEGED_SIZE,) and described.dtype == np.float32
    np.testing.assert_allclose(described[:5], [0, 0, 1, 0, 0], atol=1e-3)


@pytest.mark.parametrize("arc_m", [0.0, 2.0, 7.3, 19.0])
@pytest.mark.parametrize("right_m", [-0.3, 0.2])
@pytest.mark.parametrize("turned_rad", [-2.0, 0.4, 7.0])
def test_place_and_heading(track, arc_m, right_m, turned_rad):
    described = PrivilegedView(track).describe(at(track, arc_m, right_m, turned_rad))
    expected = [right_m / 0.44, math.sin(turned_rad), math.cos(turned_rad)]
    np.testing.assert_allclose(described[:3], expected, atol=0.02)  # the line is made of chords


def test_speeds(track):
    described = PrivilegedView(track).describe(at(track, 1.0, speed_m_s=1.93, forward_speed_m_s=-0.965))
    np.testing.assert_allclose(described[3:5], [0.5, -0.25], atol=1e-6)


@pytest.mark.parametrize("arc_m", [0.0, 1.7, 11.0, 18.9])
def test_bends_ahead_are_those_of_the_track(track, arc_m):
    """18.9 m is half a metre before the line: the last ones lie in the next lap."""
    described = PrivilegedView(track).describe(at(track, arc_m))
    np.testing.assert_allclose(described[5:], [track.curvature(arc_m + ahead_m) for ahead_m in AHEAD_M], atol=0.02)


def test_a_right_turn_is_positive(track):
    """Headings are clockwise. The third curvature is that 1 m ahead."""
    view, bends = PrivilegedView(track), 0
    for arc_m in np.arange(0.0, track.length_m, 0.25):
        curvature = view.describe(at(track, arc_m))[7]
        before, after = (track.pose(arc_m + ahead_m)[2] for ahead_m in (0.95, 1.05))
        if abs(curvature) > 0.8:
            bends += 1
            assert curvature * ((after - before + math.pi) % (2 * math.pi) - math.pi) > 0.0
    assert bends > 20


@pytest.mark.parametrize("name", shipped_tracks())
def test_everything_is_around_1(name):
    track = load_track(name)
    view = PrivilegedView(track)
    states = [at(track, arc_m, 0.38, 1.0, speed_m_s=3.9, forward_speed_m_s=3.9) for arc_m in np.arange(0, track.length_m, 0.3)]
    described = np.stack([view.describe(state) for state in states])
    assert np.isfinite(described).all()
    assert np.abs(described).max() < 2.0


def test_the_place_is_looked_for_near_the_last_one_unless_the_car_was_put_back(track):
    """A car cannot jump: the far place that a jump would mean is found only when the simulator says so."""
    far = at(track, 12.0, right_m=0.1)
    view = PrivilegedView(track)
    view.describe(at(track, 2.0))
    assert abs(view.describe(far)[0]) > 2.0
    view.describe(at(track, 2.0))
    assert view.describe(dataclasses.replace(far, returns=1))[0] == pytest.approx(0.1 / 0.44, abs=0.02)


@pytest.mark.parametrize("level", [0, 1])
def test_a_bridge_is_not_the_road_under_it(bridge_track, level):
    """Beside the middle of the crossing a car is nearer to the other leg's line: its height tells which one it is on."""
    arc_m = min(
        (math.hypot(*bridge_track.pose(arc_m)[:2]), arc_m)
        for arc_m in np.arange(0, bridge_track.length_m, 0.01)
        if (bridge_track.height(arc_m) > 0.2) == bool(level)
    )[1]
    state = at(bridge_track, arc_m, right_m=0.2, y=bridge_track.height(arc_m) + 0.048)
    np.testing.assert_allclose(PrivilegedView(bridge_track).describe(state)[:3], [0.2 / 0.44, 0, 1], atol=0.02)
