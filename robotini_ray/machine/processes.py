"""Reads the processes of this machine from /proc and identifies them although process ids are reused."""

from __future__ import annotations

import dataclasses
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROC = Path("/proc")
CLOCK_TICKS_PER_S = os.sysconf("SC_CLK_TCK")

# Indices of fields in /proc/PID/stat, counted after the command's name, which may contain brackets and blanks.
_STATE, _PARENT, _SESSION, _USER_TICKS, _KERNEL_TICKS, _START_TICKS = 0, 1, 3, 11, 12, 19


@dataclasses.dataclass(frozen=True)
class ProcessId:
    """Identifies one process among all that ever had its process id."""

    pid: int
    start_ticks: int
    """Clock ticks from the start of the machine to the start of the process."""
    boot_id: str
    """Boot id of the machine; it changes with each start."""
    host: str

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> ProcessId:
        """Inverts ``dataclasses.asdict``; raises KeyError, TypeError or ValueError for anything else."""
        return cls(int(fields["pid"]), int(fields["start_ticks"]), str(fields["boot_id"]), str(fields["host"]))

    @property
    def is_here(self) -> bool:
        """Tells whether the process ran on this machine since its last start.

        The host name is compared too, because containers share the boot id but not the host name.
        """
        return self.boot_id == boot_id() and self.host == socket.gethostname()

    @property
    def is_alive(self) -> bool | None:
        """Tells whether the process runs; None if that cannot be seen because it is on another machine."""
        if not self.is_here:
            return False if self.host == socket.gethostname() else None
        return identify(self.pid) == self


@dataclasses.dataclass(frozen=True)
class ProcessStat:
    """Fields of /proc/PID/stat."""

    state: str
    """State as one letter; a process in state Z has ended and only waits for its parent."""
    parent: int
    session: int
    start_ticks: int
    cpu_ticks: int
    """Clock ticks of processor time, in user and kernel mode."""


def boot_id() -> str:
    """Returns the boot id of this machine, which changes with each start."""
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def identify(pid: int) -> ProcessId | None:
    """Returns the process that has this process id now, None if there is none or it has ended."""
    stat = process_stat(pid)
    if stat is None or stat.state in "ZX":
        return None
    return ProcessId(pid, stat.start_ticks, boot_id(), socket.gethostname())


def this_process() -> ProcessId:
    """Returns the calling process."""
    found = identify(os.getpid())
    assert found is not None
    return found


def process_stat(pid: int) -> ProcessStat | None:
    """Returns the fields of /proc/PID/stat, None if there is no such process."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    cpu_ticks = int(fields[_USER_TICKS]) + int(fields[_KERNEL_TICKS])
    return ProcessStat(fields[_STATE], int(fields[_PARENT]), int(fields[_SESSION]), int(fields[_START_TICKS]), cpu_ticks)


def cpu_time_s(pid: int) -> float:
    """Returns the processor time that a process has used so far, in seconds; 0 if there is no such process."""
    stat = process_stat(pid)
    return 0.0 if stat is None else stat.cpu_ticks / CLOCK_TICKS_PER_S


def own_processes() -> Iterator[int]:
    """Yields the ids of this user's processes in this PID namespace, zombies included.

    Processes inside containers are left out, because they have other ids there.
    """
    own_namespace = os.readlink(PROC / "self/ns/pid")
    for folder in PROC.iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            if folder.stat().st_uid == os.getuid() and os.readlink(folder / "ns/pid") == own_namespace:
                yield int(folder.name)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue


def environment_of(pid: int) -> dict[str, str]:
    """Returns the environment that a process was started with.

    It is empty if the process has ended, is not readable, or has overwritten its environment with its title.
    """
    try:
        content = (PROC / str(pid) / "environ").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return {}
    pairs = (entry.decode(errors="replace").partition("=") for entry in content.split(b"\0") if b"=" in entry)
    return {name: value for name, _, value in pairs}


def command_of(pid: int) -> str:
    """Returns the command line of a process as one line for messages; empty if the process has ended."""
    try:
        content = (PROC / str(pid) / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return " ".join(content.decode(errors="replace").replace("\0", " ").split())
