"""Implements ``replay-log``, which replays a recorded race on a spectator socket and on the monitor's page."""

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
    """Sends the log to its end, or again and again until Ctrl-C; returns the exit code, 0 or 130.

    Args:
        file: The recorded spectator stream.
        host: The address to listen on.
        port: The port to listen on; 0 takes a free one.
        speed: The factor of the recorded pace.
        loop: Whether to start again at the end.
        track: The track for the page, or None for the shipped one that the log names.
        monitor_port: The port of the page on 127.0.0.1 (0 takes a free one), or None to leave the page out.

    Raises:
        LogReplayError: The file cannot be read, or holds no events.
        ConfigError: The page is wanted, and the log's track is not a shipped one.
    """
    not_shown = 0
    log = EventLog(file)
    next(iter(log))  # a file without events is refused before a spectator connects
    place = None if monitor_port is None else track or _track_of(log, file)
    with contextlib.closing(RaceLogServer(log, host, port, speed)) as replay:
        ready = f"ready log={replay.address[0]}:{replay.address[1]}"
        try:
            if monitor_port is None or place is None:
                print(f"{ready}; begins when the first spectator connects", flush=True)
                replay.run(lambda: loop)
            else:
                print(ready, flush=True)
                not_shown = _run_with_page(replay, place, monitor_port, loop)
        except KeyboardInterrupt:
            return 130
    skipped = f", {log.bad_lines} lines skipped that are not events" if log.bad_lines else ""
    left_out = f", {not_shown} entries left out of the page that are no states of cars" if not_shown else ""
    print(f"{file}: {replay.sent} events sent{skipped}{left_out}", file=sys.stderr)
    return 0


def _run_with_page(replay: RaceLogServer, track: str, monitor_port: int, loop: bool) -> int:
    """Replays the log to the page, which is the first spectator; sending starts as soon as the page can be opened.

    Returns:
        The number of entries that the page could not show.
    """
    known_track = load_track(track)
    config = Config(simulator=SimulatorConfig(track=track))
    with live_page("replay", config, monitor_port) as (address, store), ThreadPoolExecutor(1) as pool:
        print(f"watch it: {address}{'' if loop else ' until the log ends; --loop plays it again and again'}", flush=True)
        watch = SpectatorWatch(*replay.address, known_track, store, replay.color_of)
        watched = pool.submit(watch.run)
        try:
            replay.run(lambda: loop and not watched.done())
        finally:
            replay.close()  # the watch ends with it
        watched.result()
        return watch.skipped


def _track_of(log: EventLog, file: Path) -> str:
    """Returns the name of the shipped track that the RaceParameters event of a log names.

    Raises:
        ConfigError: The log has no such event, or it names another track.
    """
    names = (event.get("track") for event in log if event["type"] == "RaceParameters")
    name = next(names, None)
    for shipped in shipped_tracks():
        if name == f"{shipped}.json":
            return shipped
    raise ConfigError(f"{file} was driven on {name!r}, not a shipped track: give its file with --track, or use --no-monitor")
