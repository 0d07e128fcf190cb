"""What the camera shows: its geometry, the colours of the road as rendered, walls, shadow, other cars."""

import math

import cv2
import numpy as np
import pytest

from robotini_ray.simulator.camera import flat_camera as camera_module
from robotini_ray.simulator.camera.flat_camera import FlatCamera
from robotini_ray.simulator.camera.pixel_view import picture_height
from robotini_ray.simulator.server.png_writer import encode_png
from robotini_ray.simulator.world.physics import BODY_HEIGHT_M
from robotini_ray.simulator.world.randomisation import STANDARD_LOOK, Look
from robotini_ray.track.track import load_track

RED, GREEN, BLUE = (238, 57, 98), (62, 217, 142), (66, 108, 156)
SHADED_RED, SHADED_GREEN = (135, 39, 64), (37, 129, 89)
WALL = (30, 26, 23)
FOCAL_PX = 40 / math.tan(math.radians(24.4))  # of a picture 80 pixels high


class Scene:
    """A track, its camera, and cars by slot."""

    def __init__(self, name):
        self.track = load_track(name)
        self.camera = FlatCamera(self.track)

    def pose(self, arc_m, offset_m=0.0, turned_rad=0.0):
        x, z, heading = self.track.pose(arc_m)
        return x + offset_m * math.cos(heading), z - offset_m * math.sin(heading), heading + turned_rad

    def look(self, pose, *others, width=128, colour=(200, 100, 50), look=STANDARD_LOOK, frame=0):
        """The picture as red, green, blue from a car at `pose`."""
        poses = np.full((1, 8, 5), np.nan)
        for slot, (x, z, heading) in enumerate((pose, *others)):
            poses[0, 2 + slot] = x, z, heading, BODY_HEIGHT_M, 0.0
        colours = np.tile(np.array(colour, float), (8, 1))
        return self.camera.render(width, [2], poses, colours, [look], frame)[0][..., ::-1].astype(int)


@pytest.fixture(scope="module")
def oval():
    return Scene("oval")


def is_like(pixels, colour, tolerance=2):
    return (np.abs(pixels - np.array(colour)) <= tolerance).all(axis=-1)


@pytest.mark.parametrize(("width", "height"), [(128, 80), (64, 40), (32, 20), (8, 5), (100, 62), (127, 79)])
def test_pictures_have_the_real_sizes(oval, width, height):
    assert picture_height(width) == height
    assert oval.look(oval.pose(1.0), width=width).shape == (height, width, 3)


def test_a_picture_is_a_png_of_8_bit_rgb(oval):
    image = np.ascontiguousarray(oval.look(oval.pose(0.5))[..., ::-1].astype(np.uint8))
    png = encode_png(image)
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert png[16:29] == (128).to_bytes(4, "big") + (80).to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    assert (cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR) == image).all()


def test_red_is_left_and_green_is_right(oval):
    lower = oval.look(oval.pose(12.6))[40:]
    red = np.nonzero(is_like(lower, RED) | is_like(lower, SHADED_RED))[1]
    green = np.nonzero(is_like(lower, GREEN) | is_like(lower, SHADED_GREEN))[1]
    assert len(red) > 50 and len(green) > 50
    assert red.max() < 64 < green.min()


def test_the_middle_of_the_road_is_blue(oval):
    picture = oval.look(oval.pose(12.6))
    assert is_like(picture[79, 10:118], BLUE).all()


def test_stripe_edges_are_where_perspective_puts_them(oval):
    """Blue ends 171/256 across the floor: at row 40 the right edge is that far from the picture's middle."""
    x, z, heading = oval.pose(12.6)
    picture = oval.look((x, z, heading))
    below = math.radians(11) + math.atan((40.5 - 40) / FOCAL_PX)
    along_axis_m = 0.068 / math.sin(below) * math.cos(below - math.radians(11))
    edge_m = (171 / 256 - 0.5) * 0.9
    column = 64 + edge_m / along_axis_m * FOCAL_PX
    blue = np.nonzero(is_like(picture[40], BLUE, 30))[0]
    assert blue.max() == pytest.approx(column, abs=1.5)


def test_the_horizon_is_17_pixels_above_the_middle(oval):
    """No floor is seen above the row where a camera pitched 11 degrees down sees the horizon."""
    picture = oval.look(oval.pose(12.9))
    horizon = 40 - FOCAL_PX * math.tan(math.radians(11))
    bright = picture.max(axis=-1) > 100
    assert math.floor(horizon) <= np.nonzero(bright.any(axis=1))[0].min() <= horizon + 4


