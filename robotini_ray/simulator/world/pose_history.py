"""What cameras are told of the world: where every car was in the last few frames, and its colour."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from robotini_ray.simulator.world import physics

MAX_LATENCY_FRAMES = 4
POSE_COLUMNS = 5  # x, z, heading, y, pitch


class PoseHistory:
    """The poses of up to `capacity` cars in the frame that is going on and the four before it."""

    def __init__(self, capacity: int) -> None:
        self._poses = np.full((MAX_LATENCY_FRAMES + 1, capacity, POSE_COLUMNS), np.nan)
        self._colours = np.zeros((capacity, 3))

    def record(self, frame: int, motion: NDArray[Any]) -> None:
        """Note where the cars are at `frame`; has to be called for every frame."""
        physics.copy_poses(motion, self._poses[frame % len(self._poses)])

    def appear(self, frame: int, slot: int, colour: str, motion: NDArray[Any]) -> None:
        """A new car has always been where it stands: its own first pictures show it there."""
        self.record(frame, motion)
        self._poses[:, slot] = self._poses[frame % len(self._poses), slot]
        self._colours[slot] = parse_colour(colour)

    def vanish(self, slot: int) -> None:
        """Nobody sees the car any more, not even in pictures of earlier frames."""
        self._poses[:, slot] = np.nan

    def colours(self, slots: int) -> NDArray[np.float64]:
        """float64[slots, 3]: red, green and blue of the cars, 0..255."""
        return self._colours[:slots]

    def poses(self, frame: int, latencies_frames: list[int], slots: int) -> NDArray[np.float64]:
        """float64[viewers, slots, 5]: the world as viewers of these latencies see it at `frame`; NaN where is no car."""
        rows = [(frame - latency) % len(self._poses) for latency in latencies_frames]
        return self._poses[rows, :slots]


def parse_colour(text: str) -> tuple[int, int, int]:
    """Red, green and blue of `#rrggbb`; grey for anything else."""
    try:
        red, green, blue = bytes.fromhex(text.removeprefix("#"))
    except ValueError:
        return 128, 128, 128
    return red, green, blue
