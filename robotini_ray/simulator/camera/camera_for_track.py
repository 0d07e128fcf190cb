"""Selects the camera that suits a track."""

from __future__ import annotations

from robotini_ray.simulator.camera.flat_camera import FlatCamera
from robotini_ray.simulator.camera.hilly_camera import HillyCamera
from robotini_ray.track.track import Track


def make_camera(track: Track) -> FlatCamera | HillyCamera:
    """Returns the fast camera for a flat track and the general one for a track with height.

    Both render alike and have the same interface.
    """
    return FlatCamera(track) if track.is_flat else HillyCamera(track)
