"""``drive``: a policy in a race. Nothing here may import Ray, Redis, TensorFlow, numba or SciPy: it starts in a moment."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from robotini_ray.car.connection import Login
from robotini_ray.config import ConfigError, SimulatorConfig
from robotini_ray.machine.stop_signal import StopSignal
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
    """Drives until its laps are done or a signal comes; returns the exit code: 0, 130 or 143."""
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
    """The simulator that is named, or an embedded one in real time for the time of the context."""
    if simulator is not None:
        yield SimulatorAddress.parse(simulator)
        return
    with temporary_simulator(SimulatorConfig(track=track, pace="realtime"), seed=0) as embedded:
        yield embedded.address


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
