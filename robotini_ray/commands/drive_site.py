"""What the verbs that drive share: a simulator to drive on, named by address or started for the occasion."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator

from robotini_ray.commands.find_simulator import find_simulator
from robotini_ray.config import NO_RANDOMISATION, ConfigError, RandomisationConfig, SimulatorConfig
from robotini_ray.simulator.embedded import temporary_simulator
from robotini_ray.simulator_address import Site
from robotini_ray.track.track import load_track


@contextlib.contextmanager
def drive_site(config: SimulatorConfig, seed: int, randomisation: RandomisationConfig, wait: bool) -> Iterator[Site]:
    """The simulator of ``config.address``, or an embedded one for the time of the context; ``wait``: see ``find_simulator``."""
    if config.address is not None:
        yield Site(find_simulator(config.address, wait), lockstep=False)
        return
    load_track(config.track)  # a bad track is said before a simulator is started
    with temporary_simulator(config, seed, randomisation) as simulator:
        yield Site(simulator.address, simulator.lockstep)


def car_name(role: str) -> str:
    """A name that no other car on the track has."""
    return f"{role}-{secrets.token_hex(3)}"


def check_randomisation(simulator: str | None, randomisation: RandomisationConfig) -> None:
    """Raises ConfigError where cars should differ in a simulator that is not ours to say."""
    if simulator is not None and randomisation != NO_RANDOMISATION:
        raise ConfigError(f"--randomisation.* needs an embedded simulator; the cars of {simulator} are as they are")
