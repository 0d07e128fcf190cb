"""Finds processes that an earlier program left running: those whose launcher has ended. Names are never compared.

A process belongs to a program if its environment carries the program's mark, if ``program.json`` lists it, or if it is in
the session that the launcher began. The session is needed for Ray's agents: they overwrite their environment with their title,
and they are the processes that remain when a launcher is killed.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path

from robotini_ray.machine.processes import ProcessId, command_of, environment_of, identify, own_processes, process_stat
from robotini_ray.machine.terminal_text import one_line
from robotini_ray.run.process_mark import mark_of
from robotini_ray.run.program_file import NAME, ProgramFileError, ProgramRecord, read_program


@dataclasses.dataclass(frozen=True)
class Leftover:
    """A running process whose launcher has ended.

    Attributes:
        pid: The process's number.
        command: Its command line, for people.
        run_dir: The run directory of its program.
        launcher_pid: The number of the launcher that has ended.
    """

    pid: int
    command: str
    run_dir: Path
    launcher_pid: int


def find_leftovers(run_dirs: Iterable[Path]) -> list[Leftover]:
    """Returns all processes of this user on this machine whose launcher has ended, in the order of their numbers.

    Args:
        run_dirs: Run directories whose ``program.json`` is used too; programs in other directories are found only by the
            marks of their processes.
    """
    dead = [(run_dir.resolve(), record) for run_dir, record in _programs(run_dirs) if _is_dead_here(record.launcher)]
    return [found for pid in sorted(own_processes()) if pid != os.getpid() and (found := _leftover(pid, dead)) is not None]


def run_dirs_in(folder: Path) -> list[Path]:
    """Returns the directories in ``folder`` that contain a ``program.json``."""
    return sorted(path.parent for path in folder.glob(f"*/{NAME}"))


def describe_leftovers(leftovers: list[Leftover]) -> str:
    """Returns one line that lists the processes and gives the command that ends them."""
    named = ", ".join(f"{leftover.pid} ({one_line(leftover.command, 40)})" for leftover in leftovers)
    launchers = sorted({f"{leftover.run_dir} (its launcher was {leftover.launcher_pid})" for leftover in leftovers})
    pids = " ".join(str(leftover.pid) for leftover in leftovers)
    return f"still running, left by an earlier program of {', '.join(launchers)}: {named}; end them with: kill {pids}"


def _leftover(pid: int, dead: list[tuple[Path, ProgramRecord]]) -> Leftover | None:
    process = identify(pid)
    if process is None:
        return None
    mark = mark_of(pid)
    if mark is not None:
        if not _is_dead_here(mark.launcher):
            return None
        return Leftover(pid, command_of(pid), mark.run_dir, mark.launcher.pid)
    for run_dir, record in dead:
        listed = any(part.process == process for part in record.parts.values())
        if listed or _is_in_session_of(process, record.launcher):
            return Leftover(pid, command_of(pid), run_dir, record.launcher.pid)
    return None


def _is_in_session_of(process: ProcessId, launcher: ProcessId) -> bool:
    """Returns whether a process without a readable environment is in the session of a launcher that has ended.

    The kernel gives no new process a number that is still the number of a session: if the launcher's number is in use again,
    its session is over.
    """
    stat = process_stat(process.pid)
    if stat is None or stat.session != launcher.pid or process.start_ticks < launcher.start_ticks:
        return False
    return process_stat(launcher.pid) is None and "PATH" not in environment_of(process.pid)


def _programs(run_dirs: Iterable[Path]) -> list[tuple[Path, ProgramRecord]]:
    found = []
    for run_dir in run_dirs:
        try:
            record = read_program(run_dir)
        except ProgramFileError:
            continue  # ``status`` reports the error; the program's processes still have their marks
        if record is not None:
            found.append((run_dir, record))
    return found


def _is_dead_here(launcher: ProcessId) -> bool:
    return launcher.is_here and launcher.is_alive is False
