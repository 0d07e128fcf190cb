"""Child processes beside the Ray actors, Redis above all: watched, and started again where they are."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Protocol

CHECK_INTERVAL_S = 1.0

PATIENCE_S = 5.0
"""A process that is there but does not answer for so long is replaced."""


class SideProcess(Protocol):
    """What can be watched."""

    @property
    def pid(self) -> int | None:
        """Of its process."""

    @property
    def alive(self) -> bool:
        """Whether its process is there."""

    def answers(self) -> bool:
        """Whether it does its work; asks for some tenths of a second at most."""

    def revive(self) -> None:
        """Starts it again at the same address, without waiting until it answers."""


@dataclasses.dataclass
class _Watched:
    process: SideProcess
    loss: str
    silent_since: float | None = None


class SideProcesses:
    """Watches over child processes.

    Args:
        say: takes a line for a person.
        count: takes the name of a process that is started again, and why.
    """

    def __init__(self, say: Callable[[str], None], count: Callable[[str, str], None]) -> None:
        self._say = say
        self._count = count
        self._watched: dict[str, _Watched] = {}
        self._next_check_at = 0.0

    def add(self, name: str, process: SideProcess, loss: str) -> None:
        """Watches over one more; ``loss`` says what there is not while it is gone."""
        self._watched[name] = _Watched(process, loss)

    def pids(self) -> dict[str, int | None]:
        """The process id of each."""
        return {name: watched.process.pid for name, watched in self._watched.items()}

    def tick(self) -> None:
        """Looks after all of them when it is time to."""
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
        if not process.alive or now - watched.silent_since > PATIENCE_S:
            self._count(name, "no answer" if process.alive else "process ended")
            process.revive()
