"""The camera that suits a track."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robotini_ray.simulator.camera import Camera
from robotini_ray.track import Track

if TYPE_CHECKING:
    from robotini_ray.simulator.hilly_camera import HillyCamera


def make_camera(track: Track) -> Camera | HillyCamera:
    """The fast camera where the ground is flat, the general one where it has height; both render alike."""
    if track.is_flat:
        return Camera(track)
    from robotini_ray.simulator.hilly_camera import HillyCamera

    return HillyCamera(track)
