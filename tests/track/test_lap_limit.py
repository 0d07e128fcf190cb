"""The lap limit against closed forms, a second solver, and what a lap must obey."""

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robotini_ray.shipped.files import shipped_tracks
from robotini_ray.track import interior_point, lap_limit, racing_line
from robotini_ray.track.track import Track, load_track

GRIP_M_S2, TOP_SPEED_M_S, HALF_WIDTH_M = 9.81, 3.86, 0.38


Node = tuple[float, float, float, float]  # x, z, heading, distance to the control points


def write_track(path: Path, nodes: list[Node], mirrored: bool = False) -> Track:
    side = -1 if mirrored else 1
    entries = []
    for x, z, heading, handle_m in [*nodes, nodes[0]]:
        ahead = (x + handle_m * math.sin(heading), z + handle_m * math.cos(heading))
        position, direction = ({"x": side * a, "y": 0.0, "z": b} for a, b in ((x, z), ahead))
        entries.append({"position": position, "direction": direction})
    path.write_text(json.dumps({"trackNodes": entries}))
    return load_track(str(path))


def arc_handle_m(radius_m: float, angle_rad: float) -> float:
    """Where the control points of a cubic Bezier curve stand so that it follows an arc."""
    return 4 / 3 * math.tan(angle_rad / 4) * radius_m


def circle(path: Path, radius_m: float) -> Track:
    """Eight arcs, turning right."""
    handle_m = arc_handle_m(radius_m, math.pi / 4)
    angles = [index * math.pi / 4 for index in range(8)]
    return write_track(path, [(-radius_m * math.cos(a), radius_m * math.sin(a), a, handle_m) for a in angles])


def oval(path: Path, straight_m: float, radius_m: float) -> Track:
    """Two straights along z, joined by two quarter circles at each end, turning right."""
    far, near, right = straight_m / 2, -straight_m / 2, math.pi / 2
    handle_m = arc_handle_m(radius_m, right)
    nodes = [
        (-radius_m, near, 0.0, handle_m),
        (-radius_m, far, 0.0, handle_m),
        (0.0, far + radius_m, right, handle_m),
        (radius_m, far, 2 * right, handle_m),
        (radius_m, near, 2 * right, handle_m),
        (0.0, near - radius_m, 3 * right, handle_m),
    ]
    return write_track(path, nodes)


def clover(path: Path, size_m: float, mirrored: bool = False) -> Track:
    """r = size (1 + cos(3 angle) / 4): three lobes, and bends of 0.37 size the other way."""
    nodes = []
    step = math.pi / 12
    for index in range(24):
        angle = index * step
        r, slope = size_m * (1 + math.cos(3 * angle) / 4), -size_m * 0.75 * math.sin(3 * angle)
        dx = slope * math.sin(angle) + r * math.cos(angle)
        dz = slope * math.cos(angle) - r * math.sin(angle)
        x, z = r * math.sin(angle), r * math.cos(angle)
        nodes.append((x, z, math.atan2(dx, dz), math.hypot(dx, dz) * step / 3))
    return write_track(path, nodes, mirrored)


@pytest.mark.parametrize("radius_m", [0.7, 1.0, 1.6, 1.9, 3.0])
def test_circle_is_driven_at_its_inner_edge(tmp_path: Path, radius_m: float) -> None:
    # At radius r the speed is the lower of sqrt(grip r) and the top speed, so a lap takes the longer of
    # 2 pi sqrt(r / grip) and 2 pi r / top: both grow with r, so the smallest radius wins whichever applies.
    inner_m = radius_m - HALF_WIDTH_M
    expected_s = max(2 * math.pi * math.sqrt(inner_m / GRIP_M_S2), 2 * math.pi * inner_m / TOP_SPEED_M_S)
    line = racing_line.racing_line(circle(tmp_path / "circle.json", radius_m))
    assert line.lap_time_s == pytest.approx(expected_s, rel=2e-3)
    assert line.offset_m == pytest.approx(HALF_WIDTH_M, abs=2e-3)
    assert line.speed_m_s == pytest.approx(2 * math.pi * inner_m / expected_s, rel=5e-3)


def test_fast_oval_is_its_inner_edge_at_top_speed(tmp_path: Path) -> None:
    # Inner edge of radius 1.62 m: grip allows 3.99 m/s, so the shortest way can be driven at top speed.
    track = oval(tmp_path / "fast.json", straight_m=3.0, radius_m=2.0)
    shortest_m = 2 * 3.0 + 2 * math.pi * (2.0 - HALF_WIDTH_M)
    assert racing_line.racing_line(track).lap_time_s == pytest.approx(shortest_m / TOP_SPEED_M_S, rel=2e-3)


