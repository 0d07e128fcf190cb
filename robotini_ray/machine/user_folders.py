"""Finds folders that belong to this user alone."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from robotini_ray.errors import RobotiniError

OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class UserFolderError(RobotiniError):
    """Raised if this user has no folder that can be written to; the message is one line for the user."""


def home_folder() -> Path | None:
    """Returns the home directory; None if ``HOME`` is not set and the user has no entry in the password database.

    ``os.path.expanduser`` then returns ``~`` itself, which would become a folder of that name in the working directory.
    """
    home = Path(os.path.expanduser("~"))
    return home if home.is_absolute() else None


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Returns this user's folder for files that can be made again, ``XDG_CACHE_HOME`` or ``~/.cache``; None without a home."""
    given = Path(environment.get("XDG_CACHE_HOME", ""))
    home = home_folder()
    if given.is_absolute():
        return given
    return None if home is None else home / ".cache"


def private_temporary_folder() -> Path:
    """Returns a folder of the temporary directory that no other user can write to; it is made if it does not exist.

    Its name is the same for all processes of this user, so another user could have made it first: then it is refused.

    Raises:
        UserFolderError: There is no temporary directory, or the folder cannot be made or is not this user's alone.
    """
    name = f"robotini_ray-{os.getuid()}"
    try:
        path = Path(tempfile.gettempdir()) / name
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()  # a symbolic link to a folder of this user is not this user's choice
    except OSError as error:
        raise UserFolderError(f"no folder {name} can be made ({error}); set TMPDIR to a folder of your own") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & OTHERS_WRITE:
        raise UserFolderError(f"{path} is not a folder of this user alone; set TMPDIR to a folder of your own")
    return path
