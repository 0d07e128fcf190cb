"""How much processor time another process has used."""

from __future__ import annotations

import time

_WHOLE_PROCESS = 0b010
"""Kind of a clock, in Linux's numbers of clocks: what the scheduler has charged to all threads of a process, in nanoseconds."""


def cpu_time_s(pid: int) -> float:
    """User and system time of all threads of a process, those that have ended included.

    It is read from the process's own clock, whose number is made as in glibc's ``clock_getcpuclockid``.

    Raises:
        FileNotFoundError: there is no such process.
    """
    try:
        return time.clock_gettime((~pid << 3) | _WHOLE_PROCESS)
    except OSError as error:
        raise FileNotFoundError(f"there is no process {pid}") from error
