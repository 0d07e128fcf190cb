"""Watches whether a process makes progress: a limit that looks at its processor time and not at the clock alone."""

from __future__ import annotations

import time

from robotini_ray.machine.processes import cpu_time_s

PROGRESS_CPU_S = 0.05
"""Processor time, in seconds, that counts as progress of a child with a single task."""


class ProgressWatch:
    """Tells whether a process stands still, by its progress and not by the clock alone.

    A busy machine makes a process slow, but one that uses its processor, however little of it, comes to an end.

    Args:
        process_id: The process, on this machine.
        patience_s: The longest time without progress, in seconds of wall time.
        progress_cpu_s: The processor time that counts as progress, in seconds.
    """

    def __init__(self, process_id: int, patience_s: float, progress_cpu_s: float = PROGRESS_CPU_S) -> None:
        self.process_id = process_id
        self._patience_s = patience_s
        self._progress_cpu_s = progress_cpu_s
        self._used_s = cpu_time_s(process_id)
        self._deadline_s = time.monotonic() + patience_s

    def saw_progress(self) -> None:
        """Notes a sign of progress that only the caller sees, such as output."""
        self._deadline_s = time.monotonic() + self._patience_s

    def stands_still(self) -> bool:
        """Returns whether the process has made no progress for the patience; call it several times within that time."""
        now_s = time.monotonic()  # read first: after a pause of this process the other's progress counts, not the time
        used_s = cpu_time_s(self.process_id)
        if used_s >= self._used_s + self._progress_cpu_s:
            self._used_s, self._deadline_s = used_s, now_s + self._patience_s
        return now_s >= self._deadline_s
