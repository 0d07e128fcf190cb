"""Measures ``start``: what each part of a training costs in processor time until it runs, and when it runs.

A training of ``launch/quickstart.yaml`` is started as users start it and ended once it trains. The processor time of a part is
that of its process until it runs; Ray's own is that of all its processes until training begins, and the launcher's likewise.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from robotini_ray.benchmarks.apparatus.figure import Figure, Measurement, MeasurementError, Say
from robotini_ray.benchmarks.apparatus.pairs import spread
from robotini_ray.benchmarks.apparatus.training_run import last_printed, running_launch
from robotini_ray.machine.processes import cpu_time_s, own_processes
from robotini_ray.program.supervisor import State
from robotini_ray.run.process_mark import mark_of
from robotini_ray.run.program_file import read_program

STARTS = 3
TIMEOUT_S = 600.0
POLL_S = 0.1
TRAINING = "training"
MILESTONES = {"the cars are driving": "cars", "monitor: http": "page", "training;": TRAINING}
"""Milestones of a start by the beginning of the line that the training prints."""

LAUNCHER, RAY = "launcher", "ray"


@dataclasses.dataclass
class Start:
    """Readings of one start, by part or milestone.

    Attributes:
        ready_s: Seconds from the command to the moment when the part ran or the milestone was reached.
        cpu_s: Seconds of processor time that the part used until then.
    """

    ready_s: dict[str, float] = dataclasses.field(default_factory=dict)
    cpu_s: dict[str, float] = dataclasses.field(default_factory=dict)


def measure(say: Say, *, starts: int = STARTS, arguments: Sequence[str] = ()) -> list[Figure]:
    """Starts trainings one after the other.

    Args:
        say: Takes a line of progress at a time.
        starts: The number of starts.
        arguments: Further arguments of ``launch train``.

    Raises:
        MeasurementError: A training ends, or does not train within ten minutes.
    """
    found = []
    for number in range(starts):
        say(f"start: {number + 1} of {starts}")
        with tempfile.TemporaryDirectory(prefix="robotini-") as folder:
            found.append(_one_start(Path(folder) / "run", arguments))
    return start_figures(found)


def start_figures(starts: Sequence[Start]) -> list[Figure]:
    """Computes the figures: first the milestones, then processor time and readiness of each part, the costliest part first."""
    figures = [_ready(name, starts) for name in MILESTONES.values() if all(name in start.ready_s for start in starts)]
    costs = {name: spread([start.cpu_s.get(name, 0.0) for start in starts]) for start in starts for name in start.cpu_s}
    figures.append(Figure("start_cpu", spread([sum(start.cpu_s.values()) for start in starts]), "CPU s"))
    for name in sorted(costs, key=lambda name: -costs[name].value):
        figures.append(Figure(f"start_cpu_{name}", costs[name], "CPU s"))
        if all(name in start.ready_s for start in starts) and name not in MILESTONES.values():
            figures.append(_ready(name, starts))
    return figures


def _ready(name: str, starts: Sequence[Start]) -> Figure:
    return Figure(f"start_ready_{name}", spread([start.ready_s[name] for start in starts]), "s")


def _one_start(run_dir: Path, arguments: Sequence[str]) -> Start:
    """Starts a training, watches it until it trains, ends it and returns the readings."""
    log, start, began_s = run_dir.with_suffix(".log"), Start(), time.monotonic()
    with running_launch(["train", *arguments, "--run-dir", str(run_dir)], log) as child:
        while TRAINING not in start.ready_s:
            if child.poll() is not None or time.monotonic() > began_s + TIMEOUT_S:
                raise MeasurementError(f"a training did not get to train: {last_printed(log)}")
            time.sleep(POLL_S)
            now_s = time.monotonic() - began_s
            _read(log, start, now_s)
            _look(run_dir, start, now_s)
    return start


def _read(log: Path, start: Start, now_s: float) -> None:
    """Notes which milestones the training has reached, by what it has printed."""
    for line in log.read_text(errors="replace").splitlines():
        for words, name in MILESTONES.items():
            if line.startswith(words):
                start.ready_s.setdefault(name, now_s)


def _look(run_dir: Path, start: Start, now_s: float) -> None:
    """Notes which parts run, and the processor time of those that did not run at the last look."""
    program = read_program(run_dir)
    if program is None:
        return
    parts = {record.process.pid: (name, record.state) for name, record in program.parts.items()}
    parts[program.launcher.pid] = (LAUNCHER, "")
    used_s: dict[str, float] = {}
    for pid in own_processes():
        mark = None if pid in parts else mark_of(pid)  # a part may have overwritten its mark with its title
        if pid not in parts and (mark is None or mark.run_dir != run_dir):
            continue
        name, state = parts.get(pid, (RAY, ""))
        used_s[name] = used_s.get(name, 0.0) + cpu_time_s(pid)
        if state == State.RUNNING.value:
            start.ready_s.setdefault(name, now_s)
    for name, cpu_s in used_s.items():
        if start.ready_s.get(name, now_s) == now_s:
            start.cpu_s[name] = cpu_s


MEASUREMENTS: tuple[Measurement, ...] = (measure,)
