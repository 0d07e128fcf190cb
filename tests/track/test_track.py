"""The geometry of tracks: lengths, poses, places, and refusals that name the file."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robotini_ray.shipped.files import shipped_tracks
from robotini_ray.track.track import SAMPLES_PER_CURVE, Track, TrackError, load_track

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
    line = circle.line
    for array in (*(value for value in vars(circle).values() if isinstance(value, np.ndarray)), line.profile):
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
        (json.dumps({"trackNodes": [node(0, 0, 0, 1, y=math.inf)] * 3}), "finite"),
        (json.dumps({"trackNodes": [*circle_nodes(1), node(-1, 0, 0, 1, y=0.1)]}), "closed"),
    ],
)
def test_a_bad_file_is_refused_by_name(tmp_path, content, reason):
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(TrackError, match=reason) as refusal:
        load_track(str(path))
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("times", "length"), [(0.01, "0.125667"), (0.1, "1.25667"), (10, "125.667"), (80, "1005.34"), (0.0, "0")]
)
def test_the_length_is_named_with_what_is_allowed(tmp_path, times, length):
    with pytest.raises(TrackError) as refusal:
        load_track(write_track(tmp_path / "mine.json", circle_nodes(2.0 * times)))
    assert str(refusal.value) == (
        f"track '{tmp_path}/mine.json': the line is {length} m long; allowed: 3 to 75 m (coordinates are metres)"
    )


@pytest.mark.parametrize("radius_m", [0.5, 11.9])
def test_lengths_within_the_bounds_are_allowed(tmp_path, radius_m):
    load_track(write_track(tmp_path / "mine.json", circle_nodes(radius_m)))


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("1e300", r"a coordinate is 1e\+300 m from 0; at most 1000 m are allowed"),
        ("-2e3", r"a coordinate is 2000 m from 0; at most 1000 m"),
        ("1" + 400 * "0", r"the number 10000000\.\.\. has 401 digits"),
        ("1" + 5000 * "0", r"the number 10000000\.\.\. has 5001 digits"),
        ("1" + 400 * "0" + ".0", "a coordinate is not a finite number"),
    ],
)
@pytest.mark.parametrize("key", ["position", "direction"])
def test_a_number_without_end_is_one_short_line(tmp_path, key, number, reason):
    path = tmp_path / "mine.json"
    nodes = circle_nodes(2.0)
    nodes[1][key]["x"] = "HERE"
    write_track(path, nodes)
    path.write_text(path.read_text().replace('"HERE"', number))
    with pytest.raises(TrackError, match=reason) as refusal:
        load_track(str(path))
    assert len(str(refusal.value).removeprefix(f"track '{path}'")) < 100


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_part_of_the_track(tmp_path, circle, encoding):
    path = tmp_path / "circle.json"
    path.write_text(circle.path.read_text(), encoding=encoding)
    assert load_track(str(path)).points == pytest.approx(circle.points)


def hill_nodes(height_m, radius_m=2.0):
    """The circle, level at every node and `height_m` up at the far one."""
    nodes = circle_nodes(radius_m)
    nodes[2] = node(radius_m, 0, math.pi, radius_m * QUARTER_HANDLE, y=height_m)
    return nodes


def test_a_track_with_height_is_measured_along_its_slope(tmp_path, circle):
    track = load_track(write_track(tmp_path / "hill.json", hill_nodes(0.5)))
    assert not track.is_flat
    chords = np.diff(np.column_stack([track.points, track.heights_m])[[*range(120), 0]], axis=0)
    assert track.length_m == pytest.approx(np.linalg.norm(chords, axis=1).sum())
    assert circle.length_m + 0.01 < track.length_m < circle.length_m + 0.2
    assert np.diff(track.arc_m) == pytest.approx(np.linalg.norm(chords, axis=1)[:-1])
    assert track.points == pytest.approx(circle.points)
    assert track.curvatures_per_m == pytest.approx(circle.curvatures_per_m)


def test_height_and_slope_follow_the_curve(tmp_path):
    """Level nodes 0.5 m apart in height: y = 0.5 (3 t^2 - 2 t^3) on the curve between them, half way up at its middle."""
    track = load_track(write_track(tmp_path / "hill.json", hill_nodes(0.5)))
    middle, top = 45, 60  # samples
    assert track.heights_m[middle] == pytest.approx(0.25)
    assert track.heights_m[top] == track.heights_m.max() == 0.5
    assert track.slopes_rad[middle] == pytest.approx(math.atan(0.75 / (2.0 * math.pi / 2)), rel=0.03)
    assert track.slopes_rad[[0, 30, 60, 90]] == pytest.approx(0.0)
    assert (track.slopes_rad[61:90] < 0).all()
    for arc_m in np.linspace(0, track.length_m, 50, endpoint=False):
        ahead, behind = track.height(arc_m + 0.05), track.height(arc_m - 0.05)
        assert math.sin(track.slope(arc_m)) == pytest.approx((ahead - behind) / 0.1, abs=0.01)
    laps_later = track.arc_m[middle] + 2 * track.length_m
    assert (track.height(laps_later), track.slope(laps_later)) == pytest.approx(
        (track.heights_m[middle], track.slopes_rad[middle])
    )


def test_places_on_a_slope_are_those_of_the_plan(tmp_path):
    track = load_track(write_track(tmp_path / "hill.json", hill_nodes(1.5)))
    for arc_m in np.linspace(0, track.length_m, 40, endpoint=False):
        x, z, heading = track.pose(arc_m)
        for offset_m in (-0.3, 0.0, 0.3):
            place = track.locate(x + offset_m * math.cos(heading), z - offset_m * math.sin(heading), arc_m)
            assert abs(math.remainder(place.arc_m - arc_m, track.length_m)) < 0.01
            assert place.offset_m == pytest.approx(offset_m, abs=1e-3)


@pytest.mark.parametrize("height_m", [0.0, 1.0, -3.0])
def test_a_road_at_one_height_is_flat(tmp_path, height_m):
    nodes = circle_nodes(2.0)
    for entry in nodes:
        entry["position"]["y"] = entry["direction"]["y"] = height_m
    track = load_track(write_track(tmp_path / "flat.json", nodes))
    assert track.is_flat and track.line.is_flat
    assert (track.height(1.0), track.slope(1.0)) == (height_m, 0.0)


def test_the_height_tells_which_leg_of_a_bridge_is_meant(bridge_track):
    under, over = bridge_track.locate(0.0, 0.0, y=0.048), bridge_track.locate(0.0, 0.0, y=0.25 + 0.048)
    assert bridge_track.height(under.arc_m) == pytest.approx(0.0, abs=1e-3)
    assert bridge_track.height(over.arc_m) == pytest.approx(0.25, abs=1e-3)
    assert under.heading_rad == pytest.approx(math.radians(45), abs=0.01)
    assert math.remainder(over.heading_rad, 2 * math.pi) == pytest.approx(math.radians(-45), abs=0.01)


@pytest.mark.parametrize(("height_m", "degrees"), [(2.5, 50), (-20.0, 84)])
def test_a_road_too_steep_is_refused_with_its_place(tmp_path, height_m, degrees):
    with pytest.raises(TrackError, match=r"steep\.json.*after node 1 has a slope of (\d+) degrees; at most 45") as refusal:
        load_track(write_track(tmp_path / "steep.json", hill_nodes(height_m)))
    found = int(str(refusal.value).split("slope of ")[1].split()[0])
    assert found == pytest.approx(degrees, abs=3)


def test_an_unknown_name_lists_the_shipped_tracks():
    with pytest.raises(TrackError, match=r"'ovall'.*default, long, oval, twisty"):
        load_track("ovall")


def test_a_track_is_frozen(circle):
    assert isinstance(circle, Track)
    with pytest.raises(AttributeError):
        circle.name = "other"


def test_nothing_heavy_is_imported():
    code = "import sys, robotini_ray.track.track; sys.exit(any(m in sys.modules for m in ('tensorflow', 'ray', 'cv2')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
