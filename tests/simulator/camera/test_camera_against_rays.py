"""The camera against a slow one that shares none of its formulas: every sample's ray meets floor, walls and boxes exactly."""

import itertools
import math

import cv2
import numpy as np
import pytest

from robotini_ray.simulator.camera.flat_camera import FlatCamera
from robotini_ray.simulator.world.randomisation import STANDARD_LOOK, Look
from robotini_ray.track.track import load_track

SKY, WALL, FLOOR, CAR = range(4)
SKY_COLOUR, WALL_COLOUR = (52, 62, 80), (30, 26, 23)
BLACK, RED, BLUE, GREEN = range(4)
LIT = np.array([(30, 26, 23), (238, 57, 98), (66, 108, 156), (62, 217, 142)])
SHADED = np.array([(18, 16, 15), (135, 39, 64), (39, 63, 90), (37, 129, 89)])
STRIPES = ((0, BLACK), (14, RED), (80, BLACK), (85, BLUE), (171, BLACK), (176, GREEN), (241, BLACK), (256, BLACK))
TO_SUN = np.array((0.2265, 0.5392, 0.8112))
WALL_HEIGHT_M = 0.15


def turned(vectors, axis, angle_rad):
    """Rodrigues' rotation of vectors about an axis, for coordinates x right, y up, z ahead (left-handed): clockwise."""
    axis = np.asarray(axis, float)
    along = np.asarray([np.dot(vector, axis) * axis for vector in vectors])
    across = np.asarray(vectors) - along
    return along + across * math.cos(angle_rad) + np.cross(axis, across) * math.sin(angle_rad)


