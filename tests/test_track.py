"""The geometry of tracks: lengths, poses, places, and refusals that name the file."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robotini_ray.track import SAMPLES_PER_CURVE, Track, TrackError, load_track, shipped_tracks

QUARTER_HANDLE = 4 / 3 * math.tan(math.pi / 8)  # the cubic Bezier of a quarter circle of radius 1


def node(x, z, heading_rad, handle_m, y=0.0):
    direction = {"x": x + handle_m * math.sin(heading_rad), "y": y, "z": z + handle_m * math.cos(heading_rad)}
    return {"position": {"x": x, "y": y, "z": z}, "direction": direction}


def write_track(path, nodes):
    path.write_text(json.dumps({"trackNodes": [*nodes, nodes[0]]}))
    return str(path)


def circle_nodes(radius_m):
    """Clockwise from the west point, so driving is a steady right turn."""
    handle_m = radius_m * QUARTER_HANDLE
    corners = [(-radius_m, 0, 0), (0, radius_m, 90), (radius_m, 0, 180), (0, -radius_m, 270)]
    return [node(x, z, math.radians(degrees), handle_m) for x, z, degrees in corners]


@pytest.fixture(scope="module")
def circle(tmp_path_factory):
    return load_track(write_track(tmp_path_factory.mktemp("track") / "circle.json", circle_nodes(2.0)))


@pytest.fixture(scope="module", params=shipped_tracks())
def shipped(request):
    return load_track(request.param)


def test_the_shipped_tracks_are_the_four_of_the_documentation():
    assert shipped_tracks() == ("default", "long", "oval", "twisty")


def test_a_circle_has_the_length_of_its_chords(circle):
    sides = 4 * SAMPLES_PER_CURVE
    assert circle.length_m == pytest.approx(sides * 2 * 2.0 * math.sin(math.pi / sides), rel=3e-4)
    assert circle.curvatures_per_m == pytest.approx(np.full(sides, 0.5), rel=0.02)


def test_the_second_control_point_is_mirrored_at_the_end_node(tmp_path):
    """p2 = 2 position - direction of the end node: two such curves make a lens of known sagitta."""
    nodes = [node(0, 0, 0, 1.0), node(0, 2, math.pi, 1.0)]
    nodes[0]["direction"].update(x=1.0, z=0.5)
    nodes[1]["direction"].update(x=-1.0, z=1.5)
    track = load_track(write_track(tmp_path / "lens.json", nodes))
    # First curve: p0 (0,0), p1 (1,.5), p2 = 2 (0,2) - (-1,1.5) = (1,2.5), p3 (0,2); its middle is at x = 0.75.
    assert track.points[SAMPLES_PER_CURVE // 2] == pytest.approx([0.75, (3 * 0.5 + 3 * 2.5 + 2) / 8])


def test_headings_are_clockwise_from_z(circle):
    assert circle.pose(0.0) == pytest.approx((-2.0, 0.0, 0.0), abs=1e-6)
    x, z, heading_rad = circle.pose(circle.length_m / 4)
    assert (x, z) == pytest.approx((0.0, 2.0), abs=2e-3)
    assert heading_rad == pytest.approx(math.pi / 2, abs=2e-3)


def test_right_of_the_line_is_positive(circle):
    place = circle.locate(-1.7, 0.0)
    assert place.offset_m == pytest.approx(0.3, abs=1e-3)
    assert circle.locate(-2.3, 0.0).offset_m == pytest.approx(-0.3, abs=1e-3)


@given(laps=st.integers(-3, 3), part=st.floats(0, 1, exclude_max=True))
def test_arcs_count_modulo_the_length(circle, laps, part):
    arc_m = part * circle.length_m
    expected = circle.pose(arc_m)
    x, z, heading_rad = circle.pose(arc_m + laps * circle.length_m)
    assert (x, z) == pytest.approx(expected[:2], abs=1e-6)
    assert math.cos(heading_rad - expected[2]) == pytest.approx(1, abs=1e-6)


@given(part=st.floats(0, 1, exclude_max=True), offset_m=st.floats(-0.43, 0.43), told=st.booleans())
def test_locate_is_the_inverse_of_pose(shipped, part, offset_m, told):
    arc_m = part * shipped.length_m
    x, z, heading_rad = shipped.pose(arc_m)
    x += offset_m * math.cos(heading_rad)
    z -= offset_m * math.sin(heading_rad)
    place = shipped.locate(x, z, near_arc_m=arc_m + 0.4 if told else None)
    apart_m = abs((place.arc_m - arc_m + shipped.length_m / 2) % shipped.length_m - shipped.length_m / 2)
    assert apart_m < 0.03
    assert place.offset_m == pytest.approx(offset_m, abs=5e-3)
    assert abs(math.remainder(place.heading_rad - heading_rad, 2 * math.pi)) < 0.06


def test_near_keeps_the_leg_the_car_is_on(shipped):
    """A point on another leg is not found from here: the answer stays within the neighbourhood."""
    far_x, far_z, _ = shipped.pose(shipped.length_m / 2)
    place = shipped.locate(far_x, far_z, near_arc_m=0.0)
    assert abs(math.remainder(place.arc_m, shipped.length_m)) < 2.0
    assert shipped.locate(far_x, far_z).arc_m == pytest.approx(shipped.length_m / 2)


def test_shipped_tracks_leave_room_for_walls(shipped):
    between = np.linalg.norm(shipped.points[:, None] - shipped.points[None], axis=-1)
    arcs = np.abs(shipped.arc_m[:, None] - shipped.arc_m[None])
    other_leg = np.minimum(arcs, shipped.length_m - arcs) > 2.2
    assert between[other_leg].min() >= 1.0
    assert 1 / np.abs(shipped.curvatures_per_m).max() > 0.55


def test_the_default_track_has_hairpins_both_ways():
    track = load_track("default")
    assert 18.5 < track.length_m < 20
    step_m = 0.1
    arcs = np.arange(0, track.length_m, step_m)
    curvatures = np.array([track.curvature(arc) for arc in arcs])
    window = round(2.4 / step_m)
    turns = [float(np.take(curvatures, range(i, i + window), mode="wrap").sum() * step_m) for i in range(len(arcs))]
    assert max(turns) > math.radians(170)
    assert min(turns) < math.radians(-170)


def test_triggers_stand_at_equal_parts(circle):
    arcs = circle.trigger_arcs_m(3)
    assert arcs == pytest.approx(circle.length_m * np.array([0.25, 0.5, 0.75]))


def test_arrays_cannot_be_written(circle):
    for array in (circle.points, circle.arc_m, circle.headings_rad, circle.curvatures_per_m):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "not JSON"),
        ("[]", "trackNodes"),
        ('{"trackNodes": [1, 2, 3]}', "node 0"),
        (json.dumps({"trackNodes": [*circle_nodes(1), node(5, 5, 0, 1)]}), "closed"),
        (json.dumps({"trackNodes": [node(math.nan, 0, 0, 1)] * 3}), "finite"),
    ],
)
def test_a_bad_file_is_refused_by_name(tmp_path, content, reason):
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(TrackError, match=reason) as refusal:
        load_track(str(path))
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_an_unknown_name_lists_the_shipped_tracks():
    with pytest.raises(TrackError, match=r"'ovall'.*default, long, oval, twisty"):
        load_track("ovall")


def test_a_track_is_frozen(circle):
    assert isinstance(circle, Track)
    with pytest.raises(AttributeError):
        circle.name = "other"


def test_nothing_heavy_is_imported():
    code = "import sys, robotini_ray.track; sys.exit(any(m in sys.modules for m in ('tensorflow', 'ray', 'cv2')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
