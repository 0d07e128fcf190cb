"""Decides how long a part may take to start: as long as its process uses its processor."""

from __future__ import annotations

import time
from collections.abc import Callable

from robotini_ray.machine.processes import identify
from robotini_ray.machine.progress_watch import ProgressWatch

START_TIMEOUT_S = 120.0
"""The longest time in which a part that is starting on this machine has no process or makes no progress."""

FAR_START_TIMEOUT_S = 300.0
"""The longest time from a part's start until it is constructed, if it may be on another node, where it cannot be seen.

A part that loses its place in the cluster meanwhile is started again after this time.
"""

PROGRESS_CPU_S = 2.0
"""The processor time in ``START_TIMEOUT_S`` that counts as progress.

The threads of Ray in a process that only waits use 0.4 s; a process that imports gets more even from a very busy machine.
"""

LOOK_INTERVAL_S = 1.0


class StartWatch:
    """Watches one start of a part, from now on.

    Args:
        find: Returns the part's process if it is on this machine and there is one yet.
        is_alone: Returns whether this machine is the only one on which the part may be.
    """

    def __init__(self, find: Callable[[], int | None], is_alone: Callable[[], bool]) -> None:
        self._find = find
        self._is_alone = is_alone
        self._began = time.monotonic()
        self._next_look_at = self._began + LOOK_INTERVAL_S
        self._watch: ProgressWatch | None = None

    def failure(self) -> str | None:
        """Returns why the start has failed, None while the part is waited for."""
        now = time.monotonic()
        if now < self._next_look_at:
            return None
        self._next_look_at = now + LOOK_INTERVAL_S
        if self._watch is None or identify(self._watch.process_id) is None:  # Ray may have put another in its place
            process_id = self._find()
            self._watch = None if process_id is None else ProgressWatch(process_id, START_TIMEOUT_S, PROGRESS_CPU_S)
        if self._watch is not None:
            return self._standstill(self._watch)
        limit_s = START_TIMEOUT_S if self._is_alone() else FAR_START_TIMEOUT_S
        if now - self._began <= limit_s:
            return None
        return f"it has not started in {limit_s:g} s; `ray status` shows what is missing"

    @staticmethod
    def _standstill(watch: ProgressWatch) -> str | None:
        if not watch.stands_still():
            return None
        return f"it has not started, and its process {watch.process_id} has hardly used a processor for {START_TIMEOUT_S:g} s"
