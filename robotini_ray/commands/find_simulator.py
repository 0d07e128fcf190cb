"""Checks that the simulator given with ``--simulator`` can be reached.

The module imports little, so that a wrong address is reported at once.
"""

from __future__ import annotations

import sys
import time

from robotini_ray.car.connection import reachable
from robotini_ray.car.errors import SimulatorUnreachable
from robotini_ray.machine.terminal_text import printable
from robotini_ray.simulator_address import SimulatorAddress

WAIT_POLL_S = 1.0
WAIT_SAY_S = 10.0


def find_simulator(address: str, wait: bool) -> SimulatorAddress:
    """Returns the parsed address of a simulator after checking that both of its ports accept connections.

    Args:
        address: The address, in the form that ``SimulatorAddress.parse`` reads.
        wait: Whether to retry every second until the simulator can be reached, with a message on standard error every 10 s.

    Raises:
        AddressError: The text is not an address.
        SimulatorUnreachable: The simulator cannot be reached, and ``wait`` is False.
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
                waited = f"waiting for the simulator, {now - began:.0f} s so far"
                print(f"{waited}: {printable(str(error))}", file=sys.stderr, flush=True)
        time.sleep(WAIT_POLL_S)
