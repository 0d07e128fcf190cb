"""Writes and reads ``RUN/program.json``: the processes of a run, the address of its Redis server and its newest figures.

The launcher writes the file every few seconds; ``status`` and ``doctor`` read it, also long after the program has ended. Only
its user may read it, because a Redis URL can contain a password.
"""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

from robotini_ray.errors import RobotiniError
from robotini_ray.machine.processes import ProcessId, this_process
from robotini_ray.machine.whole_files import write_whole
from robotini_ray.run.finite_json import to_json
from robotini_ray.run.progress import Progress
from robotini_ray.run.reports import LearnerReport

NAME = "program.json"
FORMAT = 1


class ProgramFileError(RobotiniError):
    """Raised if ``program.json`` cannot be read; the message is one line for a person."""


class PartState(NamedTuple):
    """The present state of a part; ``process`` is None if the part has no process yet, or no longer."""

    process: ProcessId | None
    state: str


@dataclasses.dataclass(frozen=True)
class PartRecord:
    """A process of the program other than its launcher.

    Attributes:
        process: The part's present process, or its last one.
        state: ``running`` or an earlier state of the part's life, see ``program.supervisor.State``.
        restarts: Number of times that the part was started again in this invocation.
        seen_at: Unix time at which the process was last seen running, in seconds.
    """

    process: ProcessId
    state: str
    restarts: int
    seen_at: float


@dataclasses.dataclass(frozen=True)
class ProgramRecord:
    """The content of ``program.json``.

    Attributes:
        launcher: The launcher's process.
        started_at: Unix time at which the program started, in seconds.
        written_at: Unix time at which the file was last written, in seconds.
        ended_at: Unix time at which the program ended in order, in seconds; None while it runs, and after it was killed.
        redis_url: URL of the Redis server with the cars' live state; it can contain a password.
        parts: The program's other processes by name of the part.
        figures: The newest result of ``live_figures``; empty until training has begun.
    """

    launcher: ProcessId
    started_at: float
    written_at: float
    ended_at: float | None
    redis_url: str
    parts: dict[str, PartRecord]
    figures: dict[str, Any]


class ProgramFile:
    """Writes the ``program.json`` of one invocation.

    Args:
        run_dir: The run directory, in which the file is written.
    """

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / NAME
        self._record: ProgramRecord | None = None

    def begin(self, redis_url: str) -> None:
        """Writes that a program starts now and that the calling process is its launcher."""
        now = time.time()
        self._write(ProgramRecord(this_process(), now, now, None, redis_url, {}, {}))

    def update(self, parts: dict[str, PartState], figures: dict[str, Any] | None) -> None:
        """Writes the present state of the parts and the newest figures.

        A part that has no process keeps its last one in the file; a part that has another process counts as restarted.

        Args:
            parts: The states by name of the part.
            figures: The result of ``live_figures``; None keeps the last figures.
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
        """Writes that the program has ended in order; does nothing if ``begin`` was not called."""
        if self._record is not None:
            now = time.time()
            self._write(dataclasses.replace(self._record, ended_at=now, written_at=now))

    def _write(self, record: ProgramRecord) -> None:
        self._record = record
        text = to_json({"format": FORMAT, **dataclasses.asdict(record)}, indent=2)
        write_whole(self._path, text + "\n", mode=0o600)


def read_program(run_dir: Path) -> ProgramRecord | None:
    """Returns the content of a run's ``program.json``, or None if there is no such file.

    Raises:
        ProgramFileError: The file cannot be read, or it is not a program file of this version.
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
        raise ProgramFileError(f"{path} cannot be read: {error.strerror}; try again as the user who started the run") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProgramFileError(
            f"{path} is not a program file of this version ({error}); the next training replaces it"
        ) from error


def live_figures(progress: Progress, learner: LearnerReport, env_steps_per_s: float) -> dict[str, Any]:
    """Returns the figures that change too fast for ``summary.json``, in JSON types.

    Args:
        progress: The run's counters.
        learner: The learner's newest report.
        env_steps_per_s: Environment steps of all collecting cars per second of wall time.
    """
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
