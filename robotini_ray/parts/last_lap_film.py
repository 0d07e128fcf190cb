"""Collects the camera pictures of the last whole lap and puts some of them into one strip."""

from __future__ import annotations

import cv2
import numpy as np

from robotini_ray.car.protocol import image_height
from robotini_ray.environment.observation import decode_png

STRIP_FRAMES = 12
MOST_KEPT = 240
"""The most pictures kept of one lap; of a longer lap every second picture is kept, then every fourth, and so on."""


class LastLapFilm:
    """Keeps the pictures of the lap under way and of the last finished one, as the PNGs that were received."""

    def __init__(self) -> None:
        self._last: list[bytes] = []
        self._frames: list[bytes] = []
        self._laps = 0
        self._lap_time_s = 0.0
        self._seen, self._stride = 0, 1

    def take(self, laps: int, lap_time_s: float | None, png: bytes) -> None:
        """Adds the newest picture.

        Args:
            laps: The number of flying laps finished so far.
            lap_time_s: The game time since the lap under way began, in seconds; None if there is none.
            png: The picture.
        """
        if laps > self._laps:
            self._last = self._frames
        if laps > self._laps or lap_time_s is None or lap_time_s < self._lap_time_s:
            self._begin()
        self._laps = laps
        if lap_time_s is None:
            return
        self._lap_time_s = lap_time_s
        if self._seen % self._stride == 0:
            self._frames.append(png)
        self._seen += 1
        if len(self._frames) > MOST_KEPT:
            self._frames = self._frames[::2]
            self._stride *= 2

    def strip(self, width: int) -> bytes:
        """Returns a PNG of 12 pictures side by side, evenly spaced over the last finished lap; empty if there is none.

        Args:
            width: The width of a camera picture in pixels.

        Raises:
            BadFrame: A picture cannot be decoded or has another size.
        """
        if not self._last:
            return b""
        chosen = np.linspace(0, len(self._last) - 1, STRIP_FRAMES).round().astype(int)
        pictures = [decode_png(self._last[index], width, image_height(width)) for index in chosen]
        strip = cv2.cvtColor(np.concatenate(pictures, axis=1), cv2.COLOR_RGB2BGR)
        return cv2.imencode(".png", strip)[1].tobytes()

    def _begin(self) -> None:
        self._frames = []
        self._lap_time_s = 0.0
        self._seen, self._stride = 0, 1
