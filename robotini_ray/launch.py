"""The command line: ``python -m robotini_ray.launch [VERB] [CONFIG.yaml] [--section.key value ...]``.

This file only reads the line; each verb imports what it needs when it is called.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click
import gym_notices.notices as gym_notices

from robotini_ray import __version__
from robotini_ray.benchmarks.figure import LONG_NAMES as LONG_BENCHMARKS
from robotini_ray.benchmarks.figure import NAMES as BENCHMARKS
from robotini_ray.config import Config, ConfigError, load_config, nearest
from robotini_ray.errors import RobotiniError
from robotini_ray.recipe_files import QUICKSTART, find_recipe

Overrides = dict[str, Any]

PATH = click.Path(path_type=Path)
PORT = click.IntRange(0, 65535)
SIMULATOR_HELP = "HOST[:CAR_PORT[:LOG_PORT]] of a running simulator; without it an embedded one is started."
TRACK_HELP = "Name of a shipped track, or a Robotini track file."
SECONDS = click.FloatRange(0, 1e6, min_open=True)
LINE, OVERRIDES = "line", "overrides"
SHIPPED_POLICY = "default"
POLICY_HELP = "Its directory, for example runs/quickstart/policies/best, or the name of one that is shipped."
CONFIG_EPILOG = "Any value of the config: --section.key VALUE, for example --agent.horizon_s 4."
RANDOMISATION_EPILOG = (
    "Cars that differ from the standard one: --randomisation.KEY VALUE, for example --randomisation.grip [0.8,1.2]."
)
BENCHMARK_HELP = (
    f"Measure how fast the program is on this machine. Names: {', '.join(BENCHMARKS)}; without any, all of these. "
    f"{' and '.join(LONG_BENCHMARKS)} train for about an hour each and must be named."
)


def _in_a_directory(context: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    """Refuses now what could not be written when the work is done."""
    if path is not None and not path.parent.is_dir():
        raise ConfigError(f"{parameter.opts[0]} is {path}, but there is no directory {path.parent}")
    return path


@click.group(help="Trains race cars for the Robotini Racing Simulator. No verb means: train.")
@click.version_option(__version__, prog_name="robotini_ray")
def cli() -> None:
    """The verbs."""


@cli.command(epilog=CONFIG_EPILOG)
@click.argument("config", type=PATH, default=QUICKSTART)
@click.option("--run-dir", type=PATH, help="Where everything of the run is kept. Default: runs/NAME-OF-CONFIG.")
@click.option("--simulator", help=SIMULATOR_HELP)
@click.option("--track", help=TRACK_HELP)
@click.option("--cars", type=int, help="Collecting cars.")
@click.option("--seed", type=int, help="Seed of networks, exploration noise and embedded simulators.")
@click.option("--minutes", type=float, help="Wall minutes of this invocation.")
@click.option("--train-steps", type=int, help="Train steps of the whole run, earlier invocations included.")
@click.option("--address", envvar="RAY_ADDRESS", default="local", help="Ray: local, auto or HOST:PORT.", show_default=True)
@click.option("--fresh", is_flag=True, help="Move an earlier run in the directory to DIR.old-N first.")
@click.pass_context
def train(
    context: click.Context,
    config: Path,
    run_dir: Path | None,
    simulator: str | None,
    track: str | None,
    cars: int | None,
    seed: int | None,
    minutes: float | None,
    train_steps: int | None,
    address: str,
    fresh: bool,
) -> int:
    """Train a policy with the values of CONFIG (a YAML file; default: launch/quickstart.yaml).

    A second start on the same run directory goes on where the first one ended.
    """
    from robotini_ray.commands.train import run

    named = {
        "simulator.address": simulator,
        "simulator.track": track,
        "collection.cars": cars,
        "run.seed": seed,
        "run.minutes": minutes,
        "run.train_steps": train_steps,
    }
    resolved = _config(config, context, named)
    return run(resolved, run_dir or Path("runs") / config.stem, address, fresh, context.obj[LINE])


@cli.command(epilog=RANDOMISATION_EPILOG)
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

    return run(**settings, randomisation=load_config(None, context.obj[OVERRIDES]).randomisation)


@cli.command(epilog=CONFIG_EPILOG)
@click.argument("config", type=PATH, default=QUICKSTART)
@click.option("--simulator", help=SIMULATOR_HELP)
@click.option("--track", help=TRACK_HELP)
@click.option("--cars", type=int, default=1, help="Cars to drive.", show_default=True)
@click.option("--seconds", type=SECONDS, default=30.0, help="Game time.", show_default=True)
@click.pass_context
def debug_policy(
    context: click.Context, config: Path, simulator: str | None, track: str | None, cars: int, seconds: float
) -> int:
    """Drive with a hand-written policy that turns by the balance of colours, through the whole car side."""
    from robotini_ray.commands.debug_policy import run

    named = {"simulator.address": simulator, "simulator.track": track, "collection.cars": cars}
    return run(_config(config, context, named), seconds)


@cli.command(epilog=RANDOMISATION_EPILOG)
@click.option("--policy", type=PATH, multiple=True, default=[SHIPPED_POLICY], help=f"{POLICY_HELP} May be given repeatedly.")
@click.option("--track", multiple=True, help=f"{TRACK_HELP} May be repeated. Default: the one that the policy was trained on.")
@click.option("--simulator", help=SIMULATOR_HELP)
@click.option("--laps", type=click.IntRange(1), help="Flying laps to drive. Default: 10, if no seconds are given.")
@click.option("--seconds", type=SECONDS, help="Game time to drive.")
@click.option("--seed", type=int, default=0, help="Of the embedded simulator.", show_default=True)
@click.option(
    "--hand-written/--no-hand-written",
    default=None,
    help="Let the hand-written policy drive as well, for comparison. Default: if there are several policies or tracks.",
)
@click.option("--json", "print_json", is_flag=True, help="Print the result as one line of JSON, the last of stdout.")
@click.option("--json-file", type=PATH, callback=_in_a_directory, help="Write the result as JSON to this file.")
@click.pass_context
def evaluate(context: click.Context, **settings: Any) -> int:
    """Drive trained policies greedily, each on each track, and report their laps."""
    from robotini_ray.commands.evaluate import run

    return run(**settings, randomisation=load_config(None, context.obj[OVERRIDES]).randomisation)


@cli.command(help=BENCHMARK_HELP)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--json", "print_json", is_flag=True, help="Print the figures as one line of JSON too, the last of stdout.")
@click.option("--json-file", type=PATH, callback=_in_a_directory, help="Write the figures as JSON to this file.")
def benchmark(**settings: Any) -> int:
    """The verb ``benchmark``."""
    from robotini_ray.commands.benchmark import run

    return run(**settings)


@cli.command()
@click.option("--policy", type=PATH, default=SHIPPED_POLICY, help=POLICY_HELP, show_default=True)
@click.option("--simulator", envvar="SIMULATOR", help=f"{SIMULATOR_HELP} Also from the environment: SIMULATOR.")
@click.option("--track", help="Track of the embedded simulator. Default: the one that the policy was trained on.")
@click.option("--name", envvar="teamname", default="robotini_ray", help="The car's name; also teamname.", show_default=True)
@click.option("--team-id", envvar="teamid", default="robotini_ray", help="Its team; also teamid.", show_default=True)
@click.option("--color", default="#e01b24", help="#rrggbb.", show_default=True)
@click.option("--laps", type=click.IntRange(1), help="Laps to drive, as the simulator counts them. Default: until Ctrl-C.")
@click.option("--wait", is_flag=True, help="Wait for a simulator that is not there yet.")
def drive(**settings: Any) -> int:
    """Race with a policy on a simulator; reconnects, and stops the car at the end."""
    from robotini_ray.commands.drive import run

    return run(**settings)


@cli.command()
@click.option("--runs", type=PATH, default=Path("runs"), help="Directory of the run directories.", show_default=True)
@click.option("--track", help="Only policies that were trained on this track.")
@click.option("--json", "print_json", is_flag=True, help="Print one line of JSON instead of a table.")
def leaderboard(**settings: Any) -> int:
    """Compare the best policies of all runs, by crashes, then by lap time as a multiple of the track's limit."""
    from robotini_ray.commands.leaderboard import run

    return run(**settings)