def test_walls_stand_at_their_distance_and_height(oval):
    """Looking straight at the left wall of a straight: base and top at the rows of 0.068 m down and 0.082 m up."""
    x, z, heading = oval.pose(0.3)
    offset_m = 0.1
    pose = (x + offset_m * math.cos(heading), z - offset_m * math.sin(heading), heading - math.pi / 2)
    column = oval.look(pose)[:, 64]
    distance_m = 0.44 + offset_m - 0.095
    rows = [40 + FOCAL_PX * math.tan(math.radians(-11) + math.atan(up / distance_m)) for up in (-0.082, 0.068)]
    wall = np.nonzero(is_like(column[:50], WALL, 1))[0]
    assert wall.min() == pytest.approx(rows[0], abs=1.5)
    # The floor's black edge stripe, as black as the wall, follows from the base on: 14/256 of 0.9 m less 0.01 m.
    stripe_end = 40 + FOCAL_PX * math.tan(math.radians(-11) + math.atan(0.068 / (distance_m - 0.039)))
    assert rows[1] - 1.5 < wall.max() < stripe_end + 1.5


def test_sky_and_walls_are_dark_everywhere():
    scene = Scene("default")
    for arc_m in np.arange(0, scene.track.length_m, 0.7):
        assert scene.look(scene.pose(arc_m))[:21].max() < 100


def test_walls_hide_what_is_behind_them():
    """Beyond the wall of one leg of the default track lies another, and nothing of it is seen."""
    scene = Scene("default")
    x, z, heading = scene.pose(4.9)
    picture = scene.look((x, z, heading + math.pi / 2))  # straight at the right wall, other legs behind
    column = picture[:, 64]
    wall_top = np.nonzero(is_like(column, WALL, 1))[0].min()
    assert (column[:wall_top].max(axis=-1) < 100).all()
    assert is_like(column[wall_top:40], WALL, 1).any()


def test_the_shadow_falls_towards_minus_z(oval):
    """On the bottom straight (driving to -x) the wall on the +z side, the right one, shades green, not red."""
    picture = oval.look(oval.pose(12.6))
    assert is_like(picture, SHADED_GREEN).sum() > 30
    assert is_like(picture, RED).sum() > 50
    assert is_like(picture, SHADED_RED).sum() < 10
    opposite = oval.look(oval.pose(oval.track.length_m / 2))
    assert is_like(opposite, SHADED_RED).sum() > 30
    assert is_like(opposite, GREEN).sum() > 50


