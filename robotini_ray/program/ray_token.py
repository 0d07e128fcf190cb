"""Creates Ray's authentication token; without it, anyone who can reach Ray's ports can run programs as this user.

Ray 2.55 itself would write the token's file readable by everybody, so the file is created here first. Ray reads the
authentication mode from the environment when it is imported: if the mode is set later, the driver lacks the token that its
own servers require.
"""

from __future__ import annotations

import logging
import os
import secrets
import stat
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

from robotini_ray.errors import RobotiniError
from robotini_ray.machine.user_folders import home_folder, private_temporary_folder

LOG = logging.getLogger(__name__)

LOCAL = "local"
"""Ray's name for the address of a cluster that the program starts itself and that consists of this machine alone."""

MODE, TOKEN, TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
TOKEN_NAME = "auth_token"
TOKEN_BYTES = 32
OTHERS = stat.S_IRWXG | stat.S_IRWXO


class RayTokenError(RobotiniError):
    """Raised if the token's file cannot be created or is not private; the message is one line for the user."""


def token_path(environment: MutableMapping[str, str]) -> Path:
    """Returns where Ray looks for the token; without a home directory, where it will be told to look.

    Raises:
        UserFolderError: There is neither a home directory nor a private temporary folder.
    """
    given, home = environment.get(TOKEN_PATH), home_folder()
    if given:
        return Path(given)
    return private_temporary_folder() / TOKEN_NAME if home is None else home / ".ray" / TOKEN_NAME


def require_token(environment: MutableMapping[str, str]) -> None:
    """Sets token authentication for Ray in this environment, and makes sure that a private file holds a token.

    A mode that the environment sets already stays, and so does a token that it holds. If the home directory cannot hold the
    file, the token is in the private temporary folder, which is logged as a warning.

    Raises:
        RayTokenError: There is no private file with a token, and none can be made.
        UserFolderError: There is no private temporary folder to make it in.
    """
    if environment.setdefault(MODE, "token") != "token" or environment.get(TOKEN):
        return
    path = token_path(environment)
    try:
        ensure_private_token(path)
    except RayTokenError as error:
        if environment.get(TOKEN_PATH):
            raise
        path = private_temporary_folder() / TOKEN_NAME
        ensure_private_token(path)
        LOG.warning("Ray's token is in %s, because %s", path, str(error).partition(";")[0])
    environment[TOKEN_PATH] = str(path)


def ensure_private_token(path: Path) -> None:
    """Creates a file with a new token if there is none, and makes an existing file private (mode 0600).

    Raises:
        RayTokenError: The file belongs to another user, or it cannot be created.
    """
    try:
        if not path.exists():
            _create(path)
        found = path.stat()
        if found.st_uid != os.getuid():
            raise RayTokenError(f"{path} with Ray's token is another user's; set {TOKEN_PATH} to a file of your own")
        if found.st_mode & OTHERS:
            path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    except OSError as error:
        raise RayTokenError(
            f"{path} cannot hold Ray's token: {error.strerror}; set {TOKEN_PATH} to a path that can be written"
        ) from error


def _create(path: Path) -> None:
    """Creates the file atomically: if another program creates it at the same moment, that program's token is kept."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".auth_token-")  # mode 0600
    try:
        with open(descriptor, "w") as file:
            file.write(secrets.token_hex(TOKEN_BYTES))
        try:
            os.link(name, path)
        except FileExistsError:
            return
    finally:
        os.unlink(name)
