"""Watches whether a process makes progress: a limit that looks at its processor time and not at the clock."""

from __future__ import annotations

import time

from robotini_ray.machine.processes import cpu_time_s


class ProgressWatch:
    """Watches one process, from now on.

    Args:
        process_id: The process, on this machine.
        patience_s: The longest time without progress, in seconds of wall time.
        progress_cpu_s: The processor time that counts as progress, in seconds.
    """

    def __init__(self, process_id: int, patience_s: float, progress_cpu_s: float) -> None:
        self.process_id = process_id
        self._patience_s = patience_s
        self._progress_cpu_s = progress_cpu_s
        self._begin()

    def is_stuck(self) -> bool:
        """Returns whether the process has used less processor time than counts as progress, for ``patience_s``."""
        if cpu_time_s(self.process_id) >= self._used_s + self._progress_cpu_s:
            self._begin()
        return time.monotonic() - self._since > self._patience_s

    def _begin(self) -> None:
        self._since, self._used_s = time.monotonic(), cpu_time_s(self.process_id)
