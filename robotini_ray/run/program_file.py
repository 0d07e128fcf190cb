"""``RUN/program.json``: which processes a run consists of, where its Redis is, and how it goes, for whoever looks from outside.

The launcher writes it every few seconds; ``status`` and ``doctor`` read it, also long after the program has gone. Only its
user may read it, because a Redis URL can hold a password.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

from robotini_ray.errors import RobotiniError
from robotini_ray.machine.processes import ProcessId, this_process
from robotini_ray.run.progress import Progress
from robotini_ray.run.reports import LearnerReport

NAME = "program.json"
FORMAT = 1


class ProgramFileError(RobotiniError):
    """A program.json that cannot be read; the message is one line for a person."""


class PartState(NamedTuple):
    """A part as it is now; no process where it has none yet, or no longer."""

    process: ProcessId | None
    state: str


@dataclasses.dataclass(frozen=True)
class PartRecord:
    """One process of the program beside its launcher. Times are those of ``time.time()``."""

    process: ProcessId
    state: str
    """``running``, or where it is on the way there (see ``supervision.State``)."""
    restarts: int
    seen_at: float
    """When it last ran."""


@dataclasses.dataclass(frozen=True)
class ProgramRecord:
    """What program.json says. Times are those of ``time.time()``."""

    launcher: ProcessId
    started_at: float
    written_at: float
    ended_at: float | None
    """None while it runs, and after it was killed."""
    redis_url: str
    parts: dict[str, PartRecord]
    figures: dict[str, Any]
    """See ``live_figures``; empty until training has begun."""


class ProgramFile:
    """Writes program.json of one invocation.

    Args:
        run_dir: of the run.
    """

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / NAME
        self._record: ProgramRecord | None = None

    def begin(self, redis_url: str) -> None:
        """The calling process is the launcher of a program that starts now."""
        now = time.time()
        self._write(ProgramRecord(this_process(), now, now, None, redis_url, {}, {}))

    def update(self, parts: dict[str, PartState], figures: dict[str, Any] | None) -> None:
        """Takes over where the parts are now, by their names, and the newest figures; None leaves the last ones.

        One that has no process keeps its last one; one that is in another process has been restarted.
        """
        assert self._record is not None
        now = time.time()
        records = dict(self._record.parts)
        for name, (process, state) in parts.items():
            before = records.get(name)
            if process is not None:
                restarts = 0 if before is None else before.restarts + (before.process != process)
                records[name] = PartRecord(process, state, restarts, now)
            elif before is not None:
                records[name] = dataclasses.replace(before, state=state)
        figures = self._record.figures if figures is None else figures
        self._write(dataclasses.replace(self._record, parts=records, figures=figures, written_at=now))

    def end(self) -> None:
        """The program has ended in order; harmless if it had not begun."""
        if self._record is not None:
            now = time.time()
            self._write(dataclasses.replace(self._record, ended_at=now, written_at=now))

    def _write(self, record: ProgramRecord) -> None:
        self._record = record
        fresh = self._path.with_suffix(".new")
        text = json.dumps({"format": FORMAT, **dataclasses.asdict(record)}, indent=2, allow_nan=False)
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(text + "\n")
        os.replace(fresh, self._path)


def read_program(run_dir: Path) -> ProgramRecord | None:
    """What program.json of a run says, None if there is none.

    Raises:
        ProgramFileError: it cannot be read, or it is none.
    """
    path = run_dir / NAME
    try:
        fields = json.loads(path.read_text())
        if fields.pop("format") != FORMAT:
            raise ValueError("another format")
        parts = {
            str(name): PartRecord(
                ProcessId.from_json(part["process"]), str(part["state"]), int(part["restarts"]), float(part["seen_at"])
            )
            for name, part in fields.pop("parts").items()
        }
        return ProgramRecord(launcher=ProcessId.from_json(fields.pop("launcher")), parts=parts, **fields)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ProgramFileError(f"{path} cannot be read: {error.strerror}; look as the user who trains") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProgramFileError(f"{path} is no program file of this version ({error}); the next training replaces it") from error


def live_figures(progress: Progress, learner: LearnerReport, env_steps_per_s: float) -> dict[str, Any]:
    """What changes too fast for summary.json, as plain numbers."""
    replay = learner.replay
    return {
        "env_steps": progress.env_steps,
        "env_steps_per_s": env_steps_per_s,
        "train_steps": progress.train_steps,
        "train_steps_per_s": learner.train_steps_per_s,
        "waiting_share": learner.waiting_share,
        "weights_version": progress.weights_version,
        "weights_age_s": progress.weights_age_s,
        "replay_items": replay.items,
        "replay_capacity": replay.capacity,
        "replay_min_items": replay.min_items,
        "laps": progress.laps,
        "crashes": progress.crashes_collect,
        "reconnects": progress.reconnects,
        "evaluations": progress.evaluations,
        "last_evaluation": progress.last_evaluation,
    }
