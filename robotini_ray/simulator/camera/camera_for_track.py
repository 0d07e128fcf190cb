"""The camera that suits a track."""

from __future__ import annotations

from robotini_ray.simulator.camera.flat_camera import FlatCamera
from robotini_ray.simulator.camera.hilly_camera import HillyCamera
from robotini_ray.track.track import Track


def make_camera(track: Track) -> FlatCamera | HillyCamera:
    """The fast camera where the ground is flat, the general one where it has height; both render alike."""
    return FlatCamera(track) if track.is_flat else HillyCamera(track)
