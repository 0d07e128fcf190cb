"""Whether the simulator that a verb is told to drive on is there. Imports little: who is mistaken learns it at once."""

from __future__ import annotations

import sys
import time

from robotini_ray.car.connection import reachable
from robotini_ray.car.errors import SimulatorUnreachable
from robotini_ray.simulator_address import SimulatorAddress

WAIT_POLL_S = 1.0
WAIT_SAY_S = 10.0


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
