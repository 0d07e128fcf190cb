"""How fast a car's camera frames come."""

from __future__ import annotations

import time

LATE_S = 1.5 / 60
"""A frame is late when it comes this long after the one before: half a frame time more than it should take."""

WINDOW_S = 1.0


class FrameMeter:
    """Counts the frames of one car, those that came late, and the time without any."""

    def __init__(self) -> None:
        self.per_s = 0.0
        """Frames a second of wall time, over the last second or so."""
        self.late_share = 0.0
        """Share of late ones among them."""
        self._received = self._late = 0
        self._last_s = self._window_s = time.monotonic()

    def take(self, frames: int) -> None:
        """So many frames have come just now."""
        now_s = time.monotonic()
        self._received += frames
        if now_s - self._last_s > LATE_S:
            self._late += 1
        self._last_s = now_s

    def silence_s(self) -> float:
        """Time since the last frame, or since the silence was excused."""
        return time.monotonic() - self._last_s

    def excuse_silence(self) -> None:
        """No frame was due until now."""
        self._last_s = time.monotonic()

    def measure(self) -> None:
        """Brings ``per_s`` and ``late_share`` up to date, once a second; to be called now and then."""
        now_s = time.monotonic()
        elapsed_s = now_s - self._window_s
        if elapsed_s >= WINDOW_S:
            self.per_s = self._received / elapsed_s
            self.late_share = self._late / self._received if self._received else 0.0
            self._received = self._late = 0
            self._window_s = now_s
