"""Reads the processor time that another process has used."""

from __future__ import annotations

import time

_WHOLE_PROCESS = 0b010
"""Clock type in Linux's clock ids: the time that the scheduler has charged to all threads of a process, in nanoseconds."""


def cpu_time_s(pid: int) -> float:
    """Returns the user and system time of all threads of a process, including threads that have ended.

    The time is read from the process's own clock, whose id is computed as in glibc's ``clock_getcpuclockid``.

    Raises:
        FileNotFoundError: There is no such process.
    """
    try:
        return time.clock_gettime((~pid << 3) | _WHOLE_PROCESS)
    except OSError as error:
        raise FileNotFoundError(f"there is no process {pid}") from error
