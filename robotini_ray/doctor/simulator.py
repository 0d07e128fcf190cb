"""Checks that a simulator sends its race parameters, and a camera frame to a car that logs in."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Mapping

from robotini_ray.car.connection import CarConnection, Login, reachable
from robotini_ray.car.errors import CarError, SpectatorLost
from robotini_ray.car.protocol import image_height
from robotini_ray.car.spectator import Spectator
from robotini_ray.config import Config, ConfigError
from robotini_ray.doctor.finding import Finding
from robotini_ray.environment.observation import BadFrame, decode_png
from robotini_ray.errors import RobotiniError
from robotini_ray.machine.terminal_text import one_line
from robotini_ray.program.ray_token import LOCAL
from robotini_ray.simulator_address import SimulatorAddress
from robotini_ray.track.track import load_track

ANSWER_TIMEOUT_S = 3.0
COLOR = "#f5c211"
CHECK = "simulator"
FIREWALL = (
    "open both ports in the simulator's firewall, and check that the simulator runs and that no other program has its ports"
)


def check_simulators(config: Config, environment: Mapping[str, str] = os.environ) -> list[Finding]:
    """Checks every simulator that the config names; embedded simulators are started by the training itself.

    Args:
        config: The config of the run.
        environment: The environment, in which ``RAY_ADDRESS`` may name a cluster.
    """
    addresses = config.simulator_addresses
    if not addresses:
        return [_embedded(config, environment)]
    return [finding for address in addresses for finding in _handshake(address, config)]


def _embedded(config: Config, environment: Mapping[str, str]) -> Finding:
    try:
        if environment.get("RAY_ADDRESS", LOCAL) == LOCAL:
            config.check_one_machine()
    except ConfigError as error:
        what, _, cure = str(error).rpartition(": ")  # the cure follows the last colon
        return Finding(CHECK, "error", what, cure)
    return Finding(CHECK, "ok", "training starts embedded simulators")


def _handshake(address: str, config: Config) -> list[Finding]:
    try:
        found = reachable(address)
    except RobotiniError as error:
        what, _, cure = str(error).rpartition("; ")  # the cure follows the last semicolon
        return [Finding(CHECK, "error", what, cure)]
    return [_parameters(found, config), _frame(found, config)]


def _parameters(address: SimulatorAddress, config: Config) -> Finding:
    check = f"{CHECK}'s parameters"
    try:
        with contextlib.closing(Spectator(address.host, address.log_port, ANSWER_TIMEOUT_S)) as spectator:
            parameters = spectator.wait_for_parameters(ANSWER_TIMEOUT_S)
    except SpectatorLost as error:
        return Finding(check, "error", str(error), "give HOST:CAR_PORT:LOG_PORT, the two ports in this order")
    except CarError as error:
        return Finding(check, "error", str(error), FIREWALL)
    track, wanted = parameters.get("track"), load_track(config.simulator.track).name
    if track != wanted:
        what = f"the simulator drives on {one_line(repr(track))}, but the config on {wanted!r}"
        return Finding(check, "error", what, "give the file of its track with --track")
    return Finding(check, "ok", f"track {one_line(str(track))}, {one_line(str(parameters.get('numSegments')))} segments")


def _frame(address: SimulatorAddress, config: Config) -> Finding:
    check = f"{CHECK}'s camera"
    name, width = f"doctor-{secrets.token_hex(3)}", config.environment.image_width
    began_s = time.monotonic()
    try:
        login = Login(name, name, COLOR, width)
        connection = CarConnection.connect(address.host, address.car_port, login, ANSWER_TIMEOUT_S)
        with contextlib.closing(connection):
            pngs = connection.receive(ANSWER_TIMEOUT_S)
        if not pngs:
            silence = f"no camera frame from {address.host}:{address.car_port} in {ANSWER_TIMEOUT_S:g} s"
            return Finding(check, "error", silence, "check whether the simulator is paused or hangs, then restart it")
        decode_png(pngs[0], width, image_height(width))
    except (CarError, BadFrame) as error:
        return Finding(check, "error", str(error), FIREWALL)
    answer_ms = 1000 * (time.monotonic() - began_s)
    return Finding(check, "ok", f"a frame of {width}x{image_height(width)} pixels {answer_ms:.0f} ms after the login")