class RayCaster:
    """What a pinhole camera sees of a flat track: classes and colours of both samples of every pixel."""

    def __init__(self, track):
        self.points = track.points
        self.chords = np.roll(track.points, -1, axis=0) - track.points
        rights = np.stack([np.cos(track.headings_rad), -np.sin(track.headings_rad)], axis=1)
        self.walls = [track.points + side * 0.44 * rights for side in (-1, 1)]
        self.start = track.pose(0.0)

    def look(self, width, viewer, others, colour, look):
        height = width * 80 // 128
        focal = height / 2 / math.tan(math.radians(48.8 / 2))
        right, up, ahead = np.eye(3)
        right, ahead = turned([right, ahead], up, look.yaw_rad)
        up, ahead = turned([up, ahead], right, math.radians(11) + look.pitch_rad)
        right, up = turned([right, up], ahead, -look.roll_rad)
        axes = turned([right, up, ahead], (0, 1, 0), viewer[2])
        eye = np.array((viewer[0], 0.068 + look.height_m, viewer[1])) + turned([(0, 0, 0.095)], (0, 1, 0), viewer[2])[0]
        kinds, colours = [], []
        for place in (0.25, 0.75):
            rows, columns = np.mgrid[0:height, 0:width] + place
            rays = (
                np.stack([(columns - width / 2) / focal, (height / 2 - rows) / focal, np.ones((height, width))], axis=-1) @ axes
            )
            kind, seen = self._trace(eye, rays.reshape(-1, 3), others, colour)
            kinds.append(kind.reshape(height, width))
            colours.append(seen.reshape(height, width, 3))
        return np.array(kinds), np.array(colours)

    def _trace(self, eye, rays, others, colour):
        wall = self._to_wall(np.tile(eye, (len(rays), 1)), rays)
        floor = np.where(rays[:, 1] < 0, -eye[1] / np.minimum(rays[:, 1], -1e-12), np.inf)
        meets_wall = (wall < floor) & (eye[1] + wall * rays[:, 1] < WALL_HEIGHT_M)
        kind = np.where(meets_wall, WALL, np.where(np.isfinite(floor) & (floor < wall), FLOOR, SKY))
        seen = np.where((kind == WALL)[:, None], WALL_COLOUR, SKY_COLOUR)
        on_floor = kind == FLOOR
        seen[on_floor] = self._floor(eye + floor[on_floor, None] * rays[on_floor])
        nearest = np.minimum(wall, floor)  # a car that sky is seen over stands before the wall as well
        for other in others:
            reach, light = self._to_box(eye, rays, other)
            hit = reach < nearest
            nearest = np.where(hit, reach, nearest)
            kind = np.where(hit, CAR, kind)
            seen = np.where(hit[:, None], np.floor(np.array(colour) * (0.38 * light[:, None])), seen)
        return kind, seen

    def _to_wall(self, starts, rays):
        """Distance along each ray to the first wall in the plan."""
        best = np.full(len(rays), np.inf)
        for wall in self.walls:
            for begin, end in zip(wall, np.roll(wall, -1, axis=0), strict=True):
                edge = end - begin
                cross = rays[:, 0] * edge[1] - rays[:, 2] * edge[0]
                cross = np.where(cross == 0, 1e-15, cross)
                gap_x, gap_z = begin[0] - starts[:, 0], begin[1] - starts[:, 2]
                reach = (gap_x * edge[1] - gap_z * edge[0]) / cross
                part = (gap_x * rays[:, 2] - gap_z * rays[:, 0]) / cross
                best = np.where((reach > 1e-9) & (part >= 0) & (part <= 1) & (reach < best), reach, best)
        return best

    def _floor(self, places):
        """Colours of points of the floor: stripes by the distance from the nearest chord, shadow, finish line."""
        nearest, offsets = np.full(len(places), np.inf), np.zeros(len(places))
        for point, chord in zip(self.points, self.chords, strict=True):
            gap = places[:, [0, 2]] - point
            part = np.clip(gap @ chord / (chord @ chord), 0, 1)
            away = np.hypot(*(gap - part[:, None] * chord).T)
            side = np.sign(gap[:, 0] * chord[1] - gap[:, 1] * chord[0])
            offsets = np.where(away < nearest, side * away, offsets)
            nearest = np.minimum(nearest, away)
        across = np.clip((offsets / 0.9 + 0.5) * 256, 0, 255.99)
        stripe = np.zeros(len(places), int)
        for (low, name), (high, _) in itertools.pairwise(STRIPES):
            stripe[(across >= low) & (across < high)] = name
        to_wall = self._to_wall(places, np.tile(TO_SUN, (len(places), 1)))
        shaded = to_wall * TO_SUN[1] < WALL_HEIGHT_M
        colours = np.where(shaded[:, None], SHADED[stripe], LIT[stripe])
        x, z, heading = self.start
        ahead = (places[:, 0] - x) * math.sin(heading) + (places[:, 2] - z) * math.cos(heading)
        right = (places[:, 0] - x) * math.cos(heading) - (places[:, 2] - z) * math.sin(heading)
        dash = (np.abs(ahead) < 0.0125) & (np.abs(right) < 0.45) & (np.floor(right / 0.05) % 2 == 0)
        return np.where(dash[:, None], SHADED[BLACK], colours)

    @staticmethod
    def _to_box(eye, rays, pose):
        """Distance to a car's box, infinite if it is missed, and how light the face is that is met."""
        eye = turned([eye - (pose[0], 0, pose[1])], (0, 1, 0), -pose[2])[0]
        rays = np.where(np.abs(rays) < 1e-12, 1e-12, turned(rays, (0, 1, 0), -pose[2]))
        low, high = np.array((-0.06, 0.012, -0.13)), np.array((0.06, 0.095, 0.13))
        first, second = (low - eye) / rays, (high - eye) / rays
        enters, leaves = np.minimum(first, second), np.maximum(first, second).min(axis=1)
        enter = enters.max(axis=1)
        return np.where((enter < leaves) & (enter > 0), enter, np.inf), np.array((0.75, 1.0, 0.6))[enters.argmax(axis=1)]


def rounded_rectangle(radius_m):
    """Nodes of a track of 3 by 2.2 m, clockwise, with its corners on quarter circles."""
    handle_m = radius_m * 4 / 3 * math.tan(math.pi / 8)
    corners = [(0, radius_m, 0), (0, 2.2 - radius_m, 0), (radius_m, 2.2, 90), (3 - radius_m, 2.2, 90)]
    corners += [(3 - x, 2.2 - z, turn_deg + 180) for x, z, turn_deg in corners]
    return [(x, 0, z, math.radians(turn_deg), handle_m, 0) for x, z, turn_deg in corners]


