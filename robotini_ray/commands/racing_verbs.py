"""The verbs that take a policy racing and look at what it does; each imports what it needs when it is called."""

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
    SHIPPED_POLICY,
    SIMULATOR_HELP,
    TRACK_HELP,
    WAIT_HELP,
    in_a_directory,
    randomisation_of,
)


@click.command(epilog=RANDOMISATION_EPILOG)
@click.option("--policy", type=PATH, multiple=True, default=[SHIPPED_POLICY], help=f"{POLICY_HELP} May be given repeatedly.")
@click.option("--track", multiple=True, help=f"{TRACK_HELP} May be repeated. Default: the one that the policy was trained on.")
@click.option("--simulator", help=SIMULATOR_HELP)
@click.option("--wait", is_flag=True, help=WAIT_HELP)
@click.option("--laps", type=click.IntRange(1), help="Flying laps to drive. Default: 10, if no seconds are given.")
@click.option("--seconds", type=SECONDS, help="Game time to drive.")
@click.option("--seed", type=int, default=0, help="Of the embedded simulator.", show_default=True)
@click.option(
    "--hand-written/--no-hand-written",
    default=None,
    help="Let the hand-written policy drive as well, for comparison. Default: if there are several policies or tracks.",
)
@click.option("--json", "print_json", is_flag=True, help="Print the result as one line of JSON, the last of stdout.")
@click.option("--json-file", type=PATH, callback=in_a_directory, help="Write the result as JSON to this file.")
@click.pass_context
def evaluate(context: click.Context, **settings: Any) -> int:
    """Drive trained policies greedily, each on each track, and report their laps."""
    from robotini_ray.commands.evaluate import run

    return run(**settings, randomisation=randomisation_of(context))


@click.command()
@click.option("--policy", type=PATH, default=SHIPPED_POLICY, help=POLICY_HELP, show_default=True)
@click.option("--simulator", envvar="SIMULATOR", help=f"{SIMULATOR_HELP} Also from the environment: SIMULATOR.")
@click.option("--track", help="Track of the embedded simulator. Default: the one that the policy was trained on.")
@click.option("--name", envvar="teamname", default="robotini_ray", help="The car's name; also teamname.", show_default=True)
@click.option("--team-id", envvar="teamid", default="robotini_ray", help="Its team; also teamid.", show_default=True)
@click.option("--color", default="#e01b24", help="#rrggbb.", show_default=True)
@click.option("--laps", type=click.IntRange(1), help="Laps to drive, those of a qualifying too. Default: until Ctrl-C.")
@click.option("--wait", is_flag=True, help="Wait for a simulator that is not there yet.")
def drive(**settings: Any) -> int:
    """Race with a policy on a simulator; reconnects, and stops the car at the end."""
    from robotini_ray.commands.drive import run

    return run(**settings)


@click.command()
@click.option("--runs", type=PATH, default=Path("runs"), help="Directory of the run directories.", show_default=True)
@click.option("--track", help="Only policies that were trained on this track.")
@click.option("--json", "print_json", is_flag=True, help="Print one line of JSON instead of a table.")
def leaderboard(**settings: Any) -> int:
    """Compare the best policies of all runs, by crashes, then by lap time as a multiple of the track's limit."""
    from robotini_ray.commands.leaderboard import run

    return run(**settings)


@click.command(epilog=RANDOMISATION_EPILOG)
@click.option("--policy", type=PATH, default=SHIPPED_POLICY, help=POLICY_HELP, show_default=True)
@click.option("-o", "--output", type=PATH, required=True, callback=in_a_directory, help="File: .webm, .gif or .png.")
@click.option("--track", help=f"{TRACK_HELP} Default: the one that the policy was trained on.")
@click.option("--simulator", help=SIMULATOR_HELP)
@click.option("--laps", type=click.IntRange(1), default=1, help="Flying laps to take the quickest of.", show_default=True)
@click.option("--seconds", type=SECONDS, help="Take so much game time from the start instead of a lap.")
@click.option("--seed", type=int, default=0, help="Of the embedded simulator.", show_default=True)
@click.pass_context
def record(context: click.Context, **settings: Any) -> int:
    """Draw a lap of a policy from above: its trail in the colours of its speed, and what its camera saw."""
    from robotini_ray.commands.record import run

    return run(**settings, randomisation=randomisation_of(context))


@click.command()
@click.option("--policy", type=PATH, default=SHIPPED_POLICY, help=POLICY_HELP, show_default=True)
@click.option("--format", type=click.Choice(["npz", "savedmodel", "tflite", "onnx"]), required=True, help="What to write.")
@click.option("-o", "--output", type=PATH, required=True, callback=in_a_directory, help="A new directory.")
def export(**settings: Any) -> int:
    """Write a policy in another format, and check that it acts the same there."""
    from robotini_ray.commands.export import run_export

    return run_export(**settings)


@click.command("import")
@click.argument("saved_model", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, callback=in_a_directory, help="A new directory.")
@click.option("--track", default="default", help="That it was trained on, which it does not say.", show_default=True)
def import_policy(**settings: Any) -> int:
    """Make a policy of SAVED_MODEL, a recurrent policy of the original trainer (robotini-ddpg)."""
    from robotini_ray.commands.export import run_import

    return run_import(**settings)


@click.command()
@click.argument("file", type=PATH)
@click.option("--host", default="127.0.0.1", help="Address to listen on.", show_default=True)
@click.option("--port", type=PORT, default=11001, help="Port for spectators; 0 takes a free one.", show_default=True)
@click.option("--speed", type=click.FloatRange(0, 1000, min_open=True), default=1.0, help="Times its pace.", show_default=True)
@click.option("--loop", is_flag=True, help="Begin again at the end, until Ctrl-C.")
@click.option("--track", help="File of the track that was driven on, for the page. Default: the shipped one of its name.")
@click.option("--monitor-port", type=PORT, default=MONITOR_PORT, help=MONITOR_HELP, show_default=True)
@click.option("--no-monitor", is_flag=True, help="Leave the page out, and begin when the first spectator connects.")
def replay_log(monitor_port: int, no_monitor: bool, **settings: Any) -> int:
    """Send FILE, a simulator's race.log or a recorded spectator stream, to spectators and the live page, at its pace."""
    from robotini_ray.commands.replay_log import run

    return run(**settings, monitor_port=None if no_monitor else monitor_port)


@click.command()
@click.option("--policy", type=PATH, multiple=True, default=[SHIPPED_POLICY], help=f"{POLICY_HELP} Several drive in turn.")
@click.option("--track", default="default", help=TRACK_HELP, show_default=True)
@click.option("--seconds", type=SECONDS, help="Game time to race. Default: until Ctrl-C.")
@click.option("--seed", type=int, default=0, help="Of the differences between the cars.", show_default=True)
@click.option("--monitor-port", type=PORT, default=MONITOR_PORT, help=MONITOR_HELP, show_default=True)
@click.option("--no-monitor", is_flag=True, help="Race without the page; needs no Redis.")
def demo(monitor_port: int, no_monitor: bool, **settings: Any) -> int:
    """Watch six cars race in the embedded simulator, driven by shipped policies or yours."""
    from robotini_ray.commands.demo import run

    return run(**settings, monitor_port=None if no_monitor else monitor_port)


RACING_VERBS = (demo, evaluate, drive, leaderboard, record, export, import_policy, replay_log)
