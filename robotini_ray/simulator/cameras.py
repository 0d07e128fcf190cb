"""The camera that suits a track."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robotini_ray.line import WALL_OFFSET_M
from robotini_ray.simulator.camera import Camera
from robotini_ray.track import Track

if TYPE_CHECKING:
    from robotini_ray.simulator.hilly_camera import HillyCamera


def make_camera(track: Track) -> Camera | HillyCamera:
    """The fast camera where the ground is flat, the general one where it has height; both render alike.

    Where walls of two legs cross, a map of the ground cannot say which wall stands where, and the general one is right.
    """
    if track.is_flat and track.line.narrowest_m == WALL_OFFSET_M:
        return Camera(track)
    from robotini_ray.simulator.hilly_camera import HillyCamera

    return HillyCamera(track)