def test_the_finish_line_is_dashed_and_black(oval):
    with_line = oval.look(oval.pose(oval.track.length_m - 0.3))
    column = np.abs(with_line - np.array(BLUE)).sum(axis=-1) > 60
    rows = [row for row in range(40, 75) if column[row, 40:88].any()]
    assert 1 <= len(rows) <= 12
    dark = with_line[rows[len(rows) // 2], 40:88].max(axis=-1) < 60
    assert 0.2 < dark.mean() < 0.8


def test_a_car_ahead_is_a_dark_box_where_it_should_be(oval):
    """The rear of a car 0.8 m ahead: its width is 0.12 m over the distance, in the middle of the picture."""
    viewer, ahead = oval.pose(12.4), oval.pose(13.2)
    changed = (oval.look(viewer) != oval.look(viewer, ahead)).any(axis=-1)
    columns = np.nonzero(changed.any(axis=0))[0]
    distance_m = 0.8 - 0.095 - 0.13
    width_px = 0.12 / distance_m / math.cos(math.radians(11)) * FOCAL_PX
    assert columns.max() - columns.min() + 1 == pytest.approx(width_px, abs=2.5)
    assert (columns.max() + columns.min() + 1) / 2 == pytest.approx(64, abs=1.5)
    inside = cv2.erode(changed.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    assert oval.look(viewer, ahead, colour=(255, 255, 255))[inside].max() < 100


def test_the_nearer_car_hides_the_farther(oval):
    viewer, near, far = oval.pose(12.0), oval.pose(12.6), oval.pose(13.0)
    assert (oval.look(viewer, near, far) == oval.look(viewer, far, near)).all()
    poses = [near, far]
    assert (oval.look(viewer, *poses)[30:, 64] == oval.look(viewer, near)[30:, 64]).all()


def test_cars_behind_the_camera_or_a_wall_are_not_seen(oval):
    viewer = oval.pose(12.6)
    for hidden in (oval.pose(12.2), oval.pose(oval.track.length_m / 2), oval.pose(4.0)):
        assert (oval.look(viewer) == oval.look(viewer, hidden)).all()


def test_the_camera_does_not_see_its_own_body(oval):
    alone = oval.look(oval.pose(1.0), width=64, colour=(255, 255, 255))
    assert is_like(alone[-1, 20:44], BLUE).all()


def test_edges_are_antialiased(oval):
    """Between wall and sky there are pixels half of each."""
    picture = oval.look(oval.pose(12.6))
    half = (np.array(WALL) + np.array(camera_module.SKY_COLOUR)) / 2
    assert is_like(picture[:24], half, 2).sum() > 20


def test_each_viewer_sees_its_own_world_with_its_own_camera(oval):
    """Poses, views and looks of several viewers in one call are those of separate calls."""
    poses = np.full((3, 8, 5), np.nan)
    for k in range(3):
        for slot in (1, 4, 6):
            poses[k, slot, :3] = oval.pose(12.0 + 0.4 * slot + 0.1 * k, 0.05 * k)
    looks = [STANDARD_LOOK, Look(roll_rad=0.1, light=0.7), Look(noise=5.0, noise_key=9)]
    colours, viewers = np.full((8, 3), 200.0), [4, 1, 6]
    together = oval.camera.render(64, viewers, poses, colours, looks, 7)
    assert together.shape == (3, 40, 64, 3) and together.dtype == np.uint8
    for k in range(3):
        alone = oval.camera.render(64, viewers[k : k + 1], poses[k : k + 1], colours, looks[k : k + 1], 7)
        assert (together[k] == alone[0]).all()


def test_a_camera_rolled_clockwise_sees_the_road_turn_counterclockwise(oval):
    """The wall's top straight across the road: level for a level camera, and by the roll's angle higher on the right."""
    pose = oval.pose(0.3, 0.3, -math.pi / 2)

    def tops(look):
        return np.argmax(is_like(oval.look(pose, look=look), WALL, 1), axis=0)

    assert np.ptp(tops(STANDARD_LOOK)) <= 1
    rise_px = tops(Look(roll_rad=0.1))[20] - tops(Look(roll_rad=0.1))[107]
    assert rise_px == pytest.approx(87 * math.tan(0.1), abs=2)


def test_a_camera_turned_right_is_a_car_turned_right_about_its_camera(oval):
    x, z, heading = oval.pose(12.6)
    turn = 0.12
    eye_x, eye_z = x + 0.095 * math.sin(heading), z + 0.095 * math.cos(heading)
    turned = (eye_x - 0.095 * math.sin(heading + turn), eye_z - 0.095 * math.cos(heading + turn), heading + turn)
    close = is_like(oval.look((x, z, heading), look=Look(yaw_rad=turn)), oval.look(turned), 8)
    assert close.mean() > 0.97
    assert is_like(oval.look((x, z, heading)), oval.look(turned), 8).mean() < 0.9


def test_a_camera_pitched_down_moves_the_horizon_up(oval):
    x, z, heading = oval.pose(12.9)
    for pitch_rad in (-0.05, 0.08):
        picture = oval.look((x, z, heading), look=Look(pitch_rad=pitch_rad))
        horizon = 40 - FOCAL_PX * math.tan(math.radians(11) + pitch_rad)
        first_bright = np.nonzero((picture.max(axis=-1) > 100).any(axis=1))[0].min()
        assert math.floor(horizon) <= first_bright <= horizon + 4


def test_a_higher_camera_sees_the_floor_from_higher(oval):
    """The edge of blue at row 40, as above, 0.03 m higher: nearer to the middle."""
    picture = oval.look(oval.pose(12.6), look=Look(height_m=0.03))
    below = math.radians(11) + math.atan((40.5 - 40) / FOCAL_PX)
    along_axis_m = 0.098 / math.sin(below) * math.cos(below - math.radians(11))
    column = 64 + (171 / 256 - 0.5) * 0.9 / along_axis_m * FOCAL_PX
    assert np.nonzero(is_like(picture[40], BLUE, 30))[0].max() == pytest.approx(column - 1, abs=1.5)


def test_light_and_noise_come_after_painting(oval):
    plain, dark = oval.look(oval.pose(12.6)), oval.look(oval.pose(12.6), look=Look(light=0.7))
    assert np.abs(dark - 0.7 * plain).max() < 0.501
    noisy = Look(noise=8.0, noise_key=3)
    first, again, later = (oval.look(oval.pose(12.6), look=noisy, frame=frame) for frame in (5, 5, 6))
    assert (first == again).all()
    assert (first != later).any()
    assert 5 < (first - plain).std() < 9


def test_a_car_beside_reaches_to_the_edge(oval):
    """Part of its box is behind the camera."""
    viewer, beside = oval.pose(12.6), oval.pose(12.75, -0.13)
    changed = (oval.look(viewer) != oval.look(viewer, beside)).any(axis=-1)
    columns = np.nonzero(changed.any(axis=0))[0]
    assert columns.min() == 0 and 20 < columns.max() < 64
    assert changed[25, : columns.max() - 5].all()


def test_a_camera_in_another_car_looks_through_it(oval):
    """Cars that pass through each other: as in Unity, a box is seen from outside only."""
    viewer = oval.pose(12.6)
    assert (oval.look(viewer, viewer) == oval.look(viewer)).all()


@pytest.mark.parametrize("name", ["default", "twisty", "long"])
def test_every_place_of_every_track_can_be_seen(name):
    scene = Scene(name)
    for arc_m in np.arange(0, scene.track.length_m, 0.5):
        for offset_m in (-0.3, 0.0, 0.3):
            for turned_rad in (0.0, 1.5, 3.0):
                picture = scene.look(scene.pose(arc_m, offset_m, turned_rad), width=32)
                assert picture[0].max() < 100
                assert picture[-1].max() < 250
