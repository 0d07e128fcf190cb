"""The pose history gives cameras poses as old as each viewer's latency, and the cars' colours."""

import numpy as np
import pytest

from robotini_ray.simulator.world import physics
from robotini_ray.simulator.world.pose_history import PoseHistory, parse_colour


def moving(frame):
    """Two cars whose x is the frame's number."""
    motion = physics.parked_cars(3)
    motion["present"][:2] = True
    motion["x"] = frame
    return motion


def test_every_viewer_sees_the_world_of_its_own_latency():
    pose_history = PoseHistory(3)
    pose_history.appear(0, 0, "#ff0000", moving(0))
    pose_history.appear(0, 1, "#00ff00", moving(0))
    for frame in range(1, 12):
        pose_history.record(frame, moving(frame))
        poses = pose_history.poses(frame, [1, 2, 4], 2)
        assert poses.shape == (3, 2, 5)
        assert poses[:, :, 0].tolist() == [[max(0, frame - latency)] * 2 for latency in (1, 2, 4)]


def test_a_new_car_has_always_been_where_it_stands_and_others_moved():
    pose_history = PoseHistory(3)
    pose_history.appear(0, 0, "", moving(0)[:1])
    for frame in range(1, 9):
        pose_history.record(frame, moving(frame)[:1])
    assert np.isnan(pose_history.poses(8, [4], 2)[0, 1]).all()
    pose_history.appear(8, 1, "", moving(8))
    assert pose_history.poses(8, [4], 2)[0, :, 0].tolist() == [4, 8]


def test_a_car_that_is_gone_is_in_no_picture():
    pose_history = PoseHistory(3)
    pose_history.appear(0, 1, "", moving(0))
    pose_history.vanish(1)
    assert np.isnan(pose_history.poses(0, [1, 2, 3, 4], 2)[:, 1]).all()


def test_colours_are_by_slot():
    pose_history = PoseHistory(3)
    pose_history.appear(0, 1, "#010203", moving(0))
    assert pose_history.colours(2).tolist() == [[0, 0, 0], [1, 2, 3]]


@pytest.mark.parametrize(
    ("text", "colour"),
    [("#ff8000", (255, 128, 0)), ("ff8000", (255, 128, 0)), ("", (128,) * 3), ("#zz0000", (128,) * 3), ("#fff", (128,) * 3)],
)
def test_colours(text, colour):
    assert parse_colour(text) == colour