@cli.command(epilog=RANDOMISATION_EPILOG)
@click.option("--policy", type=PATH, default=SHIPPED_POLICY, help=POLICY_HELP, show_default=True)
@click.option("-o", "--output", type=PATH, required=True, callback=_in_a_directory, help="File: .webm, .gif or .png.")
@click.option("--track", help=f"{TRACK_HELP} Default: the one that the policy was trained on.")
@click.option("--simulator", help=SIMULATOR_HELP)
@click.option("--laps", type=click.IntRange(1), default=1, help="Flying laps to take the quickest of.", show_default=True)
@click.option("--seconds", type=SECONDS, help="Take so much game time from the start instead of a lap.")
@click.option("--seed", type=int, default=0, help="Of the embedded simulator.", show_default=True)
@click.pass_context
def record(context: click.Context, **settings: Any) -> int:
    """Draw a lap of a policy from above: its trail in the colours of its speed, and what its camera saw."""
    from robotini_ray.commands.record import run

    return run(**settings, randomisation=load_config(None, context.obj[OVERRIDES]).randomisation)


@cli.command()
@click.option("--policy", type=PATH, default=SHIPPED_POLICY, help=POLICY_HELP, show_default=True)
@click.option("--format", type=click.Choice(["npz", "savedmodel", "tflite", "onnx"]), required=True, help="What to write.")
@click.option("-o", "--output", type=PATH, required=True, callback=_in_a_directory, help="A new directory.")
def export(**settings: Any) -> int:
    """Write a policy in another format, and check that it acts the same there."""
    from robotini_ray.commands.export import run_export

    return run_export(**settings)


