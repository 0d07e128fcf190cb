"""Free places: never in another car, and never far from what was asked for."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robotini_ray.simulator.world.contacts import BODY_LENGTH_M, BODY_WIDTH_M
from robotini_ray.simulator.world.free_places import FREE_DISTANCE_M, nearest_free_arc, start_arc_m
from robotini_ray.track.track import load_track

OVAL = load_track("oval")
NOBODY = np.zeros((0, 3))


def place(track, arc_m, offset_m=0.0):
    x, z, heading = track.pose(arc_m)
    return [x + offset_m * math.cos(heading), track.height(arc_m) + 0.048, z - offset_m * math.sin(heading)]


def test_the_k_th_car_starts_k_gaps_before_the_line():
    assert [start_arc_m(OVAL, 1.5, k) for k in range(3)] == pytest.approx([0.0, OVAL.length_m - 1.5, OVAL.length_m - 3.0])
    assert start_arc_m(OVAL, OVAL.length_m / 2, 3) == pytest.approx(OVAL.length_m / 2)


def test_a_free_place_is_taken_as_it_is():
    assert nearest_free_arc(OVAL, 3.21, 0.0, NOBODY) == 3.21
    assert nearest_free_arc(OVAL, OVAL.length_m + 1.0, 0.0, NOBODY) == pytest.approx(1.0)


@given(st.floats(0, 13.9), st.lists(st.tuples(st.floats(0, 13.9), st.floats(-0.3, 0.3)), max_size=12), st.floats(-0.3, 0.3))
def test_no_car_appears_in_another_and_the_place_is_the_nearest(wanted_m, others, offset_m):
    taken = np.array([place(OVAL, *other) for other in others]).reshape(-1, 3)
    arc_m = nearest_free_arc(OVAL, wanted_m, offset_m, taken)
    assert arc_m is not None

    def gap_m(at_m):
        x, _, z = place(OVAL, at_m, offset_m)
        return min((math.hypot(x - other[0], z - other[2]) for other in taken), default=math.inf)

    assert gap_m(arc_m) > math.hypot(BODY_LENGTH_M, BODY_WIDTH_M)  # whichever way both are turned
    away_m = abs(math.remainder(arc_m - wanted_m, OVAL.length_m))
    for nearer_m in np.arange(0.0, away_m - 0.02, 0.02):
        assert gap_m(wanted_m + nearer_m) <= FREE_DISTANCE_M
        assert gap_m(wanted_m - nearer_m) <= FREE_DISTANCE_M


def test_a_full_track_has_no_place():
    taken = np.array([place(OVAL, arc_m) for arc_m in np.arange(0.0, OVAL.length_m, 0.4)])
    assert nearest_free_arc(OVAL, 1.0, 0.0, taken) is None


def test_a_car_on_a_bridge_does_not_take_the_place_under_it(bridge_track):
    crossing_m = bridge_track.locate(0.0, 0.0, bridge_track.length_m / 2).arc_m
    above = np.array([place(bridge_track, crossing_m)])
    assert bridge_track.height(crossing_m) == pytest.approx(0.25, abs=1e-3)
    assert nearest_free_arc(bridge_track, 0.0, 0.0, above) == 0.0
    assert nearest_free_arc(bridge_track, crossing_m, 0.0, above) != crossing_m
