"""Watches the child processes that are not Ray actors, such as Redis, and restarts them at the same address."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Protocol

CHECK_INTERVAL_S = 1.0

PATIENCE_S = 5.0
"""The time without an answer after which a running process is replaced."""

LONGEST_PAUSE_S = 60.0
"""The longest pause before a process that ends soon after each start is started again; the pauses double from 1 s on."""


class SideProcess(Protocol):
    """A child process that ``SideProcesses`` can watch."""

    @property
    def pid(self) -> int | None:
        """The process id; None if there is no process."""

    @property
    def alive(self) -> bool:
        """True while the process is running."""

    def answers(self) -> bool:
        """Returns whether the process does its work; blocks for a few tenths of a second at most."""

    def revive(self) -> None:
        """Starts the process again at the same address, without waiting until it answers."""


@dataclasses.dataclass
class _Watched:
    process: SideProcess
    loss: str
    silent_since: float | None = None
    revived_at: float = -math.inf
    pause_s: float = 0.0


class SideProcesses:
    """Watches child processes and restarts those that have ended or do not answer.

    Args:
        say: Called with each line for the user.
        count: Called with the name of a process that is restarted, and the cause.
    """

    def __init__(self, say: Callable[[str], None], count: Callable[[str, str], None]) -> None:
        self._say = say
        self._count = count
        self._watched: dict[str, _Watched] = {}
        self._next_check_at = 0.0

    def add(self, name: str, process: SideProcess, loss: str) -> None:
        """Adds a process to watch.

        Args:
            name: The name of the process in messages and counters.
            process: The process.
            loss: The effect of its absence, for messages.
        """
        self._watched[name] = _Watched(process, loss)

    def pids(self) -> dict[str, int | None]:
        """Returns the process id of each process, by name."""
        return {name: watched.process.pid for name, watched in self._watched.items()}

    def tick(self) -> None:
        """Checks all processes, if the last check was at least ``CHECK_INTERVAL_S`` ago."""
        now = time.monotonic()
        if now < self._next_check_at:
            return
        self._next_check_at = now + CHECK_INTERVAL_S
        for name, watched in self._watched.items():
            self._check(name, watched, now)

    def _check(self, name: str, watched: _Watched, now: float) -> None:
        process = watched.process
        if process.alive and process.answers():
            if watched.silent_since is not None:
                self._say(f"{name} answers again, after {now - watched.silent_since:.0f} s")
                watched.silent_since = None
            return
        if watched.silent_since is None:
            watched.silent_since = now
            self._say(f"{name} {'does not answer' if process.alive else 'has ended'}: {watched.loss} until it is back")
        lived_s = now - watched.revived_at
        if lived_s < watched.pause_s:
            return
        if not process.alive or now - watched.silent_since > PATIENCE_S:
            soon = lived_s < 2 * LONGEST_PAUSE_S
            watched.pause_s = min(2 * watched.pause_s or CHECK_INTERVAL_S, LONGEST_PAUSE_S) if soon else 0.0
            watched.revived_at = now
            self._count(name, "no answer" if process.alive else "process ended")
            process.revive()
