"""Waiting for conditions, with a deadline that only a broken program meets."""

from __future__ import annotations

import time
from collections.abc import Callable

LONG_S = 120.0


def eventually(holds: Callable[[], bool], what: str, timeout_s: float = LONG_S) -> None:
    """Returns when the condition holds."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"waited {timeout_s:g} s in vain: {what}"
        time.sleep(0.05)
