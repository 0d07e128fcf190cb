"""Reads the status of a program from outside.

The run directory and Redis are the only sources, so that reading the status never disturbs the program.
"""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

from robotini_ray.car.state_store import CarStateStore, StoreUnavailable
from robotini_ray.machine.terminal_text import launch_line
from robotini_ray.run.leftovers import describe_leftovers, find_leftovers
from robotini_ray.run.program_file import NAME, PartRecord, ProgramFileError, ProgramRecord, read_program

FIGURES_STALE_S = 20.0
"""Seconds after which the figures count as stale.

The launcher writes them every 5 s, but up to 60 s may pass while a checkpoint is written on a loaded machine.
"""

START_S = 240.0
"""Seconds that may pass until the first figures: twice the time that a part may take to start."""

PART_STALE_S = 30.0
CAR_STALE_S = 2.0
WEIGHTS_STALE_S = 60.0


@dataclasses.dataclass(frozen=True)
class PartStatus:
    """One process of the program."""

    name: str
    pid: int
    host: str
    alive: bool | None
    """None if that cannot be determined from this machine."""
    restarts: int
    answered_s_ago: float


@dataclasses.dataclass(frozen=True)
class CarStatus:
    """The newest state of one car in Redis."""

    name: str
    role: str
    state: str
    age_s: float
    fields: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Status:
    """The status of a run; each of ``problems`` is one line that says what is wrong and what to do."""

    run_dir: str
    state: str
    """``starting``, ``running``, ``ended`` (in order), ``killed`` (not in order) or ``nothing`` (no program ever ran here)."""
    since: float | None
    """``time.time()`` at the beginning of that state, or the nearest known time; None if there is no program."""
    launcher_pid: int | None
    figures: dict[str, Any]
    figures_age_s: float | None
    parts: list[PartStatus]
    cars: list[CarStatus]
    faults: dict[str, int]
    summary: dict[str, Any]
    problems: list[str]
    resume_command: str | None
    """The command that resumes a program that has ended; None in every other state."""

    @property
    def is_sound(self) -> bool:
        """True if a program is running here or has ended in order, and nothing is wrong with it."""
        return self.state in ("running", "ended") and not self.problems

    def to_json(self) -> dict[str, Any]:
        """Returns the status as a dictionary of JSON values."""
        return dataclasses.asdict(self)


def read_status(run_dir: Path) -> Status:
    """Returns the present status of the newest program of a run directory.

    Raises:
        ProgramFileError: ``program.json`` or ``summary.json`` cannot be read.
    """
    record = read_program(run_dir)
    summary = _summary(run_dir)
    if record is None:
        return Status(str(run_dir), "nothing", None, None, {}, None, [], [], {}, summary, [_nothing(run_dir)], None)
    now = time.time()
    state, since = _state(record)
    has_ended = state == "ended"
    parts = [] if has_ended else [_part(name, part, now) for name, part in sorted(record.parts.items())]
    cars, cars_problem = _cars(record.redis_url, run_dir.resolve().name, now) if state == "running" else ([], None)
    faults = dict(summary.get("faults", {}))
    problems = [] if has_ended else _problems(run_dir, record, state, parts, now)
    problems += [cars_problem] if cars_problem is not None else []
    age_s = now - record.written_at
    pid = record.launcher.pid
    resume = _train(run_dir) if has_ended else None
    return Status(str(run_dir), state, since, pid, record.figures, age_s, parts, cars, faults, summary, problems, resume)


def find_run_dir(runs: Path) -> Path:
    """Returns the run directory to use when none is given: that of a running program, else of the program that ran last.

    Args:
        runs: The directory that holds the run directories.

    Raises:
        ProgramFileError: No program has run there, or a ``program.json`` cannot be read.
    """
    found: list[tuple[bool, float, Path]] = []
    for path in runs.glob(f"*/{NAME}"):
        record = read_program(path.parent)
        if record is not None:
            found.append((record.ended_at is None and record.launcher.is_alive is not False, record.written_at, path.parent))
    if not found:
        raise ProgramFileError(
            f"no program has run in {runs}/ yet: start one with `{launch_line('train')}`, or name its --run-dir"
        )
    return max(found)[2]


