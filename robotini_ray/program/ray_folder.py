"""Chooses the folder for the files of a Ray on this machine, and finds its logs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from robotini_ray.machine.socket_folder import SHORT_FOLDERS, SocketFolder, socket_folder

VARIABLE = "RAY_TMPDIR"
NAME = "ray"

LONGEST_SOCKET = f"{NAME}/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store.1"
"""Ray's longest path of a socket: the session's name has the time in microseconds and a process id of up to seven digits."""


def ray_folder(environment: Mapping[str, str] = os.environ, others: Sequence[Path] = SHORT_FOLDERS) -> SocketFolder:
    """Returns the folder below which Ray keeps its files, in a folder ``ray``.

    It is that of ``RAY_TMPDIR``, ``TMPDIR``, or ``/tmp``, as Ray itself would choose, if that will do.

    Args:
        environment: The environment that Ray is started with.
        others: The folders to take instead of one that is too long or cannot be written to.

    Raises:
        SocketFolderError: No folder will do.
    """
    wanted = Path(environment.get(VARIABLE) or environment.get("TMPDIR") or "/tmp")
    return socket_folder(wanted, LONGEST_SOCKET, VARIABLE, others)


def ray_logs(folder: Path) -> Path:
    """Returns the folder with the logs of the Ray that this process has started, or ``folder`` if it has made none."""
    sessions = sorted(folder.glob(f"session_*_{os.getpid()}"))
    return sessions[-1] / "logs" if sessions else folder
