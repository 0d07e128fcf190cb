"""Implements ``demo``: six cars race in the embedded simulator, and a web page shows them.

The demo needs neither Ray nor TensorFlow.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from robotini_ray.car.connection import Login
from robotini_ray.car.spectator import Spectator
from robotini_ray.config import Config, RandomisationConfig, SimulatorConfig
from robotini_ray.machine.stop_signal import StopSignal
from robotini_ray.machine.terminal_text import printable
from robotini_ray.monitor.live_page import live_page
from robotini_ray.policy.named_policy import load_named_policy
from robotini_ray.policy.numpy_policy import NumpyPolicy
from robotini_ray.racing.demo import race, result_table
from robotini_ray.racing.policy_car import PolicyCar
from robotini_ray.simulator.embedded import temporary_simulator
from robotini_ray.simulator_address import SimulatorAddress
from robotini_ray.track.lap_limit import lap_limit_s
from robotini_ray.track.track import Track, load_track

CARS = (
    ("Amber", "#f5a623"),
    ("Cobalt", "#3584e4"),
    ("Crimson", "#e01b24"),
    ("Jade", "#2ec27e"),
    ("Violet", "#9141ac"),
    ("Pearl", "#deddda"),
)
"""Names and colours of the cars."""

DIFFERENCES = RandomisationConfig(grip=(0.85, 1.15), mass=(0.9, 1.1), motor=(0.9, 1.1))
"""The differences between the cars; without them, six cars with one policy would drive one behind another."""


def run(policy: tuple[Path, ...], track: str, seconds: float | None, seed: int, monitor_port: int | None) -> int:
    """Races until the time is over or a signal arrives, then prints a table of the cars' results; returns the exit code.

    Args:
        policy: Directories or shipped names of the policies; the cars take them in turn.
        track: The name of a shipped track, or the path of a track file.
        seconds: Game time after which the race ends, or None to race until a signal arrives.
        seed: The seed of the differences between the cars.
        monitor_port: The port of the live page on 127.0.0.1 (0 takes a free one), or None to leave the page out.
    """
    drivers = [(str(name), load_named_policy(name)[0]) for name in policy]
    known_track = load_track(track)
    config = Config(
        simulator=SimulatorConfig(track=track, pace="max"),
        environment=drivers[0][1].spec.environment(),
        collection=dataclasses.replace(Config().collection, cars=len(CARS)),
    )
    with contextlib.ExitStack() as stack:
        simulator = stack.enter_context(temporary_simulator(config.simulator, seed, DIFFERENCES))
        page = None if monitor_port is None else stack.enter_context(live_page("demo", config, monitor_port))
        spectator = stack.enter_context(
            contextlib.closing(Spectator(simulator.address.host, simulator.address.log_port, track=known_track))
        )
        stop = StopSignal()
        stop.install()
        cars = _join(drivers, simulator.address, spectator, stack)
        _say_what_is_seen(track, known_track, drivers, None if page is None else page[0], seconds)
        race(cars, seconds, lambda: bool(stop), None if page is None else page[1], _say)
        names = {car.name: drivers[index % len(drivers)][0] for index, car in enumerate(cars)}
        print(result_table(cars, names), flush=True)
    return stop.exit_code


def _join(
    drivers: Sequence[tuple[str, NumpyPolicy]], address: SimulatorAddress, spectator: Spectator, stack: contextlib.ExitStack
) -> list[PolicyCar]:
    """Returns the cars, which take the policies in turn; they leave the track when ``stack`` is unwound."""
    cars = []
    for index, (name, color) in enumerate(CARS):
        policy = drivers[index % len(drivers)][1]
        login = Login(name, name, color, policy.spec.image_width, lockstep=True)
        cars.append(stack.enter_context(contextlib.closing(PolicyCar(policy, address, login, spectator))))
    return cars


def _say_what_is_seen(
    track: str, known_track: Track, drivers: Sequence[tuple[str, NumpyPolicy]], page: str | None, seconds: float | None
) -> None:
    names = ", ".join(printable(name) for name, _ in drivers)
    print(
        f"{len(CARS)} cars race on {track} ({known_track.length_m:.1f} m, limit {lap_limit_s(known_track):.2f} s), "
        f"driven by camera alone (policy: {names}). They touch, and differ in grip, mass and motor."
    )
    if page is not None:
        print(f"watch them: {page} shows each car's camera picture, what its policy sees of it, the track and the laps")
    print("Ctrl-C ends the race" if seconds is None else f"the race ends after {seconds:g} s of game time", flush=True)


def _say(line: str) -> None:
    print(printable(line), file=sys.stderr, flush=True)
