"""The camera for tracks with height: as the flat one on flat tracks; bridges, crests, slopes, and a turned camera."""

import math

import numpy as np
import pytest

from robotini_ray.simulator.camera import hilly_camera
from robotini_ray.simulator.camera.flat_camera import SKY_COLOUR, WALL_COLOUR, FlatCamera
from robotini_ray.simulator.camera.hilly_camera import UNDERSIDE, HillyCamera
from robotini_ray.simulator.camera.pixel_view import CAMERA_AHEAD_M
from robotini_ray.simulator.world import physics
from robotini_ray.simulator.world.randomisation import STANDARD, Look
from robotini_ray.track.centre_line import pose_on
from robotini_ray.track.track import load_track

RED, GREEN, BLUE = (238, 57, 98), (62, 217, 142), (66, 108, 156)
SHADED_BLUE = (39, 63, 90)
UNDERSIDE_COLOUR = (UNDERSIDE >> 16, UNDERSIDE >> 8 & 255, UNDERSIDE & 255)
CAR_COLOUR = (200.0, 100.0, 50.0)


class Scene:
    """A track and its camera; cars are given by their poses (x, z, heading, y, pitch)."""

    def __init__(self, track, camera=HillyCamera):
        self.track = track
        self.camera = camera(track)

    def pose(self, arc_m, offset_m=0.0, turned_rad=0.0):
        cars, poses = physics.parked_cars(1), np.empty((1, 5))
        cars["present"] = True
        physics.place_car(cars, 0, self.track.line, arc_m, offset_m=offset_m, turned_rad=turned_rad)
        physics.copy_poses(cars, poses)
        return poses[0]

    def look(self, pose, *others, width=128, look=STANDARD.look, frame=0):
        """The picture as red, green, blue from a car at `pose`."""
        poses = np.full((1, 8, 5), np.nan)
        for slot, place in enumerate((pose, *others)):
            poses[0, 2 + slot] = place
        colours = np.tile(np.array(CAR_COLOUR), (8, 1))
        return self.camera.render(width, [2], poses, colours, [look], frame)[0][..., ::-1].astype(int)


def is_like(pixels, colour, tolerance=2):
    return (np.abs(pixels - np.array(colour)) <= tolerance).all(axis=-1)


@pytest.fixture(scope="module")
def oval():
    return Scene(load_track("oval"))


@pytest.fixture(scope="module")
def bridge(bridge_track):
    return Scene(bridge_track)


@pytest.fixture(scope="module")
def stadium(make_track):
    """Two straights of 8 m along z: up by 10 degrees and down again at x = -1.5, level with a hump of 0.4 m at 1.5."""
    rise_m = 8.0 * math.tan(math.radians(10))
    far = 4 / 3 * math.tan(math.pi / 4) * 1.5
    nodes = [
        (-1.5, 0.0, 0.0, 0.0, 1.0, rise_m / 8),
        (-1.5, rise_m, 8.0, 0.0, 1.0, rise_m / 8),
        (-1.5, rise_m, 10.0, 0.0, far, 0.0),
        (1.5, 0.0, 10.0, math.pi, 1.0, 0.0),
        (1.5, 0.4, 7.5, math.pi, 1.0, 0.0),
        (1.5, 0.0, 5.0, math.pi, 1.0, 0.0),
        (1.5, 0.0, -2.0, math.pi, far, 0.0),
        (-1.5, 0.0, -2.0, 0.0, 0.5, 0.0),
    ]
    return Scene(make_track("stadium", nodes))


@pytest.fixture(scope="module")
def level(make_track):
    """The same straights without height."""
    far = 4 / 3 * math.tan(math.pi / 4) * 1.5
    nodes = [(-1.5, 0, -2, 0, 3, 0), (-1.5, 0, 10, 0, far, 0), (1.5, 0, 10, math.pi, 3, 0), (1.5, 0, -2, math.pi, far, 0)]
    return Scene(make_track("level", nodes))


@pytest.mark.parametrize(("width", "share"), [(128, 0.95), (32, 0.85)])
def test_a_flat_track_looks_as_in_the_flat_camera(oval, width, share):
    """Nearly all pixels are the same within four levels; the others lie on edges and in the farthest floor."""
    flat = Scene(oval.track, FlatCamera)
    shares = []
    for arc_m in np.arange(0.1, oval.track.length_m, 0.9):
        for offset_m, turned_rad in ((0.0, 0.0), (0.2, -0.5), (-0.25, 0.3), (0.1, 2.8)):
            viewer, other = oval.pose(arc_m, offset_m, turned_rad), oval.pose(arc_m + 0.6, 0.15, 0.4)
            pictures = [scene.look(viewer, other, width=width) for scene in (oval, flat)]
            shares.append((np.abs(pictures[0] - pictures[1]).max(axis=-1) <= 4).mean())
    assert np.mean(shares) > share
    assert min(shares) > share - 0.06


