"""Polygons against a plain computation, sample by sample: plane, sides, depth, and what is behind the camera."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robotini_ray.simulator.camera.ground import LEVELS
from robotini_ray.simulator.camera.pixel_view import FAR_M, NEAR_M, SAMPLES
from robotini_ray.simulator.camera.rasteriser import edges_beyond, fill, fill_floor, make_target
from robotini_ray.simulator.camera.road_strip import COLUMNS, RoadStrip

WIDTH, HEIGHT = 24, 15
SKY = 7
EDGE = 1e-6  # samples closer to a side are left out


def fresh():
    target = make_target(WIDTH, HEIGHT, np.full(LEVELS - 1, 0.0))
    target.nearness[:], target.colours[:] = 0.0, SKY
    return target


def seen(points):
    """From metres right, down and ahead of the camera to (column * depth, row * depth, depth)."""
    right, down, ahead = np.asarray(points, float).T
    return np.stack([right * WIDTH / 2 + ahead * WIDTH / 2, down * WIDTH / 2 + ahead * HEIGHT / 2, ahead], axis=1)


def rays(sample):
    """float64[HEIGHT, WIDTH, 3]: the ray of each pixel's sample, one metre of depth long."""
    right, down = SAMPLES[sample]
    columns, rows = np.meshgrid(np.arange(WIDTH) + right, np.arange(HEIGHT) + down)
    return np.stack([columns, rows, np.ones_like(columns)], axis=-1)


def parallelogram(corner, one, other):
    corner, one, other = (np.array(values, float) for values in (corner, one, other))
    return np.array([corner, corner + one, corner + one + other, corner + other])


def meet(points, ray):
    """Depth at which a ray meets a parallelogram's plane, and how far inside it that is (negative outside)."""
    matrix = np.stack([points[1] - points[0], points[3] - points[0], -ray], axis=1)
    if abs(np.linalg.det(matrix)) < 1e-9:
        return math.nan, 0.0
    along, across, depth = np.linalg.solve(matrix, -points[0])
    return depth, min(along, 1 - along, across, 1 - across, (depth - NEAR_M) / 10, (FAR_M - depth) / 10)


number = st.floats(-3, 3)
vector = st.tuples(number, number, number)


@settings(max_examples=60, deadline=None)
@given(corner=st.tuples(number, number, st.floats(-1, 5)), one=vector, other=vector)
def test_a_polygon_covers_what_the_rays_through_it_meet(corner, one, other):
    points, target = seen(parallelogram(corner, one, other)), fresh()
    fill(target, points, 99)
    for sample in range(2):
        for row, line in enumerate(rays(sample)):
            for column, ray in enumerate(line):
                depth, inside = meet(points, ray)
                if math.isnan(depth) or abs(inside) < EDGE:
                    continue
                assert target.colours[sample, row, column] == (99 if inside > 0 else SKY)
                if inside > 0:
                    assert target.nearness[sample, row, column] == pytest.approx(1 / depth, rel=1e-4)


def test_the_nearer_polygon_hides_the_farther_in_any_order():
    near, far = (seen(parallelogram((-0.5, -0.5, z), (1, 0, 0), (0, 1, 0))) for z in (1.0, 1.5))
    one, other = fresh(), fresh()
    for target, order in ((one, ((near, 1), (far, 2))), (other, ((far, 2), (near, 1)))):
        for points, colour in order:
            fill(target, points, colour)
    assert (one.colours == other.colours).all()
    assert one.colours[0, HEIGHT // 2, WIDTH // 2] == 1


def test_neighbours_leave_no_gap():
    """Two triangles that share a side cover what their quadrilateral covers."""
    points = seen(parallelogram((-0.9, 0.2, 0.6), (1.7, 0.1, 0.3), (0.2, 0.1, 3.0)))
    whole, halves = fresh(), fresh()
    fill(whole, points, 99)
    fill(halves, points[[0, 1, 2]], 99)
    fill(halves, points[[0, 2, 3]], 99)
    assert (whole.colours == 99).sum() > 50
    assert (whole.colours == halves.colours).all()


def strip_of_places():
    """A strip 2**LEVELS cells long whose texels are their own numbers, and `1000000 * level` more in coarser copies."""
    rows, texels, starts, heights = 2**LEVELS, [], [0], []
    for level in range(LEVELS):
        heights.append(rows >> level)
        texels.append(np.arange((rows >> level) * (COLUMNS >> level)) + 1_000_000 * level)
        starts.append(starts[-1] + len(texels[-1]))
    empty = np.empty((0, 0, 0))
    return RoadStrip(
        empty,
        np.empty(0),
        np.empty((0, 0)),
        np.concatenate(texels).astype(np.int32),
        np.array(starts[:-1]),
        np.array(heights),
        1.0,
    )


def test_floor_shows_the_right_place_of_the_strip():
    """In perspective: the place is linear on the floor, not in the picture."""
    corners = np.array([(-1.0, 0.3, 0.5), (1.0, 0.3, 0.5), (1.0, 0.3, 4.5)])
    places = np.array([(0.0, 0.0), (0.0, COLUMNS), (2.0**LEVELS, COLUMNS)])
    target, strip = fresh(), strip_of_places()
    fill_floor(target, seen(corners), places, strip, 1.0, 5)
    found = 0
    for row, line in enumerate(rays(0)):
        for column, ray in enumerate(line):
            if target.colours[0, row, column] == SKY:
                continue
            depth = 0.3 * WIDTH / 2 / (ray[1] - HEIGHT / 2)
            along = (depth - 0.5) / 4.0 * 2**LEVELS
            across = (depth * (ray[0] - WIDTH / 2) / (WIDTH / 2) + 1.0) / 2 * COLUMNS
            texel = target.colours[0, row, column]
            assert texel // COLUMNS == pytest.approx(along - 0.5, abs=0.51)
            assert texel % COLUMNS == pytest.approx(across - 0.5, abs=0.51)
            found += 1
    assert found > 30


def test_floor_is_dark_from_below_and_its_far_part_comes_from_coarser_copies():
    corners = np.array([(-1.0, 0.3, 0.5), (1.0, 0.3, 0.5), (0.0, 0.3, 9.0)])
    places = np.array([(0.0, 0.0), (0.0, COLUMNS), (2.0**LEVELS, COLUMNS / 2)])
    strip, colours = strip_of_places(), {}
    for turn in (-1.0, 1.0):
        target = fresh()
        target.level_nearness[:] = 1 / np.array([0.7, 0.9, 1.2, 1.7, 2.5])
        fill_floor(target, seen(corners), places, strip, turn, 5)
        colours[turn] = target.colours[target.colours != SKY]
    assert (colours[-1.0] == 5).all()
    assert len(colours[-1.0]) == len(colours[1.0]) > 0
    assert set(np.unique(colours[1.0] // 1_000_000)) >= {0, 1, 2, 3}


def test_what_is_beyond_one_edge_is_not_drawn():
    left = seen(parallelogram((-9, 0, 1), (1, 0, 0), (0, 1, 0)))
    behind = seen(parallelogram((-1, -1, -1), (2, 0, 0), (0, 2, 0)))
    across = seen(parallelogram((-9, 0, 1), (18, 0, 0), (0, 1, 0)))
    assert edges_beyond(left, WIDTH, HEIGHT) == 1
    assert edges_beyond(behind, WIDTH, HEIGHT) & 16
    assert edges_beyond(across, WIDTH, HEIGHT) == 0