@pytest.fixture(scope="module")
def tracks(make_track):
    return {"default": load_track("default"), "tight": make_track("tight", rounded_rectangle(0.39))}


TILTED = Look(pitch_rad=0.05, roll_rad=0.12, yaw_rad=-0.1, height_m=0.03)
# Track, place along it, right of it, turned from it, where other cars are, the camera, and the picture's width.
VIEWS = {
    "straight on": ("default", 1.0, 0.0, 0.0, (), STANDARD_LOOK, 64),
    "across the road": ("default", 4.9, -0.2, 1.4, (), STANDARD_LOOK, 64),
    "other legs behind the wall": ("default", 8.9, 0.1, 2.2, (), STANDARD_LOOK, 64),
    "finish line": ("default", -0.45, 0.05, 0.1, (), STANDARD_LOOK, 64),
    "a car ahead and one beside": ("default", 12.0, 0.0, 0.1, ((0.6, 0.1, 0.7), (0.16, -0.14, 0.1)), STANDARD_LOOK, 64),
    "a car half behind a wall": ("default", 7.5, 0.3, 0.0, ((1.2, 0.3, 0.0),), STANDARD_LOOK, 128),
    "tilted": ("default", 6.0, 0.1, -0.2, ((0.5, -0.1, -0.4),), TILTED, 64),
    "rolled the other way": ("default", 15.0, -0.1, 0.3, ((0.8, 0.1, 0.0),), Look(roll_rad=-0.17, yaw_rad=0.17), 32),
    "low and pitched up": ("default", 10.0, 0.0, 0.0, ((0.5, 0.0, 0.2),), Look(pitch_rad=-0.1, height_m=-0.02), 32),
    "into a tight bend": ("tight", 0.9, 0.1, 0.1, (), STANDARD_LOOK, 64),
    "in a tight bend": ("tight", 1.7, 0.0, 0.3, ((0.5, 0.0, 0.0),), STANDARD_LOOK, 64),
    "to the inside of a tight bend": ("tight", 1.75, -0.1, 1.5, (), TILTED, 64),
}


@pytest.mark.parametrize("view", VIEWS)
def test_nearly_all_pixels_are_what_their_rays_meet(tracks, view):
    name, arc_m, offset_m, turned_rad, others, look, width = VIEWS[view]
    track, colour = tracks[name], (200.0, 100.0, 50.0)

    def place(arc_m, offset_m, turned_rad):
        x, z, heading = track.pose(arc_m)
        return x + offset_m * math.cos(heading), z - offset_m * math.sin(heading), heading + turned_rad

    poses = np.full((1, 4, 5), np.nan)
    poses[0, 0, :3] = place(arc_m, offset_m, turned_rad)
    for slot, (ahead_m, right_m, turn) in enumerate(others):
        poses[0, 1 + slot, :3] = place(arc_m + ahead_m, right_m, turn)
    picture = FlatCamera(track).render(width, [0], poses, np.tile(colour, (4, 1)), [look], 0)[0, ..., ::-1].astype(int)
    seen = [pose[:3] for pose in poses[0, 1 : 1 + len(others)]]
    kinds, colours = RayCaster(track).look(width, poses[0, 0, :3], seen, colour, look)
    inside = (np.abs(colours[0] - colours[1]).max(axis=-1) == 0) & (spread(colours[0]) == 0)
    wrong = inside & (np.abs(picture - colours[0]).max(axis=-1) > 8)
    assert inside.mean() > 0.6
    assert wrong.sum() <= 4, "within the areas of one colour, all but a few pixels are as they should be"
    edges = np.isin(kinds, (SKY, WALL)).all(axis=0) & (kinds[0] != kinds[1])
    assert (np.abs(picture - colours.mean(axis=0)).max(axis=-1)[edges] <= 1).mean() > 0.7, "half sky, half wall"


def spread(colours):
    """How much the colours around each pixel differ."""
    parts = colours.astype(np.float32)
    return (cv2.dilate(parts, np.ones((3, 3))) - cv2.erode(parts, np.ones((3, 3)))).max(axis=-1)
