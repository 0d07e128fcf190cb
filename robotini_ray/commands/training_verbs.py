"""The verbs that train and look at a training; each imports what it needs when it is called."""

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
    SIMULATOR_HELP,
    TRACK_HELP,
    WAIT_HELP,
    in_a_directory,
    randomisation_of,
    resolve_config,
)
from robotini_ray.monitor.process import REDIS_VARIABLE
from robotini_ray.shipped.files import QUICKSTART

BENCHMARK_HELP = (
    f"Measure how fast the program is on this machine. Names: {', '.join(BENCHMARKS)}; without any, all of these. "
    f"{' and '.join(LONG_BENCHMARKS)} train for a quarter of an hour to an hour each and must be named."
)


@click.command(epilog=CONFIG_EPILOG)
@click.argument("config", type=PATH, default=QUICKSTART)
@click.option("--run-dir", type=PATH, help="Where everything of the run is kept. Default: runs/NAME-OF-CONFIG.")
@click.option("--simulator", help=SIMULATOR_HELP)
@click.option("--wait", is_flag=True, help=WAIT_HELP)
@click.option("--track", help=TRACK_HELP)
@click.option("--cars", type=int, help="Collecting cars.")
@click.option("--seed", type=int, help="Seed of networks, exploration noise and embedded simulators.")
@click.option("--minutes", type=float, help="Wall minutes of this invocation.")
@click.option("--train-steps", type=int, help="Train steps of the whole run, earlier invocations included.")
@click.option("--address", envvar="RAY_ADDRESS", default="local", help="Ray: local, auto or HOST:PORT.", show_default=True)
@click.option("--fresh", is_flag=True, help="Move an earlier run in the directory to DIR.old-N first.")
@click.option("--monitor-port", type=PORT, default=MONITOR_PORT, help=MONITOR_HELP)
@click.option("--no-monitor", is_flag=True, help="Train without the live page.")
@click.option("--tensorboard", is_flag=True, help="Start TensorBoard too; it ends with the run.")
@click.option("--tensorboard-port", type=click.IntRange(1, 65535), default=6006, help="On 127.0.0.1.", show_default=True)
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
    """Train a policy with the values of CONFIG (a YAML file; default: launch/quickstart.yaml).

    A second start on the same run directory goes on where the first one ended.
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
    help="At max the world advances as soon as every car has answered its frame.",
    show_default=True,
)
@click.option(
    "--answer-timeout-ms",
    type=click.IntRange(1, 3_600_000),
    default=1000,
    help="How long the world waits for a silent car at pace max.",
    show_default=True,
)
@click.option("--parameters", type=PATH, help="RaceParameters.json.")
@click.option("--num-segments", type=click.IntRange(2, 1000), help="Segments of the track, over those of the parameters.")
@click.option("--seed", type=int, default=0, help="Of random put-backs and of what is randomised.", show_default=True)
@click.option("--car-contact/--no-car-contact", default=True, help="Whether cars touch and push each other.", show_default=True)
@click.option("--upstream", is_flag=True, help="Leave out trackAngle and trackSegment, as the simulator without the fork does.")
@click.option("--allow-ui-commands", is_flag=True, help="Obey ProceedToNextPhase, MotorsToggle and ResetSimulator.")
@click.pass_context
def simulate(context: click.Context, **settings: Any) -> int:
    """Run the embedded simulator as a server."""
    from robotini_ray.commands.simulate import run

    return run(**settings, randomisation=randomisation_of(context))


@click.command(epilog=CONFIG_EPILOG)
@click.argument("config", type=PATH, default=QUICKSTART)
@click.option("--simulator", help=SIMULATOR_HELP)
@click.option("--wait", is_flag=True, help=WAIT_HELP)
@click.option("--track", help=TRACK_HELP)
@click.option("--cars", type=int, default=1, help="Cars to drive.", show_default=True)
@click.option("--seconds", type=SECONDS, default=30.0, help="Game time.", show_default=True)
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
    """Drive with a hand-written policy that turns by the balance of colours, through the whole car side."""
    from robotini_ray.commands.debug_policy import run

    named = {"simulator.address": simulator, "simulator.track": track, "collection.cars": cars}
    return run(resolve_config(config, context, named), seconds, wait)


@click.command()
@click.option("--run-dir", type=PATH, help="Of the run to show. Default: the newest in runs/.")
@click.option(
    "--redis", envvar=REDIS_VARIABLE, help="URL of the Redis server with the cars' live state. Default: the running training's."
)
@click.option(
    "--host",
    default="127.0.0.1",
    help="Address to listen on; any but a loopback one needs the printed token.",
    show_default=True,
)
@click.option("--port", type=PORT, default=MONITOR_PORT, help="0 takes a free one.", show_default=True)
def monitor(**settings: Any) -> int:
    """Serve a web page that shows a run live: its cars, their pictures, the track and the curves."""
    from robotini_ray.commands.monitor import run

    return run(**settings)


@click.command(help=BENCHMARK_HELP)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--json", "print_json", is_flag=True, help="Print the figures as one line of JSON too, the last of stdout.")
@click.option("--json-file", type=PATH, callback=in_a_directory, help="Write the figures as JSON to this file.")
def benchmark(**settings: Any) -> int:
    """The verb ``benchmark``."""
    from robotini_ray.commands.benchmark import run

    return run(**settings)


@click.command(epilog=CONFIG_EPILOG)
@click.argument("config", type=PATH, default=QUICKSTART)
@click.option("--run-dir", type=PATH, help="Of the run that is meant. Default: runs/NAME-OF-CONFIG.")
@click.option("--simulator", help=SIMULATOR_HELP)
@click.option("--track", help=TRACK_HELP)
@click.option("--cars", type=int, help="Collecting cars.")
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
    """Look at this machine before a run with CONFIG and say what to mend; exits with 1 if a run would fail.

    Versions, ports, cores, memory, disk, Redis, the simulator if one is named, and what an earlier run has left.
    """
    from robotini_ray.commands.doctor import run

    named = {"simulator.address": simulator, "simulator.track": track, "collection.cars": cars}
    return run(resolve_config(config, context, named), run_dir or Path("runs") / config.stem, print_json)


@click.command()
@click.option("--run-dir", type=PATH, help="Of the run that is meant. Default: the running or newest one in runs/.")
@click.option("--json", "print_json", is_flag=True, help="Print the status as one line of JSON instead.")
@click.option("--watch", is_flag=True, help="Again every two seconds, until Ctrl-C.")
def status(**settings: Any) -> int:
    """Show a running program: parts, rates, ages, cars and faults; exits with 1 if none ever ran or something is wrong."""
    from robotini_ray.commands.status import run

    return run(**settings)


TRAINING_VERBS = (train, simulate, debug_policy, monitor, benchmark, doctor, status)
