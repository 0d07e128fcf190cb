"""Compiles functions with numba and caches them on disk until one of the compiled sources changes.

For its cache, numba checks only the file of the function that Python calls. The functions that this one calls, and the
constants that it takes from other files, are compiled into it: after a change there, numba would keep running the old
code. Therefore the cache directory is named after the contents of all files that hold compiled code or its constants.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numba

from robotini_ray.machine.user_folders import UserFolderError, cache_folder, private_temporary_folder

LOG = logging.getLogger(__name__)

PACKAGE = Path(__file__).parents[1]
SOURCES = (PACKAGE / "track" / "centre_line.py", *sorted((PACKAGE / "simulator").rglob("*.py")))

Function = TypeVar("Function", bound=Callable[..., object])


def fingerprint(sources: tuple[Path, ...] = SOURCES) -> str:
    """Returns a hash of the contents of the files, 16 hexadecimal digits."""
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()[:16]


def cache_directory(first: Path, name: str) -> Path | None:
    """Returns the cache directory, which exists and can be written to; None if no place for it can be written to.

    The places are ``first``, the user's cache folder, and the user's folder in the temporary directory. numba loads what it
    finds there as code, so no other user may write to them. What is done instead of using ``first`` is logged as a warning,
    another place only when it is new, because the compiled functions are then there for the next process.

    Args:
        first: The folder that is preferred.
        name: The name of the cache directory in its place.
    """
    for place in _places(first):
        directory = place / name
        is_new = not directory.is_dir()
        if not _is_writable(directory):
            continue
        if is_new and place != first:
            LOG.warning("compiled functions are cached in %s, because %s cannot be written to", directory, first)
        return directory
    LOG.warning(
        "compiled functions are not cached and each start takes half a minute longer, because no cache folder can be written "
        "to: set NUMBA_CACHE_DIR to a folder of your own"
    )
    return None


def compiled(function: Function) -> Function:
    """Applies ``numba.njit`` with the cache directory of this module, or without a cache if there is none."""
    if DIRECTORY is None:
        return numba.njit(function)
    before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, str(DIRECTORY)
    try:
        return numba.njit(cache=True)(function)
    finally:
        numba.config.CACHE_DIR = before


def _places(first: Path) -> Iterator[Path]:
    yield first
    cache = cache_folder()
    if cache is not None:
        yield cache / "robotini_ray"
    try:
        yield private_temporary_folder()
    except UserFolderError as error:
        LOG.info("no cache in the temporary directory: %s", error)


def _is_writable(directory: Path) -> bool:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=directory).close()
    except OSError:
        return False
    return True


DIRECTORY = cache_directory(Path(numba.config.CACHE_DIR or PACKAGE / "__pycache__"), f"compiled-{fingerprint()}")
