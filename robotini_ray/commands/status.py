"""Implements ``status``, which prints the state of a program, once or every two seconds."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from robotini_ray.machine.terminal_text import one_line
from robotini_ray.watch.status import CarStatus, PartStatus, Status, clock_time, find_run_dir, read_status

RUNS = Path("runs")
WATCH_INTERVAL_S = 2.0
PLAIN_WIDTH = 120


def run(run_dir: Path | None, print_json: bool, watch: bool) -> int:
    """Prints the status.

    Args:
        run_dir: The run directory, or None for that of the running program, else of the newest one below ``runs/``.
        print_json: Whether to print one line of JSON instead of text.
        watch: Whether to print the status every two seconds until Ctrl-C.

    Returns:
        0 if a program is running or has ended in order, and nothing is wrong with it; 1 otherwise; 130 after ``watch``.

    Raises:
        ProgramFileError: There is no run, or its files cannot be read.
    """
    directory = run_dir or find_run_dir(RUNS)
    if watch:
        return _watch(directory, print_json)
    status = read_status(directory)
    if print_json:
        print(json.dumps(status.to_json()))
    else:
        _console().print(render(status))
    return 0 if status.is_sound else 1


def render(status: Status) -> Group:
    """Returns the status as text and tables for a terminal."""
    since = "" if status.since is None else f" since {clock_time(status.since)}"
    pid = "" if status.launcher_pid is None else f", launcher {status.launcher_pid}"
    age = "" if status.figures_age_s is None or status.state == "ended" else f", figures from {status.figures_age_s:.0f} s ago"
    lines: list[Any] = [Text(f"{one_line(status.run_dir)}: {status.state}{since}{pid}{age}")]
    if status.figures:
        lines.append(_figures(status.figures, status.summary))
    if status.parts:
        lines.append(_parts(status.parts))
    if status.cars:
        lines.append(_cars(status.cars))
    faults = ", ".join(f"{one_line(cause)} {count}" for cause, count in sorted(status.faults.items()) if count)
    if faults:
        lines.append(Text(f"faults: {faults}"))
    lines += [Text(f"! {problem}") for problem in status.problems]
    if status.resume_command is not None:
        lines.append(Text(f"resume it with `{status.resume_command}`"))
    return Group(*lines)


def _watch(directory: Path, print_json: bool) -> int:
    console = _console()
    try:
        if print_json or not console.is_terminal:
            while True:
                status = read_status(directory)
                if print_json:
                    print(json.dumps(status.to_json()), flush=True)
                else:
                    console.print(render(status))
                time.sleep(WATCH_INTERVAL_S)
        with Live(console=console, auto_refresh=False, screen=True) as live:
            while True:
                live.update(render(read_status(directory)), refresh=True)
                time.sleep(WATCH_INTERVAL_S)
    except KeyboardInterrupt:
        return 130


def _figures(figures: dict[str, Any], summary: dict[str, Any]) -> Table:
    share = 100 * figures["replay_items"] / figures["replay_capacity"]
    last = figures["last_evaluation"] or {}
    rows = {
        "env steps": f"{figures['env_steps']:,} ({figures['env_steps_per_s']:,.0f}/s)",
        "train steps": f"{figures['train_steps']:,} ({figures['train_steps_per_s']:,.0f}/s)",
        "learner waits": f"{100 * figures['waiting_share']:.0f} % of its time",
        "weights": f"{figures['weights_version']}, the oldest in use {figures['weights_age_s']:.1f} s old",
        "replay": f"{figures['replay_items']:,} of {figures['replay_capacity']:,} ({share:.0f} %)",
        "laps, crashes": f"{figures['laps']:,}, {figures['crashes']:,}",
        "reconnects": f"{figures['reconnects']:,}",
        "last evaluation": _evaluation(last),
        "best lap": "-" if summary.get("best_lap_s") is None else f"{summary['best_lap_s']:.2f} s",
    }
    table = Table(show_header=False, box=None)
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _evaluation(last: dict[str, Any]) -> str:
    if not last:
        return "none yet"
    median = "no lap" if last["median_lap_s"] is None else f"median {last['median_lap_s']:.2f} s"
    return f"at step {last['train_step']:,}: {last['clean_laps']} clean of {len(last['laps'])} laps, {median}"


def _parts(parts: list[PartStatus]) -> Table:
    table = Table("part", "pid", "host", "alive", "restarts", "answered", box=None)
    for part in parts:
        alive = {True: "yes", False: "no", None: "?"}[part.alive]
        row = (one_line(part.name), str(part.pid), one_line(part.host), alive, str(part.restarts))
        table.add_row(*row, f"{part.answered_s_ago:.0f} s ago")
    return table


def _cars(cars: list[CarStatus]) -> Table:
    table = Table("car", "role", "state", "speed", "segment", "weights", box=None)
    for car in cars:
        fields = car.fields
        speed = fields.get("speed_m_s")
        row = (
            car.name,
            car.role,
            car.state,
            f"{speed:.2f} m/s" if isinstance(speed, float) else "-",
            str(fields.get("track_segment", "-")),
            str(fields.get("weights_version", "-")),
        )
        table.add_row(*(Text(one_line(text)) for text in row))  # text from another process: it must not move the cursor
    return table


def _console() -> Console:
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    return console