def test_slow_oval_lies_between_closed_forms(tmp_path: Path) -> None:
    straight_m, radius_m = 3.0, 1.0
    limit_s = racing_line.racing_line(oval(tmp_path / "slow.json", straight_m, radius_m)).lap_time_s
    inner_m = radius_m - HALF_WIDTH_M
    shortest_s = (2 * straight_m + 2 * math.pi * inner_m) / TOP_SPEED_M_S
    # Follow the inner edge: bends at the limit of grip; on the straights speed up, run at top speed, then brake.
    bend_m_s = math.sqrt(GRIP_M_S2 * inner_m)
    reached_m_s = math.sqrt(bend_m_s**2 + GRIP_M_S2 * straight_m)
    assert reached_m_s > TOP_SPEED_M_S
    fast_m = straight_m - (TOP_SPEED_M_S**2 - bend_m_s**2) / GRIP_M_S2
    straight_s = 2 * (TOP_SPEED_M_S - bend_m_s) / GRIP_M_S2 + fast_m / TOP_SPEED_M_S
    inner_edge_s = 2 * straight_s + 2 * math.pi * math.sqrt(inner_m / GRIP_M_S2)
    assert shortest_s * 1.05 < limit_s < inner_edge_s * 0.98


def test_agrees_with_ipopt(tmp_path: Path) -> None:
    # IPOPT on another transcription: offset and velocity along the centre line, trapezoidal rule, 0.02 m steps.
    oval_line = racing_line.racing_line(oval(tmp_path / "oval.json", 3.0, 1.0))
    assert oval_line.lap_time_s == pytest.approx(3.0132, rel=1e-3)
    clover_line = racing_line.racing_line(clover(tmp_path / "clover.json", 2.0))
    assert clover_line.lap_time_s == pytest.approx(3.2816, rel=1e-3)


def test_lap_keeps_grip_speed_and_width(tmp_path: Path) -> None:
    track = clover(tmp_path / "clover.json", 2.0)
    line = racing_line.racing_line(track)
    poses = np.array([track.pose(arc_m) for arc_m in line.arc_m])
    rights = np.column_stack([np.cos(poses[:, 2]), -np.sin(poses[:, 2])])
    assert np.abs(line.points - poses[:, :2] - line.offset_m[:, None] * rights).max() < 3e-3

    steps = np.roll(line.points, -1, axis=0) - line.points
    step_s = 2 * np.hypot(*steps.T) / (line.speed_m_s + np.roll(line.speed_m_s, -1))
    velocities = steps / step_s[:, None]
    changes = velocities - np.roll(velocities, 1, axis=0)
    accelerations_m_s2 = np.hypot(*changes.T) / ((step_s + np.roll(step_s, 1)) / 2)
    assert step_s.sum() == pytest.approx(line.lap_time_s, rel=1e-3)
    assert line.speed_m_s.max() <= TOP_SPEED_M_S * 1.0001
    # Step times rebuilt from speeds at the stations are off where the acceleration jumps, hence the tolerance.
    assert np.percentile(accelerations_m_s2, 98) <= GRIP_M_S2 * 1.03
    places = [track.locate(x, z, arc_m) for (x, z), arc_m in zip(line.points, line.arc_m, strict=True)]
    assert max(abs(place.offset_m) for place in places) <= HALF_WIDTH_M + 2e-3
    # Lobes turn right and bends between them left: the line cuts both.
    assert line.offset_m.max() > 0.37
    assert line.offset_m.min() < -0.3


def test_halving_the_spacing_changes_little(tmp_path: Path) -> None:
    track = clover(tmp_path / "clover.json", 2.0)
    coarse, fine = (racing_line.racing_line(track, spacing_m=spacing_m).lap_time_s for spacing_m in (0.05, 0.025))
    assert coarse == pytest.approx(fine, rel=1e-3)


def test_bend_tighter_than_the_track_is_wide_does_not_fold(tmp_path: Path) -> None:
    track = clover(tmp_path / "tight.json", 0.9)
    assert np.abs(track.curvatures_per_m).max() > 1 / HALF_WIDTH_M
    line = racing_line.racing_line(track)
    headings = np.array([track.pose(arc_m)[2] for arc_m in line.arc_m])
    progress_m = np.roll(line.points, -1, axis=0) - line.points
    assert (progress_m[:, 0] * np.sin(headings) + progress_m[:, 1] * np.cos(headings)).min() > -1e-4
    assert line.lap_time_s == pytest.approx(racing_line.racing_line(track, spacing_m=0.05).lap_time_s, rel=5e-3)


