"""Ctrl-C and SIGTERM, remembered for whoever waits."""

from __future__ import annotations

import signal
import threading
from types import FrameType


class StopSignal:
    """Remembers Ctrl-C and SIGTERM; whoever waits looks here, or waits for ``came``."""

    def __init__(self) -> None:
        self.number = 0
        self.came = threading.Event()

    def install(self) -> None:
        """Takes both signals over."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._take)

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.number = self.number or number
        self.came.set()

    @property
    def exit_code(self) -> int:
        """Of a program that it has ended: 128 + its number; 0 where none came."""
        return 128 + self.number if self.number else 0

    def __bool__(self) -> bool:
        return self.number != 0


class Stopped(Exception):
    """A stop signal came while the program was starting."""
