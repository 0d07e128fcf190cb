"""``replay-log``: a recorded race on a spectator socket and the monitor's page."""

from __future__ import annotations

import contextlib
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from robotini_ray.config import Config, ConfigError, SimulatorConfig
from robotini_ray.monitor.live_page import live_page
from robotini_ray.racing.race_log_server import EventLog, RaceLogServer
from robotini_ray.racing.spectator_watch import SpectatorWatch
from robotini_ray.shipped.files import shipped_tracks
from robotini_ray.track.track import load_track


def run(file: Path, host: str, port: int, speed: float, loop: bool, track: str | None, monitor_port: int | None) -> int:
    """Sends the log to its end, or for ever; returns the exit code."""
    log = EventLog(file)
    next(iter(log))  # a file that holds nothing is refused before anybody connects
    place = None if monitor_port is None else track or _track_of(log, file)
    with contextlib.closing(RaceLogServer(log, host, port, speed)) as replay:
        ready = f"ready log={replay.address[0]}:{replay.address[1]}"
        try:
            if monitor_port is None or place is None:
                print(f"{ready}; begins when the first spectator connects", flush=True)
                replay.run(lambda: loop)
            else:
                print(ready, flush=True)
                _run_with_page(replay, place, monitor_port, loop)
        except KeyboardInterrupt:
            return 130
    skipped = f", {log.bad_lines} lines skipped that were none" if log.bad_lines else ""
    print(f"{file}: {replay.sent} events sent{skipped}", file=sys.stderr)
    return 0


def _run_with_page(replay: RaceLogServer, track: str, monitor_port: int, loop: bool) -> None:
    """The page is the first spectator, and begins as soon as it can be opened."""
    known_track = load_track(track)
    config = Config(simulator=SimulatorConfig(track=track))
    with live_page("replay", config, monitor_port) as (address, store), ThreadPoolExecutor(1) as pool:
        print(f"watch it: {address}{'' if loop else ' until the log ends; --loop plays it again and again'}", flush=True)
        watch = SpectatorWatch(*replay.address, known_track, store, replay.color_of)
        watched = pool.submit(watch.run)
        try:
            replay.run(lambda: loop and not watched.done())
        finally:
            replay.close()  # with which the watch ends as well
        watched.result()


def _track_of(log: EventLog, file: Path) -> str:
    """Name of the shipped track that a log's RaceParameters name.

    Raises:
        ConfigError: they name another one, or there are none.
    """
    names = (event.get("track") for event in log if event["type"] == "RaceParameters")
    name = next(names, None)
    for shipped in shipped_tracks():
        if name == f"{shipped}.json":
            return shipped
    raise ConfigError(f"{file} was driven on {name!r}, which is no shipped track: give its file with --track, or --no-monitor")