def clock_time(at: float) -> str:
    """Returns a ``time.time()`` value as local time, with the date unless it is today."""
    moment = time.localtime(at)
    is_today = moment[:3] == time.localtime()[:3]
    return time.strftime("%H:%M:%S" if is_today else "%Y-%m-%d %H:%M:%S", moment)


def _state(record: ProgramRecord) -> tuple[str, float | None]:
    if record.ended_at is not None:
        return "ended", record.ended_at
    if record.launcher.is_alive is False:
        return "killed", record.written_at
    return "running" if record.figures else "starting", record.started_at


def _part(name: str, part: PartRecord, now: float) -> PartStatus:
    process = part.process
    return PartStatus(name, process.pid, process.host, process.is_alive, part.restarts, now - part.seen_at)


def _problems(run_dir: Path, record: ProgramRecord, state: str, parts: list[PartStatus], now: float) -> list[str]:
    if state == "killed":
        return [_killed(run_dir, record)]
    problems = []
    if now - record.written_at > (FIGURES_STALE_S if record.figures else START_S):
        problems.append(
            f"the launcher (pid {record.launcher.pid}) has written nothing since {clock_time(record.written_at)}: "
            f"it is stopped or blocked; see its output and {run_dir}/logs"
        )
    for part in parts:
        since = clock_time(now - part.answered_s_ago)
        if part.alive is False:
            problems.append(
                f"{part.name} (pid {part.pid}) is dead; it last answered at {since}; see {run_dir}/logs/{part.name}.log"
            )
        elif part.answered_s_ago > PART_STALE_S:
            problems.append(f"{part.name} (pid {part.pid} on {part.host}) has not answered since {since}; see its log")
    age_s = record.figures.get("weights_age_s", 0.0)
    if age_s > WEIGHTS_STALE_S and record.figures.get("weights_version", -1) >= 0:
        since = clock_time(record.written_at - age_s)
        problems.append(
            f"a collector drives with weights from {since}: the learner is waiting for the replay, or cannot reach it"
        )
    return problems


def _killed(run_dir: Path, record: ProgramRecord) -> str:
    leftovers = [found for found in find_leftovers([run_dir]) if found.launcher_pid == record.launcher.pid]
    rest = f"; {describe_leftovers(leftovers)}" if leftovers else "; none of its processes is left running"
    return (
        f"the launcher (pid {record.launcher.pid}) was killed after {clock_time(record.written_at)}{rest}; "
        f"training goes on from its last checkpoint with `{_train(run_dir)}`"
    )


def _nothing(run_dir: Path) -> str:
    what = "holds no program.json" if run_dir.is_dir() else "does not exist"
    return f"{run_dir} {what}: no program has run there; start one with `{_train(run_dir)}`"


def _train(run_dir: Path) -> str:
    config = run_dir / "config.yaml"
    return launch_line("train", *([config] if config.exists() else []), "--run-dir", run_dir)


def _cars(redis_url: str, run_name: str, now: float) -> tuple[list[CarStatus], str | None]:
    store = CarStateStore(redis_url, run_name)
    try:
        stored = store.read_cars()
    except StoreUnavailable as error:
        return [], f"{error}; training goes on without it, but the cars cannot be shown"
    finally:
        store.close()
    cars = []
    for car in stored:
        age_s = max(0.0, now - car.written_at)
        state = str(car.fields.get("status", "driving"))
        if age_s > CAR_STALE_S:
            state = f"stale since {clock_time(car.written_at)}"
        cars.append(CarStatus(car.name, str(car.fields.get("role", "")), state, age_s, car.fields))
    return cars, None


def _summary(run_dir: Path) -> dict[str, Any]:
    """Returns the content of ``summary.json``; empty before the first one is written."""
    try:
        return dict(json.loads((run_dir / "summary.json").read_text()))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ValueError as error:
        raise ProgramFileError(f"{run_dir}/summary.json is not JSON ({error}); the next training replaces it") from error
