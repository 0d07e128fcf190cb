"""Marks every process of a program, in an environment variable, with the run directory and the launcher it belongs to."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

from robotini_ray.machine.processes import ProcessId, environment_of, this_process

VARIABLE = "ROBOTINI_RAY_RUN"


@dataclasses.dataclass(frozen=True)
class ProcessMark:
    """The program that a process belongs to.

    Attributes:
        run_dir: The run directory.
        launcher: The process that started the program.
    """

    run_dir: Path
    launcher: ProcessId


def mark_this_process(run_dir: Path) -> None:
    """Marks this process as a launcher; every process that it starts from now on inherits the mark."""
    os.environ[VARIABLE] = json.dumps({"run_dir": str(run_dir), "launcher": dataclasses.asdict(this_process())})


def process_mark() -> dict[str, str]:
    """Returns this process's mark as environment variables, for processes that do not inherit its environment.

    The result is empty if this process has no mark.
    """
    return {VARIABLE: os.environ[VARIABLE]} if VARIABLE in os.environ else {}


def mark_of(pid: int) -> ProcessMark | None:
    """Returns the mark of a process, or None if it has none or none that can be read."""
    text = environment_of(pid).get(VARIABLE)
    if text is None:
        return None
    try:
        fields = json.loads(text)
        return ProcessMark(Path(fields["run_dir"]), ProcessId.from_json(fields["launcher"]))
    except (ValueError, KeyError, TypeError):
        return None  # a variable of this name that another program has set
