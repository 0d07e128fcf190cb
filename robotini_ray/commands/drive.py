"""Implements ``drive``, which drives a policy in a race.

This module must not import Ray, Redis, TensorFlow, numba or SciPy, so that the bot starts within a moment.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from robotini_ray.car.connection import Login
from robotini_ray.config import ConfigError, SimulatorConfig
from robotini_ray.machine.stop_signal import StopSignal
from robotini_ray.machine.terminal_text import printable
from robotini_ray.policy.named_policy import load_named_policy
from robotini_ray.racing.bot import Bot
from robotini_ray.simulator.embedded import temporary_simulator
from robotini_ray.simulator_address import SimulatorAddress


def run(
    policy: Path,
    simulator: str | None,
    track: str | None,
    name: str,
    team_id: str,
    color: str,
    laps: int | None,
    wait: bool,
) -> int:
    """Drives until the laps are done or a signal arrives.

    Args:
        policy: The directory of the policy, or the name of a shipped one.
        simulator: The address of a running simulator, or None to start an embedded one in real time.
        track: The track of the embedded simulator, or None for the one that the policy was trained on.
        name: The name of the car.
        team_id: The team of the car.
        color: The colour of the car, ``#rrggbb``.
        laps: Laps after which the car stops, or None to drive until a signal arrives.
        wait: Whether to keep trying to connect until the simulator answers.

    Returns:
        The exit code: 0, 130 (Ctrl-C) or 143 (SIGTERM).

    Raises:
        ConfigError: ``simulator`` and ``track`` are both given, or the login is not valid.
    """
    if simulator is not None and track is not None:
        raise ConfigError(f"--track is {track}, but the simulator at {simulator} has its own track: leave --track out")
    driver, _ = load_named_policy(policy)
    login = Login(name, team_id, color, driver.spec.image_width)
    try:
        login.line()
    except ValueError as error:
        raise ConfigError(str(error)) from error
    stop = StopSignal()
    stop.install()
    with _site(simulator, track or driver.spec.track) as address:
        bot = Bot(driver, address, login, laps, stop.came, _say)
        try:
            bot.drive(wait)
        finally:
            if bot.record.frames:
                _say(bot.record.text())
    return stop.exit_code


@contextlib.contextmanager
def _site(simulator: str | None, track: str) -> Iterator[SimulatorAddress]:
    """Yields the address of the given simulator, or of an embedded one that runs in real time during the context."""
    if simulator is not None:
        yield SimulatorAddress.parse(simulator)
        return
    with temporary_simulator(SimulatorConfig(track=track, pace="realtime"), seed=0) as embedded:
        yield embedded.address


def _say(line: str) -> None:
    print(printable(line), file=sys.stderr, flush=True)
