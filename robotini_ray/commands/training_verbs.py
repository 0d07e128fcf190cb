"""Defines the verbs that train, simulate and inspect a run; each imports what it needs when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from robotini_ray.benchmarks.catalog import LONG_NAMES as LONG_BENCHMARKS
from robotini_ray.benchmarks.catalog import NAMES as BENCHMARKS
from robotini_ray.commands.options import (
    CONFIG_EPILOG,
    LINE,
    MONITOR_HELP,
    MONITOR_PORT,
    PATH,
    PORT,
    RANDOMISATION_EPILOG,
    SECONDS,
    SEED,
    SIMULATOR_HELP,
    TRACK_HELP,
    WAIT_HELP,
    randomisation_of,
    resolve_config,
)
from robotini_ray.commands.output import output_file
from robotini_ray.monitor.process import REDIS_VARIABLE
from robotini_ray.shipped.files import QUICKSTART

BENCHMARK_HELP = (
    f"Measure how fast the program is on this machine.\n\nWithout a NAME, these are measured: {', '.join(BENCHMARKS)}. "
    f"The others train for a quarter of an hour to an hour each and have to be named: {', '.join(LONG_BENCHMARKS)}."
)


@click.command(epilog=CONFIG_EPILOG)
@click.argument("config", type=PATH, default=QUICKSTART)
@click.option("--run-dir", type=PATH, help="Run directory. Default: runs/NAME-OF-CONFIG.")
@click.option("--simulator", help=SIMULATOR_HELP)
@click.option("--wait", is_flag=True, help=WAIT_HELP)
@click.option("--track", help=TRACK_HELP)
@click.option("--cars", type=int, help="Number of collecting cars.")
@click.option("--seed", type=int, help="Seed of the networks, the exploration noise and the embedded simulators.")
@click.option("--minutes", type=float, help="Train for this many minutes of wall-clock time, then end.")
@click.option("--train-steps", type=int, help="End the run at this train step; earlier invocations count.")
@click.option(
    "--address", envvar="RAY_ADDRESS", default="local", help="Ray cluster: local, auto or HOST:PORT.", show_default=True
)
@click.option("--fresh", is_flag=True, help="Start a new run; an earlier one in the run directory is moved to DIR.old-N.")
@click.option("--monitor-port", type=PORT, default=MONITOR_PORT, help=MONITOR_HELP)
@click.option("--no-monitor", is_flag=True, help="Train without the live page.")
@click.option("--tensorboard", is_flag=True, help="Start TensorBoard as well; it ends with the run.")
@click.option(
    "--tensorboard-port",
    type=click.IntRange(1, 65535),
    default=6006,
    help="Port of TensorBoard, on 127.0.0.1.",
    show_default=True,
)
@click.pass_context
def train(
    context: click.Context,
    config: Path,
    run_dir: Path | None,
    simulator: str | None,
    wait: bool,
    track: str | None,
    cars: int | None,
    seed: int | None,
    minutes: float | None,
    train_steps: int | None,
    address: str,
    fresh: bool,
    monitor_port: int,
    no_monitor: bool,
    tensorboard: bool,
    tensorboard_port: int,
) -> int:
    """Train a policy.

    CONFIG is a YAML file, or the name of a shipped recipe such as td3 (default: quickstart); options replace its values. The
    same command again resumes the run where it ended.

    --address local (the default, unless the environment variable RAY_ADDRESS is set) starts Ray on this machine; auto and
    HOST:PORT join a running cluster. The live page is served on http://127.0.0.1:8080 unless --monitor-port names another port.
    """
    from robotini_ray.commands.train import run
    from robotini_ray.watch.web_pages import PagePorts

    named = {
        "simulator.address": simulator,
        "simulator.track": track,
        "collection.cars": cars,
        "run.seed": seed,
        "run.minutes": minutes,
        "run.train_steps": train_steps,
    }
    resolved = resolve_config(config, context, named)
    ports = PagePorts(None if no_monitor else monitor_port, tensorboard_port if tensorboard else None)
    return run(resolved, run_dir or Path("runs") / config.stem, address, fresh, wait, ports, context.obj[LINE])


@click.command(epilog=RANDOMISATION_EPILOG)
@click.option("--track", default="default", help=TRACK_HELP, show_default=True)
@click.option("--host", default="127.0.0.1", help="Address to listen on.", show_default=True)
@click.option("--car-port", type=PORT, default=11000, help="Port for cars; 0 takes a free one.", show_default=True)
@click.option("--log-port", type=PORT, default=11001, help="Port for spectators; 0 takes a free one.", show_default=True)
@click.option(
    "--pace",
    type=click.Choice(["realtime", "max"]),
    default="realtime",
    help="realtime: 60 frames a second; max: the next frame comes as soon as every car has answered.",
    show_default=True,
)
@click.option(
    "--answer-timeout-ms",
    type=click.IntRange(1, 3_600_000),
    default=1000,
    help="At pace max: milliseconds that the world waits for a car that does not answer.",
    show_default=True,
)
@click.option("--parameters", type=PATH, help="RaceParameters.json file. Default: the values that training uses.")
@click.option("--num-segments", type=click.IntRange(2, 1000), help="Segments of the track; replaces the value in --parameters.")
@click.option("--seed", type=SEED, default=0, help="Seed of put-backs and of all randomisation.", show_default=True)
@click.option(
    "--car-contact/--no-car-contact", default=True, help="Whether cars collide or pass through each other.", show_default=True
)
@click.option("--upstream", is_flag=True, help="Do not send trackAngle and trackSegment, like the upstream simulator.")
@click.option(
    "--allow-ui-commands", is_flag=True, help="Obey ProceedToNextPhase, MotorsToggle and ResetSimulator from spectators."
)
@click.pass_context
def simulate(context: click.Context, **settings: Any) -> int:
    """Run the embedded simulator as a server.

    It speaks the protocol of the Robotini simulator: cars connect to one port, spectators to the other. It prints a line that
    starts with "ready" as soon as clients can connect, and runs until Ctrl-C.
    """
    from robotini_ray.commands.simulate import run

    return run(**settings, randomisation=randomisation_of(context))


@click.command(epilog=CONFIG_EPILOG)
@click.argument("config", type=PATH, default=QUICKSTART)
@click.option("--simulator", help=SIMULATOR_HELP)
@click.option("--wait", is_flag=True, help=WAIT_HELP)
@click.option("--track", help=TRACK_HELP)
@click.option("--cars", type=int, default=1, help="Number of cars to drive.", show_default=True)
@click.option("--seconds", type=SECONDS, default=30.0, help="Seconds of game time to drive.", show_default=True)
@click.pass_context
def debug_policy(
    context: click.Context,
    config: Path,
    simulator: str | None,
    wait: bool,
    track: str | None,
    cars: int,
    seconds: float,
) -> int:
    """Check a simulator by driving with a hand-written policy.

    The policy steers by the balance of colours in the camera picture and needs no training. It drives through the same code as
    a trained one; the laps, crashes and frames per second are printed. CONFIG is a YAML file, or the name of a shipped recipe
    such as td3 (default: quickstart).
    """
    from robotini_ray.commands.debug_policy import run

    named = {"simulator.address": simulator, "simulator.track": track, "collection.cars": cars}
    return run(resolve_config(config, context, named), seconds, wait)


@click.command()
@click.option("--run-dir", type=PATH, help="Run directory. Default: the newest one in runs/.")
@click.option(
    "--redis", envvar=REDIS_VARIABLE, help="URL of the Redis server with the cars' live state. Default: that of the training."
)
@click.option(
    "--host",
    default="127.0.0.1",
    help="Address to listen on; unless it is a loopback address, visitors need the token that is printed.",
    show_default=True,
)
@click.option("--port", type=PORT, default=MONITOR_PORT, help="Port of the page; 0 takes a free one.", show_default=True)
def monitor(**settings: Any) -> int:
    """Serve the live web page of a run.

    It shows the cars with their camera pictures, the track and the learning curves, during a training and after it. --redis is
    also read from the environment variable ROBOTINI_RAY_REDIS_URL.
    """
    from robotini_ray.commands.monitor import run

    return run(**settings)


@click.command(help=BENCHMARK_HELP)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--json", "print_json", is_flag=True, help="Also print the figures as one line of JSON, the last line of stdout.")
@click.option("--json-file", type=PATH, callback=output_file, help="Also write the figures as JSON to this file.")
def benchmark(**settings: Any) -> int:
    """Measure how fast the program is; ``BENCHMARK_HELP`` is the help text."""
    from robotini_ray.commands.benchmark import run

    return run(**settings)


@click.command(epilog=CONFIG_EPILOG)
@click.argument("config", type=PATH, default=QUICKSTART)
@click.option("--run-dir", type=PATH, help="Run directory. Default: runs/NAME-OF-CONFIG.")
@click.option("--simulator", help=SIMULATOR_HELP)
@click.option("--track", help=TRACK_HELP)
@click.option("--cars", type=int, help="Number of collecting cars.")
@click.option("--json", "print_json", is_flag=True, help="Print the findings as one line of JSON instead.")
@click.pass_context
def doctor(
    context: click.Context,
    config: Path,
    run_dir: Path | None,
    simulator: str | None,
    track: str | None,
    cars: int | None,
    print_json: bool,
) -> int:
    """Check this machine before a run and say what to fix.

    CONFIG is the YAML file of the run, or the name of a shipped recipe such as td3 (default: quickstart). The checks are about
    versions, ports, cores, memory, disk, Redis, the simulator if one is named, and processes that an earlier run has left. The
    exit code is 1 if the run would fail, else 0.
    """
    from robotini_ray.commands.doctor import run

    named = {"simulator.address": simulator, "simulator.track": track, "collection.cars": cars}
    return run(resolve_config(config, context, named), run_dir or Path("runs") / config.stem, print_json)


@click.command()
@click.option("--run-dir", type=PATH, help="Run directory. Default: the running one in runs/, else the newest.")
@click.option("--json", "print_json", is_flag=True, help="Print the status as one line of JSON instead.")
@click.option("--watch", is_flag=True, help="Show the status again every two seconds, until Ctrl-C.")
def status(**settings: Any) -> int:
    """Show the status of a running training.

    The status lists the parts (processes), rates, ages, cars and faults. The exit code is 0 if the training is running or has
    ended in order and nothing is wrong with it, else 1.
    """
    from robotini_ray.commands.status import run

    return run(**settings)


TRAINING_VERBS = (train, simulate, debug_policy, monitor, benchmark, doctor, status)
