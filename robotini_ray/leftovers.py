"""Processes that an earlier training has left behind, found by a mark in their environment."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

MARK = "ROBOTINI_RAY_RUN"
"""Set in the environment of everything that a training starts on its machine: the path of its run directory."""


@dataclasses.dataclass(frozen=True)
class Leftover:
    """A process of a training that is over."""

    pid: int
    command: str
    run_dir: Path


def mark_children(run_dir: Path) -> None:
    """Marks all processes that will be started from now on as those of a run."""
    os.environ[MARK] = str(run_dir)


def leftovers(run_dir: Path | None = None) -> list[Leftover]:
    """Marked processes of this user, of a run or of all runs. Those of a training that goes on are among them."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:  # it has ended meanwhile, or is another user's
            continue
        marks = [entry for entry in environment if entry.startswith(MARK.encode() + b"=")]
        if marks and command:
            at = Path(os.fsdecode(marks[0].partition(b"=")[2]))
            if run_dir is None or at == run_dir:
                found.append(Leftover(int(folder.name), command, at))
    return sorted(found, key=lambda leftover: leftover.pid)


def describe(found: list[Leftover]) -> str:
    """One line for a person."""
    listed = ", ".join(f"{leftover.pid} ({Path(leftover.command.split()[0]).name})" for leftover in found)
    pids = " ".join(str(leftover.pid) for leftover in found)
    return f"left over from an earlier training: processes {listed}; end them with: kill {pids}"