@cli.command("import")
@click.argument("saved_model", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, callback=_in_a_directory, help="A new directory.")
@click.option("--track", default="default", help="That it was trained on, which it does not say.", show_default=True)
def import_policy(**settings: Any) -> int:
    """Make a policy of SAVED_MODEL, a recurrent policy of the original trainer (robotini-ddpg)."""
    from robotini_ray.commands.export import run_import

    return run_import(**settings)


@cli.command()
@click.argument("file", type=PATH)
@click.option("--host", default="127.0.0.1", help="Address to listen on.", show_default=True)
@click.option("--port", type=PORT, default=11001, help="Port for spectators; 0 takes a free one.", show_default=True)
@click.option("--speed", type=click.FloatRange(0, 1000, min_open=True), default=1.0, help="Times its pace.", show_default=True)
@click.option("--loop", is_flag=True, help="Begin again at the end, until Ctrl-C.")
def replay_log(**settings: Any) -> int:
    """Send FILE, a simulator's race.log or a recorded spectator stream, to spectators again, at its pace."""
    from robotini_ray.commands.replay_log import run

    return run(**settings)


def main(arguments: list[str]) -> int:
    """Runs one command line and returns its exit code; what is wrong with the line is said in one line, code 2."""
    _hush_imports()
    try:
        verb, rest = _verb(arguments)
        rest, overrides = _split_overrides(verb, rest)
        context = {LINE: arguments, OVERRIDES: overrides}
        return int(cli.main([verb, *rest], "robotini_ray", standalone_mode=False, obj=context) or 0)
    except click.NoSuchOption as error:
        return _refuse(f"unknown flag {error.option_name} of {verb}; {nearest(error.option_name, _flags(verb))}")
    except click.ClickException as error:
        return _refuse(f"{verb}: {' '.join(error.format_message().split())}")
    except RobotiniError as error:
        return _refuse(str(error))
    except click.Abort:
        return 130


def _hush_imports() -> None:
    """Keeps TensorFlow's and gym's (a dependency of TF-Agents that nothing here uses) greetings off the terminal."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    gym_notices.notices.clear()


def _config(path: Path, context: click.Context, named: Overrides) -> Config:
    given = {key: value for key, value in named.items() if value is not None}
    return load_config(find_recipe(path), {**context.obj[OVERRIDES], **given})


def _verb(arguments: list[str]) -> tuple[str, list[str]]:
    """The verb and the rest; a line that starts with a config or a flag is for train."""
    first = arguments[0] if arguments else "train"
    if first in ("--help", "--version", *cli.commands):
        return first, arguments[1:]
    if first.endswith(".yaml") or first.startswith("-"):
        return "train", arguments
    if not arguments:
        return "train", []
    raise ConfigError(f"unknown verb {first}; {nearest(first, cli.commands)}")


def _split_overrides(verb: str, arguments: list[str]) -> tuple[list[str], Overrides]:
    """Takes ``--section.key value`` and ``--section.key=value`` out of a line."""
    rest: list[str] = []
    overrides: Overrides = {}
    words = iter(arguments)
    for word in words:
        key, equals, value = word[2:].partition("=")
        if not word.startswith("--") or "." not in key:
            rest.append(word)
            continue
        _check_takes(verb, key)
        if not equals:
            following = next(words, None)
            if following is None:
                raise ConfigError(f"--{key} has no value")
            value = following
        overrides[key] = value
    return rest, overrides


def _check_takes(verb: str, key: str) -> None:
    epilog = cli.commands[verb].epilog if verb in cli.commands else CONFIG_EPILOG
    if epilog is None:
        raise ConfigError(f"{verb} takes no config values: --{key}")
    if epilog is RANDOMISATION_EPILOG and not key.startswith("randomisation."):
        raise ConfigError(f"{verb} takes of the config only values of section randomisation: --{key}")


def _flags(verb: str) -> list[str]:
    return [name for parameter in cli.commands[verb].params for name in parameter.opts if name.startswith("--")]


def _refuse(line: str) -> int:
    print(f"robotini_ray: {line}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
