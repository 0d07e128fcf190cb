"""Ray's token: without it anyone who reaches Ray's ports runs programs as this user.

Ray itself writes the file readable for everybody (2.55), so it is made here first. Ray reads its mode from the environment
when it is imported: setting it later leaves the driver without a token that its own servers ask for.
"""

from __future__ import annotations

import os
import secrets
import stat
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

from robotini_ray.errors import RobotiniError

LOCAL = "local"
"""The address, in Ray's words, of a cluster of this machine alone that the program starts itself."""

MODE, TOKEN, TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
TOKEN_BYTES = 32
OTHERS = stat.S_IRWXG | stat.S_IRWXO


class RayTokenError(RobotiniError):
    """The token's file cannot be made or is not private; the message is one line for a person."""


def token_path(environment: MutableMapping[str, str]) -> Path:
    """Where Ray looks for the token."""
    return Path(environment.get(TOKEN_PATH) or Path.home() / ".ray" / "auth_token")


def require_token(environment: MutableMapping[str, str]) -> None:
    """Makes Rays that are started with this environment ask for a token, and sees to a private file with one.

    A mode that the environment sets already stays, and so does a token that it holds.

    Raises:
        RayTokenError: there is no private file with a token, and none can be made.
    """
    if environment.setdefault(MODE, "token") == "token" and not environment.get(TOKEN):
        ensure_private_token(token_path(environment))


def ensure_private_token(path: Path) -> None:
    """Makes a file with a new token where there is none, and takes an existing one away from others (mode 0600).

    Raises:
        RayTokenError: it is somebody else's, or it cannot be made.
    """
    try:
        if not path.exists():
            _create(path)
        found = path.stat()
        if found.st_uid != os.getuid():
            raise RayTokenError(f"{path} with Ray's token is another user's; point {TOKEN_PATH} to a file of your own")
        if found.st_mode & OTHERS:
            path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    except OSError as error:
        raise RayTokenError(
            f"{path} cannot hold Ray's token: {error.strerror}; point {TOKEN_PATH} to a place that can be written"
        ) from error


def _create(path: Path) -> None:
    """Whole or not at all: another program may be doing the same at this moment, and then its token counts."""
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
