"""Implements ``train``: runs a training from start to end and prints its messages and its summary."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from robotini_ray.commands.find_simulator import find_simulator
from robotini_ray.config import Config
from robotini_ray.machine.addresses import exposure_warning, public_addresses
from robotini_ray.machine.child_process import run_in_own_session
from robotini_ray.machine.memory import available_memory_bytes
from robotini_ray.machine.terminal_text import command_text, launch_command, near
from robotini_ray.program.ray_token import LOCAL, require_token
from robotini_ray.run.directory import RunDirectory
from robotini_ray.run.leftovers import Leftover, describe_leftovers, find_leftovers
from robotini_ray.run.memory_needed import check_memory
from robotini_ray.run.process_mark import mark_this_process
from robotini_ray.track.reference_laps import ReferenceLaps
from robotini_ray.watch.live_table import Display, clock
from robotini_ray.watch.tensorboard_process import PORT, tensorboard_command
from robotini_ray.watch.web_pages import PagePorts

IN_OWN_SESSION = "ROBOTINI_RAY_IN_OWN_SESSION"
"""The environment variable that marks the process that trains, so that it does not start another one."""

STEADY_METRICS = ("RAY_enable_open_telemetry", "0")
"""The environment variable and its value that select Ray's older export of metrics.

With the newer one (OpenTelemetry) Ray's metrics agent hangs for ever if Prometheus reads the metrics at the moment when a new
metric arrives (a wrong lock order, fixed in Ray 2.57). Ray reads the variable when it is imported.
"""


def run(config: Config, run_dir: Path, address: str, fresh: bool, wait: bool, ports: PagePorts, line: list[str]) -> int:
    """Trains in a process of its own, which has its own session and gets the same command line.

    The first call checks the simulators and the ports and starts that process; in it, the function is called again and
    trains.

    Args:
        config: The config of the run.
        run_dir: The run directory; a run that it holds is resumed.
        address: The Ray cluster: ``local``, ``auto`` or ``HOST:PORT``.
        fresh: Whether an earlier run in the directory is first moved to ``RUN_DIR.old-N``.
        wait: Whether to wait until the simulators can be reached.
        ports: The ports of the web pages.
        line: The words of the command line.

    Returns:
        The exit code of the training; 0 if the run had already reached its train steps.

    Raises:
        RobotiniError: The run cannot start; the message is one line for a person.
    """
    if address == LOCAL:
        config.check_one_machine()
    for simulator in config.simulator_addresses:
        find_simulator(simulator, wait)  # before anything is created that would have to be removed again
    if IN_OWN_SESSION not in os.environ:
        ports.check()
        if address == LOCAL:  # in a joined cluster both were set where it was started
            require_token(os.environ)
            os.environ.setdefault(*STEADY_METRICS)
        os.environ[IN_OWN_SESSION] = "1"
        return run_in_own_session([sys.executable, "-m", "robotini_ray.launch", *line])
    from robotini_ray.program.launcher import train  # imports Ray

    check_memory(config, available_memory_bytes(), collectors_here=address == LOCAL)
    directory = RunDirectory(run_dir, fresh)
    config = directory.open(config)
    leftovers = find_leftovers([directory.path])
    mark_this_process(directory.path)
    track = Path(config.simulator.track).name
    with Display(f"robotini_ray: {directory.path.name} on {track}, {config.agent.algorithm}") as display:
        _say_warnings(leftovers, display)
        for note in directory.notes:
            display.say(f"warning: {note}")
        for aside in directory.set_aside:
            display.say(f"warning: a checkpoint was damaged and is now {aside}; an earlier one is used")
        earlier = directory.progress()
        if earlier is not None:
            display.say(
                f"resuming {directory.path} at train step {earlier['train_steps']:,}, {earlier['env_steps']:,} env steps"
            )
            if config.run.train_steps is not None and earlier["train_steps"] >= config.run.train_steps:
                display.say(
                    f"this run has reached its {config.run.train_steps:,} train steps; extend it with "
                    f"--train-steps {2 * config.run.train_steps}, or begin anew with --fresh"
                )
                return 0
        code = train(config, directory, address, display, ports)
    _say_summary(config, directory, display)
    return code


def _say_warnings(leftovers: list[Leftover], display: Display) -> None:
    exposed = exposure_warning(public_addresses())
    if exposed is not None:
        display.say(exposed)
    if leftovers:
        display.say(f"warning: {describe_leftovers(leftovers)}")


def _say_summary(config: Config, directory: RunDirectory, display: Display) -> None:
    summary = directory.summary()
    if summary is None:
        display.say(f"there is no {directory.path / 'summary.json'}, because it could not be written")
        return
    lap = summary["best_lap_s"]
    first = summary["first_clean_lap"]
    faults = ", ".join(f"{cause} {count}" for cause, count in sorted(summary["faults"].items()) if count)
    display.say(
        f"trained {summary['train_steps']:,} steps on {summary['env_steps']:,} camera frames in {clock(summary['wall_s'])}; "
        f"{f'faults survived: {faults}' if faults else 'no faults'}"
    )
    if first is not None:
        display.say(f"first clean lap after {clock(first['wall_s'])} and {first['env_steps']:,.0f} frames")
    median = summary["median_lap_s"]
    if lap is None:
        display.say("no evaluation has finished a lap yet: train longer")
    elif median is None:
        display.say(f"best lap {lap:.2f} s, though not by the best policy, which had fewer crashes: train longer")
    else:
        display.say(
            f"best lap {lap:.2f} s; the best policy's median {median:.2f} s is {summary['ratio_to_limit']:.2f} times "
            f"the track's limit of {summary['limit_s']:.2f} s"
        )
        display.say(f"that is {ReferenceLaps.of(summary['limit_s']).compare(median)}, scaled to this track")
    for purpose, command in _next_commands(config, directory, summary).items():
        display.say(f"{purpose}:\n{command}")


def _next_commands(config: Config, directory: RunDirectory, summary: dict[str, Any]) -> dict[str, str]:
    """Returns the commands that a user may want to run next, by their purposes."""
    run_dir, best = near(directory.path), directory.path / "policies" / "best"
    drive = {"drive the best policy": launch_command("evaluate", "--policy", near(best))} if best.exists() else {}
    steps = config.run.train_steps
    more = [] if steps is None or summary["train_steps"] < steps else ["--train-steps", 2 * steps]
    _, *tensorboard = tensorboard_command(Path(run_dir), PORT)
    return {
        **drive,
        "look at the run": launch_command("monitor", "--run-dir", run_dir),
        "look at its learning curves": command_text([near(Path(sys.executable)), *tensorboard]),
        "continue the training": launch_command("train", f"{run_dir}/config.yaml", "--run-dir", run_dir, *more),
    }