@settings(max_examples=10, deadline=None)
@given(size_m=st.floats(1.5, 3.0), grip_m_s2=st.floats(4.0, 12.0))
def test_more_grip_is_never_slower_and_mirroring_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, size_m: float, grip_m_s2: float
) -> None:
    folder = tmp_path_factory.mktemp("tracks")
    track = clover(folder / "clover.json", size_m)
    mirrored = clover(folder / "mirrored.json", size_m, mirrored=True)

    def lap_s(on: Track, grip_m_s2: float) -> float:
        return racing_line.racing_line(on, grip_m_s2=grip_m_s2, spacing_m=0.1).lap_time_s

    lap_time_s = lap_s(track, grip_m_s2)
    assert lap_s(track, 1.1 * grip_m_s2) < lap_time_s
    assert lap_s(mirrored, grip_m_s2) == pytest.approx(lap_time_s, rel=1e-4)


def test_a_track_with_height_is_solved_in_the_plan(tmp_path: Path) -> None:
    """A circle that rises by 0.3 m and comes down again takes as long as the flat one."""
    flat = circle(tmp_path / "circle.json", 2.0)
    content = json.loads(flat.path.read_text())
    for entry in content["trackNodes"]:
        height_m = 0.15 * (1 + entry["position"]["x"] / 2.0)
        entry["position"]["y"] = entry["direction"]["y"] = height_m
    (tmp_path / "hill.json").write_text(json.dumps(content))
    hill = load_track(str(tmp_path / "hill.json"))
    assert not hill.is_flat and hill.length_m > flat.length_m
    line = racing_line.racing_line(hill)
    assert line.lap_time_s == pytest.approx(racing_line.racing_line(flat).lap_time_s, rel=1e-3)
    assert line.offset_m == pytest.approx(HALF_WIDTH_M, abs=2e-3)


def test_a_bridge_has_a_limit(bridge_track: Track) -> None:
    mean_m_s = bridge_track.length_m / lap_limit.lap_limit_s(bridge_track)
    assert 3.0 < mean_m_s < TOP_SPEED_M_S * 1.2  # over the centre line's length, which is cut


def test_giving_up_names_the_track(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interior_point, "MAX_ITERATIONS", 3)
    with pytest.raises(interior_point.ConvergenceError, match=r"circle\.json"):
        racing_line.racing_line(circle(tmp_path / "circle.json", 1.0))


@pytest.mark.parametrize("name", shipped_tracks())
def test_kept_limits_are_those_of_a_fresh_solve(name: str) -> None:
    track = load_track(name)
    kept = json.loads(lap_limit.LIMITS_FILE.read_text())[track.name]
    assert kept["sha256"] == hashlib.sha256(track.path.read_bytes()).hexdigest(), "run python -m robotini_ray.track.lap_limit"
    assert kept["length_m"] == pytest.approx(track.length_m, rel=1e-4)
    assert kept["limit_s"] == lap_limit.lap_limit_s(track)
    assert kept["limit_s"] == pytest.approx(racing_line.racing_line(track).lap_time_s, rel=5e-3)


def test_kept_limit_serves_only_the_file_it_was_solved_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    track = circle(tmp_path / "own.json", 1.0)
    kept = {"limit_s": 99.0, "length_m": 1.0, "sha256": hashlib.sha256(track.path.read_bytes()).hexdigest()}
    monkeypatch.setattr(lap_limit, "LIMITS_FILE", tmp_path / "limits.json")
    lap_limit.LIMITS_FILE.write_text(json.dumps({"own.json": kept}))
    assert lap_limit.lap_limit_s(track) == 99.0
    changed = circle(tmp_path / "own.json", 1.1)
    assert lap_limit.lap_limit_s(changed) == pytest.approx(2 * math.pi * math.sqrt(0.72 / GRIP_M_S2), rel=2e-3)


def test_main_writes_all_shipped_tracks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lap_limit, "LIMITS_FILE", tmp_path / "limits.json")
    lap_limit.main()
    written = json.loads(lap_limit.LIMITS_FILE.read_text())
    assert sorted(written) == sorted(f"{name}.json" for name in shipped_tracks())
    table = capsys.readouterr().out
    assert all(f"{entry['limit_s']:.3f}" in table for entry in written.values())