def test_the_cameras_agree_on_other_cars(oval):
    flat = Scene(oval.track, FlatCamera)
    for away_m, turned_rad in ((0.4, 0.0), (0.7, 1.0), (1.5, 3.0)):
        viewer, other = oval.pose(12.0), oval.pose(12.0 + away_m, 0.05, turned_rad)
        cars = [(scene.look(viewer, other) != scene.look(viewer)).any(axis=-1) for scene in (oval, flat)]
        assert cars[0].sum() > 30
        assert (cars[0] ^ cars[1]).mean() < 0.02


@pytest.mark.parametrize(("width", "height"), [(128, 80), (100, 62), (8, 5)])
def test_pictures_have_the_real_sizes(bridge, width, height):
    assert bridge.look(bridge.pose(1.0), width=width).shape == (height, width, 3)


def test_viewers_see_the_world_each_of_its_own_time(bridge):
    early, late = bridge.pose(1.0), bridge.pose(1.3)
    poses = np.full((2, 3, 5), np.nan)
    poses[0, 0], poses[0, 2] = early, late
    poses[1, 0], poses[1, 2] = late, early
    colours = np.tile(np.array(CAR_COLOUR), (3, 1))
    images = bridge.camera.render(64, [0, 2], poses, colours, [Look(), Look()], 0)
    assert (images[0] == images[1]).all()
    alone = np.full((1, 3, 5), np.nan)
    alone[0, 0] = early
    assert (bridge.camera.render(64, [0], alone, colours, [Look()], 0)[0] != images[0]).any()


def test_an_even_slope_looks_like_a_level_road(stadium, level):
    """Car, camera and road are tilted alike; walls, which stand upright, are not compared."""
    uphill, flat = stadium.look(stadium.pose(1.5)), level.look(level.pose(3.5))
    assert stadium.track.slope(1.5) == pytest.approx(math.radians(10), abs=1e-3)
    assert (np.abs(uphill - flat)[30:].max(axis=-1) <= 4).mean() > 0.97


def test_on_a_ramp_the_horizon_drops_with_the_nose(stadium):
    """Before the ramp the road rises ahead: floor is seen higher up in the picture than on a level."""
    before = stadium.pose(stadium.track.length_m - 0.6)
    bright = stadium.look(before).max(axis=-1) > 100
    level_rows = stadium.look(stadium.pose(stadium.track.length_m - 12)).max(axis=-1) > 100
    assert np.nonzero(bright.any(axis=1))[0].min() < np.nonzero(level_rows.any(axis=1))[0].min() - 4


def test_a_crest_hides_what_is_behind_it(stadium):
    hump_m = stadium.track.arc_m[np.hypot(stadium.track.points[:, 0] - 1.5, stadium.track.points[:, 1] - 7.5).argmin()]
    viewer = stadium.pose(hump_m - 2.2)
    assert (stadium.look(viewer) == stadium.look(viewer, stadium.pose(hump_m + 2.0))).all()
    for seen_m in (-0.8, 0.0):
        assert (stadium.look(viewer) != stadium.look(viewer, stadium.pose(hump_m + seen_m))).any()


def under_and_over(bridge):
    """The arcs where the line crosses itself: on the ground, and up on the bridge."""
    return (bridge.track.locate(0.0, 0.0, y=y).arc_m for y in (0.0, 0.25))


def test_the_bridge_is_dark_from_below(bridge):
    """At the top of the picture its underside hides the sky; far below it lies the road, in its shadow."""
    under_m, _ = under_and_over(bridge)
    picture = bridge.look(bridge.pose(under_m - 0.7))
    assert is_like(picture[0], UNDERSIDE_COLOUR).mean() > 0.5
    assert is_like(picture, UNDERSIDE_COLOUR).sum() > 400
    assert is_like(picture[40:], SHADED_BLUE).sum() > 500
    assert picture[:15].max() < 100


def test_the_bridge_hides_nothing_on_it_and_everything_below(bridge):
    under_m, over_m = under_and_over(bridge)
    viewer = bridge.pose(over_m - 0.5)
    picture = bridge.look(viewer)
    assert is_like(picture[60:, 54:74], BLUE).all()
    assert not is_like(picture[:15], UNDERSIDE_COLOUR).any()
    assert (picture == bridge.look(viewer, bridge.pose(under_m))).all()
    assert (picture != bridge.look(viewer, bridge.pose(over_m))).any()


def test_a_car_under_the_bridge_is_seen_from_under_it(bridge):
    under_m, over_m = under_and_over(bridge)
    viewer = bridge.pose(under_m - 0.8)
    picture = bridge.look(viewer)
    assert (picture != bridge.look(viewer, bridge.pose(under_m))).any(axis=-1).sum() > 50
    assert (picture == bridge.look(viewer, bridge.pose(over_m))).all()


def test_walls_and_sky_are_dark_everywhere(bridge):
    for arc_m in np.arange(0, bridge.track.length_m, 0.4):
        for turned_rad in (0.0, 1.5, 3.0):
            picture = bridge.look(bridge.pose(arc_m, 0.2, turned_rad), width=32)
            assert picture[0].max() < 100
            assert picture.max() < 250
            assert is_like(picture, WALL_COLOUR).any()


