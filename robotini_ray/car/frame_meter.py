"""Measures the rate at which a car's camera frames arrive."""

from __future__ import annotations

import time

LATE_S = 1.5 / 60
"""The interval in seconds after which a frame counts as late: one and a half frame times after the previous frame."""

WINDOW_S = 1.0


class FrameMeter:
    """Counts the frames of one car and the late ones among them, and measures the time since the last frame."""

    def __init__(self) -> None:
        self.per_s = 0.0
        """Frames per second of wall time, over roughly the last second."""
        self.late_share = 0.0
        """The share of late frames among them, from 0 to 1."""
        self._received = self._late = 0
        self._untaken = self._untaken_late = 0
        self._last_s = self._window_s = time.monotonic()

    def take(self, frames: int) -> None:
        """Counts frames that have just arrived together; at most the first of them is late.

        Args:
            frames: The number of frames.
        """
        now_s = time.monotonic()
        self._received += frames
        self._untaken += frames
        if now_s - self._last_s > LATE_S:
            self._late += 1
            self._untaken_late += 1
        self._last_s = now_s

    def take_counts(self) -> tuple[int, int]:
        """Returns the number of frames since the last call, and the number of late ones among them."""
        counts = self._untaken, self._untaken_late
        self._untaken = self._untaken_late = 0
        return counts

    def silence_s(self) -> float:
        """Returns the seconds since the last frame, or since the last ``excuse_silence`` if that is more recent."""
        return time.monotonic() - self._last_s

    def excuse_silence(self) -> None:
        """Restarts the measurement of silence, because no frame was due until now."""
        self._last_s = time.monotonic()

    def measure(self) -> None:
        """Updates ``per_s`` and ``late_share`` if a second has passed since the last update; call it regularly."""
        now_s = time.monotonic()
        elapsed_s = now_s - self._window_s
        if elapsed_s >= WINDOW_S:
            self.per_s = self._received / elapsed_s
            self.late_share = self._late / self._received if self._received else 0.0
            self._received = self._late = 0
            self._window_s = now_s
