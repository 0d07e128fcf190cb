"""Runs a whole training as users start it, as a child process, and derives its milestones from its evaluations."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from robotini_ray.benchmarks.apparatus.figure import MeasurementError, Say
from robotini_ray.config import FRAMES_PER_SECOND
from robotini_ray.machine.child_process import start_child
from robotini_ray.run.directory import RunDirectory
from robotini_ray.track.reference_laps import BEST_BOT_RATIO

CLEAN_LAPS = 10
END_TIMEOUT_S = 600.0
START_AND_END_S = 600.0
"""Only a command that hangs takes so long to start and to end, however busy the machine is."""

LAP_S = 30.0
SAY_INTERVAL_S = 60.0
SECONDS_PER_HOUR = 3600


RUNS = Path("runs")


def new_folder(name: str) -> Path:
    """Creates ``runs/NAME-DATE-TIME`` and returns it; the trainings of a figure stay there for inspection."""
    folder = RUNS / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder.mkdir(parents=True)
    return folder


class Milestones(NamedTuple):
    """The milestones of a training; None for those that it has not reached.

    Times run from the start of the process to the end of the evaluation that showed the milestone.

    Attributes:
        first_lap_s: Seconds to the first flying lap.
        clean_laps_s: Seconds to ten clean laps in a row, over one or more evaluations, with no crash among them.
        bot_lap_s: Seconds to a lap within 1.31 times the limit.
        car_hours: Game time in hours of all collecting cars up to that lap.
        worst_after: The worst setback after the ten clean laps: the least ratio of an evaluation's return to the best
            return before it.
    """

    first_lap_s: float | None
    clean_laps_s: float | None
    bot_lap_s: float | None
    car_hours: float | None
    worst_after: float | None


def milestones(evaluations: Sequence[dict[str, Any]], began_at: float) -> Milestones:
    """Computes the milestones from the lines of ``evaluations.jsonl``.

    Args:
        evaluations: The lines in order.
        began_at: Unix time of the start of the training's process.
    """
    first_lap_s = clean_laps_s = bot_lap_s = car_hours = None
    in_a_row = 0
    best_return = 0.0
    later_shares: list[float] = []
    for evaluation in evaluations:
        passed_s = evaluation["ended_at"] - began_at
        average_return = evaluation["average_return"] or 0.0
        if clean_laps_s is not None and best_return > 0:
            later_shares.append(average_return / best_return)
        best_return = max(best_return, average_return)
        laps, clean = len(evaluation["laps"]), evaluation["clean_laps"]
        if laps and first_lap_s is None:
            first_lap_s = passed_s
        in_a_row = in_a_row + clean if clean == laps and not evaluation["crashes"] else 0
        if in_a_row >= CLEAN_LAPS and clean_laps_s is None:
            clean_laps_s = passed_s
        if bot_lap_s is None and laps and evaluation["best_lap_s"] <= BEST_BOT_RATIO * evaluation["limit_s"]:
            bot_lap_s = passed_s
            car_hours = evaluation["env_steps"] / FRAMES_PER_SECOND / SECONDS_PER_HOUR
    worst_after = min(later_shares, default=None)
    return Milestones(first_lap_s, clean_laps_s, bot_lap_s, car_hours, worst_after)


def run_training(run_dir: Path, minutes: float, arguments: Sequence[str], say: Say) -> tuple[list[dict[str, Any]], float]:
    """Runs a training for a number of minutes and blocks until it has ended.

    Args:
        run_dir: The run directory, which must be new; the output goes to ``RUN_DIR.log`` beside it.
        minutes: Duration of the training.
        arguments: Further arguments of ``launch train``.
        say: Takes a line of progress every minute.

    Returns:
        The evaluations and the Unix time of the start.

    Raises:
        MeasurementError: The training failed.
    """
    run_dir.parent.mkdir(parents=True, exist_ok=True)
    began_at = time.time()
    command = ["train", *arguments, "--run-dir", str(run_dir), "--minutes", str(minutes)]
    run_launch(command, run_dir.with_suffix(".log"), minutes * 60 + START_AND_END_S, lambda: _say_state(run_dir, say))
    return RunDirectory(run_dir, fresh=False).evaluations(), began_at


def run_evaluation(policy: Path, laps: int, track: str) -> dict[str, Any]:
    """Runs ``launch evaluate`` with one car in a simulator of its own and returns the result.

    Args:
        policy: Directory ``policies/NAME`` of a run; the result's file is written into the run directory.
        laps: Number of laps to drive.
        track: Name of a track, or path of its file.

    Raises:
        MeasurementError: The evaluation failed or did not end within 30 s a lap, beside its start and end.
    """
    result = policy.parent.parent / f"laps-{Path(track).stem}.json"
    command = ["evaluate", "--policy", str(policy), "--laps", str(laps), "--track", track, "--json-file", str(result)]
    run_launch(command, result.with_suffix(".log"), START_AND_END_S + LAP_S * laps, lambda: None)
    row: dict[str, Any] = json.loads(result.read_text())["results"][0]
    return row


def run_launch(arguments: list[str], log: Path, timeout_s: float, watch: Any) -> None:
    """Runs a command of ``launch`` and blocks until it has ended; one that takes too long is terminated.

    Args:
        arguments: Arguments of ``launch``.
        log: File for the output.
        timeout_s: Time after which the command is terminated.
        watch: Is called every minute, without arguments.

    Raises:
        MeasurementError: The command ended with an exit code other than 0; the message ends with its last line of output.
    """
    with running_launch(arguments, log) as child:
        ends_s = time.monotonic() + timeout_s
        said_s = time.monotonic()
        while child.poll() is None and time.monotonic() < ends_s:
            time.sleep(0.2)
            if time.monotonic() > said_s + SAY_INTERVAL_S:
                said_s = time.monotonic()
                watch()
    if child.returncode:
        raise MeasurementError(f"launch {arguments[0]} ended with code {child.returncode}: {last_printed(log)}")


@contextlib.contextmanager
def running_launch(arguments: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a command of ``launch`` and ends it in order with the context, if it has not ended by then.

    Args:
        arguments: Arguments of ``launch``.
        log: File for the output.
    """
    with log.open("wb") as output:
        command = [sys.executable, "-m", "robotini_ray.launch", *arguments]
        child = start_child(command, stderr=output, stdout=output, death_signal=signal.SIGTERM)
        try:
            yield child
        finally:
            if child.poll() is None:
                child.terminate()
                child.wait(END_TIMEOUT_S)


def last_printed(log: Path) -> str:
    """Returns the last line of a command's output, for messages."""
    return (log.read_text(errors="replace").strip().splitlines() or ["it printed nothing"])[-1]


def _say_state(run_dir: Path, say: Say) -> None:
    evaluations = RunDirectory(run_dir, fresh=False).evaluations()
    laps = [evaluation["best_lap_s"] for evaluation in evaluations if evaluation["best_lap_s"] is not None]
    say(f"{len(evaluations)} evaluations" + (f", best lap {min(laps):.2f} s" if laps else ""))
