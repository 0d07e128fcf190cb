"""Defines the verbs that race, judge and convert policies; each imports what it needs when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from robotini_ray.commands.options import (
    MONITOR_HELP,
    MONITOR_PORT,
    PATH,
    POLICY_HELP,
    PORT,
    RANDOMISATION_EPILOG,
    SECONDS,
    SEED,
    SHIPPED_POLICY,
    SIMULATOR_HELP,
    TRACK_HELP,
    WAIT_HELP,
    randomisation_of,
)
from robotini_ray.commands.output import output_directory, output_file


@click.command(epilog=RANDOMISATION_EPILOG)
@click.option(
    "--policy",
    type=PATH,
    multiple=True,
    default=[SHIPPED_POLICY],
    help=f"{POLICY_HELP} May be repeated. Default: the shipped policy default.",
)
@click.option("--track", multiple=True, help=f"{TRACK_HELP} May be repeated. Default: each policy's own.")
@click.option("--simulator", help=SIMULATOR_HELP)
@click.option("--wait", is_flag=True, help=WAIT_HELP)
@click.option(
    "--laps", type=click.IntRange(1), help="Flying laps to drive in each evaluation. Default: 10, unless --seconds is given."
)
@click.option("--seconds", type=SECONDS, help="Seconds of game time to drive; with --laps, what is reached first counts.")
@click.option("--seed", type=SEED, default=0, help="Seed of the embedded simulator.", show_default=True)
@click.option(
    "--hand-written/--no-hand-written",
    default=None,
    help="Also drive with the hand-written policy, for comparison. Default: only if there are several policies or tracks.",
)
@click.option(
    "--json", "print_json", is_flag=True, help="Print the results as one line of JSON instead, the last line of stdout."
)
@click.option("--json-file", type=PATH, callback=output_file, help="Also write the results as JSON to this file.")
@click.pass_context
def evaluate(context: click.Context, **settings: Any) -> int:
    """Drive trained policies greedily and report their laps.

    Every policy drives on every track, without exploration noise. With a single evaluation the result is a short text, with
    several it is a table with the track's limit, the lap time of a point mass on the racing line. An evaluation by laps
    alone ends after 120 s of game time for each lap.
    """
    from robotini_ray.commands.evaluate import run

    return run(**settings, randomisation=randomisation_of(context))


@click.command()
@click.option("--policy", type=PATH, default=SHIPPED_POLICY, help=POLICY_HELP, show_default=True)
@click.option("--simulator", envvar="SIMULATOR", help=f"{SIMULATOR_HELP} Also read from the environment variable SIMULATOR.")
@click.option("--track", help="Track of the embedded simulator. Default: the one that the policy was trained on.")
@click.option(
    "--name", envvar="teamname", default="robotini_ray", help="Name of the car; also read from teamname.", show_default=True
)
@click.option(
    "--team-id", envvar="teamid", default="robotini_ray", help="Team of the car; also read from teamid.", show_default=True
)
@click.option("--color", default="#e01b24", help="Colour of the car, as #rrggbb.", show_default=True)
@click.option(
    "--laps", type=click.IntRange(1), help="Stop after this many laps, qualifying included. Default: drive until Ctrl-C."
)
@click.option("--wait", is_flag=True, help="Keep trying until the simulator can be reached, instead of ending with an error.")
def drive(**settings: Any) -> int:
    """Race with a policy as a bot.

    The car drives by its camera on a running simulator, or on an embedded one in real time. A connection that is lost is made
    again, and the car is stopped at the end. --name, --team-id and --simulator are also read from the environment variables
    teamname, teamid and SIMULATOR, which a race host sets.
    """
    from robotini_ray.commands.drive import run

    return run(**settings)


@click.command()
@click.option("--runs", type=PATH, default=Path("runs"), help="Directory that holds the run directories.", show_default=True)
@click.option("--track", help="Name of a track: show only policies that were trained on it. Default: all.")
@click.option("--json", "print_json", is_flag=True, help="Print one line of JSON instead of a table.")
def leaderboard(**settings: Any) -> int:
    """Compare the best policies of all runs.

    The runs are ordered by the evaluation of their best policy: fewest crashes first, then the lowest median lap as a multiple
    of the track's limit.
    """
    from robotini_ray.commands.leaderboard import run

    return run(**settings)


@click.command(epilog=RANDOMISATION_EPILOG)
@click.option("--policy", type=PATH, default=SHIPPED_POLICY, help=POLICY_HELP, show_default=True)
@click.option(
    "-o", "--output", type=PATH, required=True, callback=output_file, help="File to write; it ends in .webm, .gif or .png."
)
@click.option("--track", help=f"{TRACK_HELP} Default: the one that the policy was trained on.")
@click.option("--simulator", help=SIMULATOR_HELP)
@click.option(
    "--laps", type=click.IntRange(1), default=1, help="Flying laps to drive; the fastest is recorded.", show_default=True
)
@click.option("--seconds", type=SECONDS, help="Record this many seconds of game time from the start instead of a lap.")
@click.option("--seed", type=SEED, default=0, help="Seed of the embedded simulator.", show_default=True)
@click.pass_context
def record(context: click.Context, **settings: Any) -> int:
    """Record a lap of a policy as a film or a picture.

    The lap is drawn from above: the car's trail in the colours of its speed, and what its camera saw.
    """
    from robotini_ray.commands.record import run

    return run(**settings, randomisation=randomisation_of(context))


@click.command()
@click.option("--policy", type=PATH, default=SHIPPED_POLICY, help=POLICY_HELP, show_default=True)
@click.option("--format", type=click.Choice(["npz", "savedmodel", "tflite", "onnx"]), required=True, help="Format to write.")
@click.option(
    "-o", "--output", type=PATH, required=True, callback=output_directory, help="Directory to write; it must not exist."
)
def export(**settings: Any) -> int:
    """Write a policy in another format for other programs.

    The result is kept only if it acts like the policy. The format onnx needs the packages of the extra onnx.
    """
    from robotini_ray.commands.export import run_export

    return run_export(**settings)


@click.command("import")
@click.argument("saved_model", type=PATH)
@click.option(
    "-o", "--output", type=PATH, required=True, callback=output_directory, help="Directory to write; it must not exist."
)
@click.option(
    "--track", default="default", help="Track that the policy was trained on; SAVED_MODEL does not name it.", show_default=True
)
def import_policy(**settings: Any) -> int:
    """Import a recurrent policy of the original trainer.

    SAVED_MODEL is the directory of a policy that robotini-ddpg saved. Only its variables are read; the program in it is not
    run.
    """
    from robotini_ray.commands.export import run_import

    return run_import(**settings)


@click.command()
@click.argument("file", type=PATH)
@click.option("--host", default="127.0.0.1", help="Address to listen on.", show_default=True)
@click.option("--port", type=PORT, default=11001, help="Port for spectators; 0 takes a free one.", show_default=True)
@click.option(
    "--speed",
    type=click.FloatRange(0, 1000, min_open=True),
    default=1.0,
    help="Factor of the recorded pace; 2 is twice as fast.",
    show_default=True,
)
@click.option("--loop", is_flag=True, help="Start again at the end, until Ctrl-C.")
@click.option("--track", help="Track that was driven on, for the live page. Default: the shipped one that FILE names.")
@click.option("--monitor-port", type=PORT, default=MONITOR_PORT, help=MONITOR_HELP, show_default=True)
@click.option("--no-monitor", is_flag=True, help="Leave out the live page; sending starts when the first spectator connects.")
def replay_log(monitor_port: int, no_monitor: bool, **settings: Any) -> int:
    """Replay a recorded race to spectators and the live page.

    FILE is a race.log that a simulator wrote, or a recorded spectator stream. Its events are sent at the recorded pace.
    """
    from robotini_ray.commands.replay_log import run

    return run(**settings, monitor_port=None if no_monitor else monitor_port)


@click.command()
@click.option(
    "--policy",
    type=PATH,
    multiple=True,
    default=[SHIPPED_POLICY],
    help=f"{POLICY_HELP} May be repeated; the cars take them in turn. Default: the shipped policy default.",
)
@click.option("--track", default="default", help=TRACK_HELP, show_default=True)
@click.option("--seconds", type=SECONDS, help="End the race after this many seconds of game time. Default: race until Ctrl-C.")
@click.option("--seed", type=SEED, default=0, help="Seed of the differences between the cars.", show_default=True)
@click.option("--monitor-port", type=PORT, default=MONITOR_PORT, help=MONITOR_HELP, show_default=True)
@click.option("--no-monitor", is_flag=True, help="Race without the live page; then no Redis server is needed.")
def demo(monitor_port: int, no_monitor: bool, **settings: Any) -> int:
    """Let six cars race in the embedded simulator.

    The cars drive by their cameras alone, with the shipped policy or with yours, and differ in grip, mass and motor. A live
    page shows them; a table at the end shows the result of each car.
    """
    from robotini_ray.commands.demo import run

    return run(**settings, monitor_port=None if no_monitor else monitor_port)


RACING_VERBS = (demo, evaluate, drive, leaderboard, record, export, import_policy, replay_log)
