"""Keeps what cameras need to know about the cars: their poses in the last few frames, and their colours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from robotini_ray.simulator.world import physics

MAX_LATENCY_FRAMES = 4
POSE_COLUMNS = 5  # x, z, heading, y, pitch


class PoseHistory:
    """The poses of the cars in the current frame and the ``MAX_LATENCY_FRAMES`` before it, and their colours.

    Args:
        capacity: The number of slots.
    """

    def __init__(self, capacity: int) -> None:
        self._poses = np.full((MAX_LATENCY_FRAMES + 1, capacity, POSE_COLUMNS), np.nan)
        self._colours = np.zeros((capacity, 3))

    def record(self, frame: int, motion: NDArray[Any]) -> None:
        """Records the poses of the present cars at ``frame``; has to be called for every frame."""
        physics.copy_poses(motion, self._poses[frame % len(self._poses)])

    def appear(self, frame: int, slot: int, colour: str, motion: NDArray[Any]) -> None:
        """Adds a new car, as if it had stood in its place in all recorded frames, so that its first pictures show it there."""
        self.record(frame, motion)
        self._poses[:, slot] = self._poses[frame % len(self._poses), slot]
        self._colours[slot] = parse_colour(colour)

    def vanish(self, slot: int) -> None:
        """Removes a car from all recorded frames, so that later pictures do not show it even if they are of earlier frames."""
        self._poses[:, slot] = np.nan

    def colours(self, slots: int) -> NDArray[np.float64]:
        """Returns red, green and blue (0..255) of the cars, ``<float64>[slots, 3]``."""
        return self._colours[:slots]

    def poses(self, frame: int, latencies_frames: list[int], slots: int) -> NDArray[np.float64]:
        """Returns the poses that viewers with these latencies see at ``frame``.

        Args:
            frame: The current frame.
            latencies_frames: The latency of each viewer in frames, 0..``MAX_LATENCY_FRAMES``.
            slots: The number of slots to return.

        Returns:
            The poses (x, z, heading, y, pitch), ``<float64>[viewers, slots, 5]``; NaN where there is no car.
        """
        rows = [(frame - latency) % len(self._poses) for latency in latencies_frames]
        return self._poses[rows, :slots]


def parse_colour(text: str) -> tuple[int, int, int]:
    """Returns red, green and blue (0..255) of a string ``#rrggbb``; grey for any other string."""
    try:
        red, green, blue = bytes.fromhex(text.removeprefix("#"))
    except ValueError:
        return 128, 128, 128
    return red, green, blue
