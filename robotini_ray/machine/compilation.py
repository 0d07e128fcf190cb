"""Compiles a program's functions once for this machine, however many processes need them at the same time.

Functions of ``machine.compiled`` are compiled when they are first called. The first process that calls them all within
``compiling_once`` compiles them; others wait for it and then load its work from the cache.
"""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from robotini_ray.machine.compiled import DIRECTORY

POLL_S = 0.2
SAY_INTERVAL_S = 5.0


@contextlib.contextmanager
def compiling_once(what: str, say: Callable[[str], None], directory: Path | None = DIRECTORY) -> Iterator[None]:
    """Surrounds the first calls of all compiled functions of a kind.

    Args:
        what: The name of the kind, such as ``flat camera``; it is compiled once for each cache directory.
        say: Shows a line to a person: that compiling begins and how long it takes, or what is waited for.
        directory: The cache directory; None if there is none, so that every process compiles for itself.
    """
    done = None if directory is None else directory / f"{what.replace(' ', '-')}.complete"
    if done is not None and done.exists():
        yield
        return
    with _lock(directory, say):
        if done is None or not done.exists():
            say(f"compiling the simulator ({what}) for this machine, once: about 20 s of a core")
        yield
        if done is not None:
            done.touch()


@contextlib.contextmanager
def _lock(directory: Path | None, say: Callable[[str], None]) -> Iterator[None]:
    """Holds the lock of a cache directory; says every few seconds that another process has it."""
    if directory is None:
        yield
        return
    with open(directory / "lock", "w") as file:
        began_s = say_at_s = time.monotonic()
        while not _try_lock(file.fileno()):
            now_s = time.monotonic()
            if now_s >= say_at_s:
                say_at_s = now_s + SAY_INTERVAL_S
                say(f"waiting for another process that compiles the simulator, {now_s - began_s:.0f} s so far")
            time.sleep(POLL_S)
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # this file system has no locks: two processes may then compile the same
        return True
    return True
