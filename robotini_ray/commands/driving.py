"""What the verbs that drive share: a simulator to drive on, named by address or started for the occasion."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import sys
import time
from collections.abc import Iterator

from robotini_ray.car.address import SimulatorAddress
from robotini_ray.car.connection import reachable
from robotini_ray.car.errors import SimulatorUnreachable
from robotini_ray.config import RandomisationConfig, SimulatorConfig
from robotini_ray.embedded import temporary_simulator
from robotini_ray.track import load_track

WAIT_POLL_S = 1.0
WAIT_SAY_S = 10.0


@dataclasses.dataclass(frozen=True)
class DriveSite:
    """A simulator that is there, and whether its world waits for the cars."""

    address: SimulatorAddress
    lockstep: bool


@contextlib.contextmanager
def drive_site(config: SimulatorConfig, seed: int, randomisation: RandomisationConfig, wait: bool) -> Iterator[DriveSite]:
    """The simulator of ``config.address``, or an embedded one for the time of the context; ``wait``: see ``find_simulator``."""
    if config.address is not None:
        yield DriveSite(find_simulator(config.address, wait), lockstep=False)
        return
    load_track(config.track)  # a bad track is said before a simulator is started
    with temporary_simulator(config, seed, randomisation) as simulator:
        yield DriveSite(simulator.address, simulator.lockstep)


def find_simulator(address: str, wait: bool) -> SimulatorAddress:
    """The address of a simulator that is there.

    Args:
        address: see ``SimulatorAddress.parse``.
        wait: whether to try again until it is, saying so every 10 s.

    Raises:
        AddressError: the text is no address.
        SimulatorUnreachable: it is not there, and ``wait`` is False.
    """
    began = say_at = time.monotonic()
    while True:
        try:
            return reachable(address)
        except SimulatorUnreachable as error:
            if not wait:
                raise
            now = time.monotonic()
            if now >= say_at:
                say_at = now + WAIT_SAY_S
                print(f"waiting for {now - began:.0f} s: {error}", file=sys.stderr, flush=True)
        time.sleep(WAIT_POLL_S)


def car_name(role: str) -> str:
    """A name that no other car on the track has."""
    return f"{role}-{secrets.token_hex(3)}"
