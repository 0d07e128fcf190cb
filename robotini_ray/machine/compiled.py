"""Compiles functions with numba and caches them on disk until one of the compiled sources changes.

For its cache, numba checks only the file of the function that Python calls. The functions that this one calls, and the
constants that it takes from other files, are compiled into it: after a change there, numba would keep running the old
code. Therefore the cache directory is named after the contents of all files that hold compiled code or its constants.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numba

PACKAGE = Path(__file__).parents[1]
SOURCES = (PACKAGE / "track" / "centre_line.py", *sorted((PACKAGE / "simulator").rglob("*.py")))

Function = TypeVar("Function", bound=Callable[..., object])


def fingerprint(sources: tuple[Path, ...] = SOURCES) -> str:
    """Returns a hash of the contents of the files, 16 hexadecimal digits."""
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()[:16]


_DIRECTORY = Path(numba.config.CACHE_DIR or PACKAGE / "__pycache__") / f"compiled-{fingerprint()}"


def compiled(function: Function) -> Function:
    """Applies ``numba.njit`` with the cache directory of this module; if it is not writable, numba picks another one."""
    before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, str(_DIRECTORY)
    try:
        return numba.njit(cache=True)(function)
    finally:
        numba.config.CACHE_DIR = before
