"""Checks that Ray finds a folder for its files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from robotini_ray.doctor.finding import Finding
from robotini_ray.machine.socket_folder import SHORT_FOLDERS, SocketFolderError, shorter
from robotini_ray.program.ray_folder import LONGEST_SOCKET, VARIABLE, ray_folder

CHECK = "Ray's folder"


def check_ray_folder(environment: Mapping[str, str] = os.environ, others: Sequence[Path] = SHORT_FOLDERS) -> list[Finding]:
    """Checks that Ray's sockets, whose paths are limited, fit into the folder that the environment names.

    Args:
        environment: The environment that Ray is started with.
        others: The folders that training takes instead.
    """
    try:
        folder = ray_folder(environment, others)
    except SocketFolderError as error:
        what, _, cure = str(error).rpartition("; ")  # the cure follows the last semicolon
        return [Finding(CHECK, "error", what, cure)]
    if folder.warning is None:
        return [Finding(CHECK, "ok", f"{folder.path}")]
    return [Finding(CHECK, "warning", folder.warning, shorter(VARIABLE, LONGEST_SOCKET))]
