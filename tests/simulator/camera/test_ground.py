"""The maps of the ground: stripes, shadow, finish line, and the room between the walls, in tight bends as well."""

import json
import math

import numpy as np
import pytest

from robotini_ray.simulator.camera.ground import CELL_M, CLEARANCE_CELL_M, map_ground
from robotini_ray.track.track import load_track

BLACK, RED, BLUE, GREEN = (30, 26, 23), (238, 57, 98), (66, 108, 156), (62, 217, 142)
SHADED_RED = (135, 39, 64)
TIGHT_M = 0.39


class Map:
    def __init__(self, track):
        self.track, self.ground = track, map_ground(track)

    def place(self, arc_m, offset_m):
        x, z, heading = self.track.pose(arc_m)
        return x + offset_m * math.cos(heading), z - offset_m * math.sin(heading)

    def colour(self, arc_m, offset_m):
        x, z = self.place(arc_m, offset_m)
        row, column = int((z - self.ground.z_m) / CELL_M), int((x - self.ground.x_m) / CELL_M)
        texel = int(self.ground.texels[row * self.ground.widths[0] + column])
        return texel >> 16, texel >> 8 & 255, texel & 255

    def room(self, x, z):
        row, column = (z - self.ground.z_m) / CLEARANCE_CELL_M, (x - self.ground.x_m) / CLEARANCE_CELL_M
        return float(self.ground.clearance[int(row), int(column)])


@pytest.fixture(scope="module")
def oval():
    return Map(load_track("oval"))


@pytest.fixture(scope="module")
def hairpin(tmp_path_factory):
    """Half a turn to the right of radius 0.39 m between straights of 1.2 m, then wide bends back to the start."""
    wide_m = 1.6
    corners = [(0.0, 0.0, 0), (0.0, 1.2, 0), (TIGHT_M, 1.2 + TIGHT_M, 90), (2 * TIGHT_M, 1.2, 180), (2 * TIGHT_M, 0.0, 180)]
    corners += [(2 * TIGHT_M + wide_m, -wide_m, 90), (2 * TIGHT_M + 2 * wide_m, -2 * wide_m, 180)]
    corners += [(2 * TIGHT_M + wide_m, -3 * wide_m, 270), (wide_m, -3 * wide_m, 270), (0.0, -2 * wide_m, 360)]
    bend, entries = 4 / 3 * math.tan(math.pi / 8), []
    for x, z, turn_deg in [*corners, corners[0]]:
        turn, handle_m = math.radians(turn_deg), bend * (TIGHT_M if z > 0 else wide_m)
        direction = {"x": x + handle_m * math.sin(turn), "y": 0, "z": z + handle_m * math.cos(turn)}
        entries.append({"position": {"x": x, "y": 0, "z": z}, "direction": direction})
    path = tmp_path_factory.mktemp("tracks") / "hairpin.json"
    path.write_text(json.dumps({"trackNodes": entries}))
    return Map(load_track(str(path)))


def test_stripes_lie_across_the_road_where_they_should(oval):
    """On the bottom straight, where the sun shines on red and blue: the middles of the stripes, in 256ths."""
    for middle, colour in ((47, RED), (82.5, BLACK), (128, BLUE), (173.5, BLACK)):
        assert oval.colour(12.6, (middle / 256 - 0.5) * 0.9) == colour


def test_the_shadow_of_a_wall_is_as_wide_as_the_sun_is_high(oval):
    """On the top straight, driving to +x, the left wall stands towards the sun: 0.15 m * 0.8112 / 0.5392 of shadow."""
    half = oval.track.length_m / 2
    edge_m = 0.15 * 0.8112 / 0.5392
    assert oval.colour(half, -0.44 + edge_m - 0.01) == SHADED_RED
    assert oval.colour(half, -0.44 + edge_m + 0.01) == RED


def test_the_finish_line_is_dashed_across_the_whole_floor(oval):
    dashes = [oval.colour(0.0, offset_m) == (18, 16, 15) for offset_m in np.arange(-0.425, 0.45, 0.05)]
    assert dashes == [k % 2 == 1 for k in range(len(dashes))]
    assert oval.colour(0.02, 0.025) == oval.colour(-0.02, 0.025) == BLUE


@pytest.mark.parametrize("name", ["default", "long"])
def test_on_wide_roads_the_room_is_the_way_to_the_road_s_own_wall(name):
    wide = Map(load_track(name))
    for arc_m in np.arange(0, wide.track.length_m, 0.31):
        for offset_m in (-0.45, -0.4, -0.2, 0.0, 0.3, 0.43, 0.46):
            assert wide.room(*wide.place(arc_m, offset_m)) == pytest.approx(0.44 - abs(offset_m), abs=0.015)


def test_in_a_tight_bend_the_stripes_go_round(hairpin):
    assert 1 / np.abs(hairpin.track.curvatures_per_m).max() < 0.44
    top_m = 1.2 + math.pi / 2 * TIGHT_M
    assert hairpin.colour(top_m, 0.0) == BLUE
    assert hairpin.colour(top_m, 0.3) == GREEN
    assert hairpin.colour(top_m, -0.16) == BLACK


def test_walls_that_cross_in_a_hairpin_stand_in_the_other_leg_s_road(hairpin):
    """Its legs are 0.78 m apart: from each, the other's wall stands 0.34 m away, 0.1 m before its own."""
    for arc_m in (0.2, 0.6, 1.0):
        for offset_m in (0.0, 0.2):
            room_m = hairpin.room(*hairpin.place(arc_m, offset_m))
            assert room_m == pytest.approx(2 * TIGHT_M - 0.445 - offset_m, abs=0.025)
        assert hairpin.room(*hairpin.place(arc_m, 2 * TIGHT_M - 0.445)) < 0.004
        assert hairpin.room(*hairpin.place(arc_m, -0.2)) == pytest.approx(0.24, abs=0.015)


def test_beyond_the_inner_walls_of_a_tight_bend_the_road_is_open(hairpin):
    """At the bend's centre, 0.39 m from all of it, no wall is near: the walls have crossed 0.05 m farther on."""
    assert hairpin.room(TIGHT_M, 1.2 + 0.05) > 0.02
    assert hairpin.room(TIGHT_M, 1.2 - 0.055) < 0.01
