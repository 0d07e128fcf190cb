"""Implements ``simulate``, which runs the embedded simulator as a server."""

from __future__ import annotations

import dataclasses
import signal
import sys
from pathlib import Path
from typing import Literal

from robotini_ray.config import RandomisationConfig
from robotini_ray.machine.addresses import is_loopback
from robotini_ray.simulator.server.server import SimulatorServer
from robotini_ray.simulator.world.race_parameters import RaceParameters, load_parameters
from robotini_ray.simulator_address import host_and_port
from robotini_ray.track.track import load_track


def run(
    track: str,
    host: str,
    car_port: int,
    log_port: int,
    pace: Literal["realtime", "max"],
    answer_timeout_ms: int,
    parameters: Path | None,
    num_segments: int | None,
    seed: int,
    car_contact: bool,
    upstream: bool,
    allow_ui_commands: bool,
    randomisation: RandomisationConfig,
) -> int:
    """Serves until Ctrl-C or SIGTERM; returns the exit code, always 0. The help of the verb explains the arguments."""
    race = RaceParameters() if parameters is None else load_parameters(parameters)
    if num_segments is not None:
        race = dataclasses.replace(race, num_segments=num_segments)
    server = SimulatorServer(
        load_track(track),
        race,
        host=host,
        car_port=car_port,
        log_port=log_port,
        pace=pace,
        answer_timeout_ms=answer_timeout_ms,
        seed=seed,
        car_contact=car_contact,
        randomisation=randomisation,
        upstream=upstream,
        allow_ui_commands=allow_ui_commands,
        say=lambda line: print(line, flush=True),
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: server.stop())
    if not is_loopback(host):
        print(
            f"warning: {host} is reachable from other machines, and the simulator has no access control: "
            "everybody who connects can drive a car and watch",
            file=sys.stderr,
        )
    car, log = server.car_address, server.log_address
    print(f"ready car={host_and_port(*car)} log={host_and_port(*log)}", flush=True)
    server.run()
    return 0
