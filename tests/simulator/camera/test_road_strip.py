"""The road in space and the colours of its floor: sections, shadows of walls and bridges, the finish line."""

import math

import numpy as np
import pytest

from robotini_ray.simulator.camera.ground import SHADED, SUNLIGHT, SUNLIT
from robotini_ray.simulator.camera.road_strip import COLUMNS, LEFT_EDGE, RIGHT_EDGE, map_strip
from robotini_ray.track.track import load_track


def floor(strip, level=0):
    """uint8[rows, columns, 3]: red, green, blue."""
    columns, start, rows = COLUMNS >> level, strip.starts[level], strip.heights[level]
    texels = strip.texels[start : start + rows * columns].reshape(rows, columns)
    return np.stack([texels >> 16, texels >> 8 & 255, texels & 255], axis=-1).astype(np.uint8)


def colour_at(strip, arc_m, offset_m):
    row = int(arc_m / strip.cell_along_m)
    return tuple(floor(strip)[row, int((offset_m / 0.9 + 0.5) * COLUMNS)].tolist())


@pytest.fixture(scope="module")
def oval():
    return load_track("oval")


def test_sections_stand_across_the_road(bridge_track):
    strip = map_strip(bridge_track)
    left, right = strip.corners[:-1, LEFT_EDGE], strip.corners[:-1, RIGHT_EDGE]
    middles = (left + right) / 2
    assert middles[:, [0, 2]] == pytest.approx(bridge_track.points)
    assert middles[:, 1] == pytest.approx(bridge_track.heights_m)
    assert np.linalg.norm(right - left, axis=1) == pytest.approx(0.9)
    assert (strip.corners[-1] == strip.corners[0]).all()
    assert strip.arc_m[-1] == bridge_track.length_m
    assert strip.corners[..., 1].max() == pytest.approx(bridge_track.heights_m.max() + 0.15)
    assert (strip.turns == 1).all()


def test_the_shadow_of_a_wall_is_as_wide_as_the_sun_is_low(oval):
    """On the bottom straight, driven towards -x, the wall on the +z side is the right one."""
    arc_m = 12.9
    strip, (_, _, heading) = map_strip(oval), oval.pose(arc_m)
    assert math.cos(heading) == pytest.approx(0, abs=0.01)
    width_m = 0.15 * SUNLIGHT[2] / SUNLIGHT[1]
    assert colour_at(strip, arc_m, 0.44 - width_m - 0.01) == SUNLIT[3]
    assert colour_at(strip, arc_m, 0.44 - width_m + 0.01) == SHADED[3]
    assert colour_at(strip, arc_m, -0.35) == SUNLIT[1]


def test_the_bridge_throws_its_shadow_on_the_road_below(bridge_track):
    strip = map_strip(bridge_track)
    under_m = bridge_track.locate(0.0, 0.0, y=0.0).arc_m + 0.1  # past the finish line
    over_m = bridge_track.locate(0.0, 0.0, y=0.25).arc_m
    assert colour_at(strip, under_m % bridge_track.length_m, 0.0) == SHADED[2]
    assert colour_at(strip, over_m, 0.0) == SUNLIT[2]
    assert colour_at(strip, under_m + 2.0, 0.0) == SUNLIT[2]


def test_the_finish_line_is_at_both_ends(oval):
    colours = floor(map_strip(oval))
    for rows in (colours[:3], colours[-3:]):
        black = (rows == SHADED[0]).all(axis=-1).mean()
        assert 0.4 < black < 0.7
    assert (colours[8] != colours[0]).any()


def test_coarser_copies_keep_the_mean_colour(oval):
    strip = map_strip(oval)
    means = [floor(strip, level).mean(axis=(0, 1)) for level in range(len(strip.starts))]
    assert np.ptp(means, axis=0).max() < 1.0
