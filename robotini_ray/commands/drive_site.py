"""Finds or starts the simulator of the commands that drive, and holds what else these commands share."""

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
    """Yields the simulator at ``config.address``, or an embedded one that runs for the time of the context.

    Args:
        config: The simulator's config; without an address an embedded simulator is started.
        seed: The seed of the embedded simulator.
        randomisation: How the cars of the embedded simulator differ from the standard one.
        wait: Whether to wait until the simulator at the address can be reached; see ``find_simulator``.

    Raises:
        AddressError: The address has the wrong form.
        SimulatorUnreachable: The simulator at the address cannot be reached, and ``wait`` is False.
        TrackError: The track of the embedded simulator cannot be used.
    """
    if config.address is not None:
        yield Site(find_simulator(config.address, wait), lockstep=False)
        return
    load_track(config.track)  # reports a bad track before a simulator is started
    with temporary_simulator(config, seed, randomisation) as simulator:
        yield Site(simulator.address, simulator.lockstep)


def car_name(role: str) -> str:
    """Returns a name with a random suffix, which no other car on the track has."""
    return f"{role}-{secrets.token_hex(3)}"


def check_randomisation(simulator: str | None, randomisation: RandomisationConfig) -> None:
    """Checks that cars are randomised only in an embedded simulator.

    Args:
        simulator: The address of a running simulator, or None for an embedded one.
        randomisation: The randomisation that the user has asked for.

    Raises:
        ConfigError: A randomisation is given for a running simulator, whose cars cannot be changed.
    """
    if simulator is not None and randomisation != NO_RANDOMISATION:
        raise ConfigError(f"--randomisation.* needs an embedded simulator; the cars of {simulator} cannot be changed")
