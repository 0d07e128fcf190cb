"""An embedded simulator as a part of the program, for the nodes that offer ``sim``."""

from __future__ import annotations

import threading
from pathlib import Path

from robotini_ray.config import RandomisationConfig, SimulatorConfig
from robotini_ray.parts.interfaces import LoopingPart
from robotini_ray.simulator.embedded import EmbeddedSimulator, EmbeddedSimulatorError
from robotini_ray.simulator_address import SimulatorAddress

POLL_S = 0.5


class SimulatorPart(LoopingPart):
    """A simulator on 127.0.0.1 of the node that this runs on; it ends with this process, however that ends.

    Args:
        config: track, pace, segments and contact.
        seed: of its random put-backs and of what is randomised.
        log_path: where its messages go, on its node.
        randomisation: how its cars differ.
    """

    def __init__(self, config: SimulatorConfig, seed: int, log_path: Path, randomisation: RandomisationConfig) -> None:
        self._log_path = log_path
        self._simulator = EmbeddedSimulator(config, seed, log_path, randomisation)
        self._stop = threading.Event()

    def report(self) -> SimulatorAddress:
        """Where it listens; waits until it does.

        Raises:
            EmbeddedSimulatorError: it does not start.
        """
        return self._simulator.address

    def run(self) -> None:
        """Watches over the simulator until ``stop``.

        Raises:
            EmbeddedSimulatorError: it has ended by itself.
        """
        while not self._stop.wait(POLL_S):
            if not self._simulator.alive:
                raise EmbeddedSimulatorError(f"the embedded simulator has ended (log: {self._log_path})")
        self._simulator.close()

    def stop(self) -> None:
        """Ends ``run`` and the simulator soon."""
        self._stop.set()
