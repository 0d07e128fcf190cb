"""Functions compiled by numba and kept on disk, for as long as none of the compiled sources changes.

numba itself looks only at the file of the function that is called from Python. What that function calls, and the
constants it takes from other files, are compiled into it: after a change there, numba would go on with the old code.
So the cache lies in a directory named after the contents of all files that hold compiled code or its constants.
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
    """A short name for the contents of these files."""
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()[:16]


_DIRECTORY = Path(numba.config.CACHE_DIR or PACKAGE / "__pycache__") / f"compiled-{fingerprint()}"


def compiled(function: Function) -> Function:
    """`numba.njit`, with its cache where the module says; where that cannot be written, numba chooses another place."""
    before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, str(_DIRECTORY)
    try:
        return numba.njit(cache=True)(function)
    finally:
        numba.config.CACHE_DIR = before
