"""Records Ctrl-C and SIGTERM for code that waits for a request to stop."""

from __future__ import annotations

import signal
import threading
from types import FrameType


class StopSignal:
    """Records the first Ctrl-C or SIGTERM; true once one came.

    Attributes:
        number: The number of the first signal, 0 before it.
        came: The event that is set when a signal comes, to wait for.
    """

    def __init__(self) -> None:
        self.number = 0
        self.came = threading.Event()

    def install(self) -> None:
        """Installs the handler for both signals; call it from the main thread."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._take)

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.number = self.number or number
        self.came.set()

    @property
    def exit_code(self) -> int:
        """Exit code of a program that the signal ended: 128 + its number, or 0 if no signal came."""
        return 128 + self.number if self.number else 0

    def __bool__(self) -> bool:
        return self.number != 0


class Stopped(Exception):
    """Raised if a stop signal comes while the program is starting."""
