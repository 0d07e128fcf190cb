"""Ctrl-C and SIGTERM, remembered for whoever waits."""

from __future__ import annotations

import signal
from types import FrameType


class StopSignal:
    """Remembers Ctrl-C and SIGTERM; whoever waits looks here."""

    def __init__(self) -> None:
        self.number = 0

    def install(self) -> None:
        """Takes both signals over."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._take)

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.number = self.number or number

    def __bool__(self) -> bool:
        return self.number != 0


class Stopped(Exception):
    """A stop signal came while the program was starting."""
