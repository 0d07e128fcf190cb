"""Checks whether TCP ports of this machine are free, and finds the processes that listen on them."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from robotini_ray.machine.processes import PROC, command_of, own_processes
from robotini_ray.machine.terminal_text import one_line

LISTEN = "0A"


def is_free(port: int) -> bool:
    """Returns whether a listener can be opened on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def holder_of(port: int) -> int | None:
    """Returns the id of this user's process that listens on a TCP port, None if there is none to be seen."""
    inodes = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for pid in own_processes() if inodes else ():
        if inodes & _open_files(pid):
            return pid
    return None


def holder_of_port(port: int) -> str:
    """Returns a description of the process that listens on a TCP port, for messages."""
    pid = holder_of(port)
    return "another user's process" if pid is None else f"process {pid} ({one_line(command_of(pid))})"


def _listening_inodes(port: int) -> list[str]:
    inodes = []
    for table in ("tcp", "tcp6"):
        path = PROC / "net" / table
        for line in path.read_text().splitlines()[1:] if path.exists() else ():
            fields = line.split()
            if fields[3] == LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.append(fields[9])
    return inodes


def _open_files(pid: int) -> set[str]:
    """Returns the link targets of a process's open files; both files and process may vanish during the scan."""
    found = set()
    try:
        for link in Path(PROC, str(pid), "fd").iterdir():
            try:
                found.add(os.readlink(link))
            except FileNotFoundError:
                continue
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return found
    return found
