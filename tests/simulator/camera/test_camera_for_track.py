import pytest

from robotini_ray.shipped.files import shipped_tracks
from robotini_ray.simulator.camera.camera_for_track import make_camera
from robotini_ray.simulator.camera.flat_camera import FlatCamera
from robotini_ray.simulator.camera.hilly_camera import HillyCamera
from robotini_ray.track.track import load_track


@pytest.mark.parametrize("name", shipped_tracks())
def test_flat_tracks_have_the_fast_camera(name):
    assert type(make_camera(load_track(name))) is FlatCamera


def test_tracks_with_height_have_the_general_one(bridge_track):
    assert type(make_camera(bridge_track)) is HillyCamera
