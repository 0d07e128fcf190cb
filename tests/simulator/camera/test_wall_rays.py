"""How far cameras see up to the walls, against exact intersections with the walls' outlines."""

import math

import numpy as np
import pytest

from robotini_ray.simulator.camera.ground import map_ground
from robotini_ray.simulator.camera.pixel_view import make_view
from robotini_ray.simulator.camera.wall_rays import trace_walls
from robotini_ray.track.track import load_track


def exact_depths_m(track, view, x, z, heading):
    """float[rays]: the depth where each ray first crosses an outline of the walls."""
    rights = np.stack([np.cos(track.headings_rad), -np.sin(track.headings_rad)], axis=1)
    along_x = view.ray_right * math.cos(heading) + view.ray_ahead * math.sin(heading)
    along_z = view.ray_ahead * math.cos(heading) - view.ray_right * math.sin(heading)
    best = np.full(len(along_x), np.inf)
    for side in (-0.44, 0.44):
        begins = track.points + side * rights
        edges = np.roll(begins, -1, axis=0) - begins
        cross = along_x[:, None] * edges[:, 1] - along_z[:, None] * edges[:, 0]
        cross = np.where(cross == 0, 1e-15, cross)
        reach = ((begins[:, 0] - x) * edges[:, 1] - (begins[:, 1] - z) * edges[:, 0]) / cross
        part = ((begins[:, 0] - x) * along_z[:, None] - (begins[:, 1] - z) * along_x[:, None]) / cross
        met = (reach > 0) & (part >= 0) & (part <= 1)
        best = np.minimum(best, np.where(met, reach, np.inf).min(axis=1))
    return best * view.ray_ahead


@pytest.mark.parametrize("name", ["default", "long", "twisty"])
def test_rays_end_at_the_first_wall(name):
    """Wherever a car stands and looks: above all, no ray gets through a wall to the next leg of the road."""
    track, view = load_track(name), make_view(64)
    ground, random = map_ground(track), np.random.default_rng(3)
    off, through = [], []
    for _ in range(150):
        x, z, heading = track.pose(random.uniform(0, track.length_m))
        offset_m = random.uniform(-0.38, 0.38)
        x, z = x + offset_m * math.cos(heading), z - offset_m * math.sin(heading)
        heading = random.uniform(-math.pi, math.pi)
        depths_m = np.empty(64, np.float32)
        nearest_m, farthest_m = trace_walls(depths_m, view, ground, x, z, heading)
        assert (nearest_m, farthest_m) == (depths_m.min(), depths_m.max())
        exact_m = exact_depths_m(track, view, x, z, heading)
        off.append(np.abs(depths_m - exact_m) > 0.01 + 0.03 * exact_m)
        through.append(depths_m > 1.3 * exact_m + 0.05)
    assert np.mean(off) < 0.01
    assert np.mean(through) < 0.001, "only such that pass within millimetres of a wall's edge"


def test_a_camera_in_a_wall_sees_nothing_else():
    track, view = load_track("oval"), make_view(16)
    x, z, heading = track.pose(1.0)
    depths_m = np.empty(16, np.float32)
    trace_walls(depths_m, view, map_ground(track), x + 0.5 * math.cos(heading), z - 0.5 * math.sin(heading), heading)
    assert (depths_m < 0.02).all()


def test_a_camera_far_off_the_map_does_no_harm():
    track, view = load_track("oval"), make_view(16)
    depths_m = np.empty(16, np.float32)
    trace_walls(depths_m, view, map_ground(track), 1e6, -1e6, 0.0)
    assert (depths_m < 0.02).all()
