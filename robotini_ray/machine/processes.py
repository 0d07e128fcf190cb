"""Processes of this machine, read from /proc: which one is meant by a number that may have been given out again."""

from __future__ import annotations

import dataclasses
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROC = Path("/proc")
CLOCK_TICKS_PER_S = os.sysconf("SC_CLK_TCK")

# Of /proc/PID/stat behind the command's name, which may hold anything, brackets and blanks too.
_STATE, _PARENT, _SESSION, _START_TICKS = 0, 1, 3, 19


@dataclasses.dataclass(frozen=True)
class ProcessId:
    """One process among all that ever had its number."""

    pid: int
    start_ticks: int
    """Clock ticks from the machine's start to the process's."""
    boot_id: str
    """Of the machine, new with each of its starts."""
    host: str

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> ProcessId:
        """The inverse of ``dataclasses.asdict``. Raises KeyError, TypeError or ValueError for anything else."""
        return cls(int(fields["pid"]), int(fields["start_ticks"]), str(fields["boot_id"]), str(fields["host"]))

    @property
    def is_here(self) -> bool:
        """Whether it ran on this machine, since its last start. Containers share a boot but not their host's name."""
        return self.boot_id == boot_id() and self.host == socket.gethostname()

    @property
    def is_alive(self) -> bool | None:
        """Whether it runs; None if that cannot be seen from here, because it is on another machine."""
        if not self.is_here:
            return False if self.host == socket.gethostname() else None
        return identify(self.pid) == self


@dataclasses.dataclass(frozen=True)
class ProcessStat:
    """What /proc/PID/stat says."""

    state: str
    """One letter; Z has ended and only waits for its parent."""
    parent: int
    session: int
    start_ticks: int


def boot_id() -> str:
    """Of this machine since its last start."""
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def identify(pid: int) -> ProcessId | None:
    """The process that has this number now, None if there is none or it has ended."""
    stat = process_stat(pid)
    if stat is None or stat.state in "ZX":
        return None
    return ProcessId(pid, stat.start_ticks, boot_id(), socket.gethostname())


def this_process() -> ProcessId:
    """The one that calls."""
    found = identify(os.getpid())
    assert found is not None
    return found


def process_stat(pid: int) -> ProcessStat | None:
    """What the kernel says of a process, None if there is none."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return ProcessStat(fields[_STATE], int(fields[_PARENT]), int(fields[_SESSION]), int(fields[_START_TICKS]))


def own_processes() -> Iterator[int]:
    """The numbers of all processes of this user, zombies among them; those in containers have other numbers inside."""
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
    """The environment that a process was started with; empty if it has ended or has written its title over it."""
    try:
        content = (PROC / str(pid) / "environ").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return {}
    pairs = (entry.decode(errors="replace").partition("=") for entry in content.split(b"\0") if b"=" in entry)
    return {name: value for name, _, value in pairs}


def command_of(pid: int) -> str:
    """The command line of a process, for people; empty if it has ended."""
    try:
        content = (PROC / str(pid) / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return " ".join(content.decode(errors="replace").replace("\0", " ").split())
