"""Chooses folders for unix sockets, whose paths are limited to 107 bytes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from robotini_ray.errors import RobotiniError

MAX_PATH_BYTES = 107
"""The longest path of a unix socket on Linux: ``sun_path`` has 108 bytes, the last of which is zero (unix(7))."""

SHORT_FOLDERS = (Path("/tmp"), Path("/var/tmp"))


class SocketFolderError(RobotiniError):
    """Raised if no folder is short enough and can be written to; the message is one line for the user."""


class SocketFolder(NamedTuple):
    """A folder for sockets.

    Attributes:
        path: The folder.
        warning: A line for the user if it is not the wanted folder, with the reason; None if it is.
    """

    path: Path
    warning: str | None


def socket_folder(wanted: Path, below: str, variable: str, others: Sequence[Path] = SHORT_FOLDERS) -> SocketFolder:
    """Returns the folder for sockets: the wanted one, or another if its path is too long or it cannot be written to.

    Args:
        wanted: The folder that is preferred; it need not exist.
        below: The longest path of a socket below the folder.
        variable: The environment variable that chooses the folder, for messages.
        others: The folders to take instead, the best first.

    Raises:
        SocketFolderError: None of the folders will do.
    """
    reason = _objection(wanted, below)
    if reason is None:
        return SocketFolder(wanted, None)
    for other in others:
        if other.is_dir() and _objection(other, below) is None:
            return SocketFolder(other, f"{wanted} {reason}; {other} is used instead")
    raise SocketFolderError(f"{wanted} {reason}; {shorter(variable, below)}")


def shorter(variable: str, below: str) -> str:
    """Returns the cure for an unsuitable folder; the arguments are those of ``socket_folder``."""
    longest_bytes = MAX_PATH_BYTES - len(f"/{below}")
    return f"set {variable} to a folder that can be written to and has a path of at most {longest_bytes} bytes"


def _objection(folder: Path, below: str) -> str | None:
    """Returns the reason why a folder cannot hold the socket, None if it can or can be made so."""
    if len(os.fsencode(folder / below)) > MAX_PATH_BYTES:
        return "is too long a path for unix sockets in it"
    place = next((place for place in (folder, *folder.parents) if place.exists()), folder)
    return None if os.access(place, os.W_OK | os.X_OK) else "cannot be written to"
