"""The mark that every process of a program carries in its environment, from its launcher on: whose it is."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

from robotini_ray.machine.processes import ProcessId, environment_of, this_process

VARIABLE = "ROBOTINI_RAY_RUN"


@dataclasses.dataclass(frozen=True)
class ProcessMark:
    """The program that a process belongs to."""

    run_dir: Path
    launcher: ProcessId


def mark_this_process(run_dir: Path) -> None:
    """From now on this process is a launcher, and all that it starts carries its mark."""
    os.environ[VARIABLE] = json.dumps({"run_dir": str(run_dir), "launcher": dataclasses.asdict(this_process())})


def process_mark() -> dict[str, str]:
    """The mark as environment variables, for processes that inherit nothing from this one; empty without a mark."""
    return {VARIABLE: os.environ[VARIABLE]} if VARIABLE in os.environ else {}


def mark_of(pid: int) -> ProcessMark | None:
    """The mark of a process, None if it has none that can be read."""
    text = environment_of(pid).get(VARIABLE)
    if text is None:
        return None
    try:
        fields = json.loads(text)
        return ProcessMark(Path(fields["run_dir"]), ProcessId.from_json(fields["launcher"]))
    except (ValueError, KeyError, TypeError):
        return None  # somebody else's variable