def test_edges_are_antialiased(oval):
    half = (np.array(WALL_COLOUR) + np.array(SKY_COLOUR)) / 2
    assert is_like(oval.look(oval.pose(12.6))[:24], half, 2).sum() > 20


def test_a_camera_turned_is_a_car_turned_about_its_camera(bridge):
    pose, turn = bridge.pose(1.2), 0.15
    turned = pose.copy()
    turned[2] += turn
    turned[:2] += CAMERA_AHEAD_M * np.array([math.sin(pose[2]), math.cos(pose[2])])
    turned[:2] -= CAMERA_AHEAD_M * np.array([math.sin(turned[2]), math.cos(turned[2])])
    assert (bridge.look(pose, look=Look(yaw_rad=turn)) == bridge.look(turned)).mean() > 0.999


def test_a_camera_pitched_down_is_a_car_with_its_nose_up_less(bridge):
    """At arc 0 the road is level. The body turns about its own origin, from which the camera is away."""
    pose, turn = bridge.pose(0.0), 0.1
    raised = pose.copy()
    raised[4] = turn
    back_m = CAMERA_AHEAD_M * (math.cos(turn) - 1) - 0.02 * math.sin(turn)
    raised[:2] -= back_m * np.array([math.sin(pose[2]), math.cos(pose[2])])
    raised[3] -= CAMERA_AHEAD_M * math.sin(turn) + 0.02 * (math.cos(turn) - 1)
    assert (bridge.look(raised, look=Look(pitch_rad=turn)) == bridge.look(pose)).mean() > 0.999
    assert (bridge.look(pose, look=Look(pitch_rad=turn)) == bridge.look(pose)).mean() < 0.9


def test_a_camera_rolled_by_half_a_turn_shows_the_picture_upside_down(bridge):
    pose = bridge.pose(1.2)
    rolled, upright = bridge.look(pose, look=Look(roll_rad=math.pi)), bridge.look(pose)
    assert (rolled[::-1, ::-1] == upright).mean() > 0.999


def test_a_camera_rolled_clockwise_sees_the_road_turn_counterclockwise(oval):
    """The horizon's right end rises in the picture."""
    bright = oval.look(oval.pose(12.9), look=Look(roll_rad=0.15)).max(axis=-1) > 100
    rows = [np.nonzero(bright[:, columns].any(axis=1))[0].min() for columns in (np.s_[10:20], np.s_[108:118])]
    assert rows[1] < rows[0]


def test_a_higher_camera_is_a_higher_car(bridge):
    pose = bridge.pose(0.0)
    higher = pose + np.array([0, 0, 0, 0.03, 0])
    assert (bridge.look(pose, look=Look(height_m=0.03)) == bridge.look(higher)).mean() > 0.999


def test_light_and_noise_are_applied(bridge):
    pose = bridge.pose(1.0)
    assert bridge.look(pose, look=Look(light=0.5)) == pytest.approx(bridge.look(pose) / 2, abs=1)
    noisy = [bridge.look(pose, look=Look(noise=8.0, noise_key=3), frame=frame) for frame in (1, 1, 2)]
    assert (noisy[0] == noisy[1]).all()
    assert (noisy[0] != noisy[2]).any()


def test_the_finish_line_is_dashed_and_black(bridge):
    picture = bridge.look(bridge.pose(-0.3))
    column = np.abs(picture - np.array(SHADED_BLUE)).sum(axis=-1) > 40
    rows = [row for row in range(40, 75) if column[row, 40:88].any()]
    assert 1 <= len(rows) <= 12
    assert 0.2 < (picture[rows[len(rows) // 2], 40:88].max(axis=-1) < 40).mean() < 0.8


def test_stripes_lie_across_the_floor_where_they_should(oval):
    """From a camera that looks straight down from 0.6 m at the middle of a straight: red left, green right."""
    x, z, heading = pose_on(oval.track.line, 12.9)
    pose = np.array([x, z, heading, 0.6, 0.0])
    picture = oval.look(pose, look=Look(pitch_rad=math.pi / 2 - math.radians(11)))
    row = picture[40]
    middle, per_m = 64, 40 / math.tan(math.radians(24.4)) / 0.62
    for colour, left, right in ((RED, 14, 80), (BLUE, 85, 171), (GREEN, 176, 200)):
        columns = np.nonzero(is_like(row, colour, 30))[0]
        edges = [middle + (part / 256 - 0.5) * 0.9 * per_m for part in (left, right)]
        assert columns.min() == pytest.approx(max(0, edges[0]), abs=1.5)
        if colour != GREEN:  # whose right part is in the wall's shadow
            assert columns.max() + 1 == pytest.approx(edges[1], abs=1.5)


def test_the_corners_of_the_box_go_round_each_face():
    for corners in hilly_camera.FACE_CORNERS:
        for corner, following in zip(corners, np.roll(corners, -1), strict=True):
            assert bin(corner ^ following).count("1") == 1
