"""How much processor time another process has used."""

from __future__ import annotations

import os
from pathlib import Path

CLOCK_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_time_s(pid: int) -> float:
    """User and system time of all threads of a process, in steps of a hundredth of a second (proc(5), /proc/PID/stat).

    Raises:
        FileNotFoundError: there is no such process.
    """
    text = Path(f"/proc/{pid}/stat").read_text()
    fields = text.rpartition(")")[2].split()  # the program's name, in brackets, may hold spaces; field 3 follows it
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS_PER_S
