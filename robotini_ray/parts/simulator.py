"""Runs an embedded simulator as a part of the program, on the nodes that offer the Ray resource ``sim``."""

from __future__ import annotations

import threading
from pathlib import Path

from robotini_ray.config import RandomisationConfig, SimulatorConfig
from robotini_ray.parts.interfaces import LoopingPart
from robotini_ray.simulator.embedded import EmbeddedSimulator, EmbeddedSimulatorError
from robotini_ray.simulator_address import SimulatorAddress

POLL_S = 0.5


class SimulatorPart(LoopingPart):
    """An embedded simulator on 127.0.0.1 of this node; it ends with this process, however that ends.

    Args:
        config: The simulator's track, pace, segments and contact.
        seed: The seed of its random put-backs and of the randomised properties.
        log_path: The file on this node to which its messages are written.
        randomisation: The properties in which its cars differ, and their ranges.
    """

    def __init__(self, config: SimulatorConfig, seed: int, log_path: Path, randomisation: RandomisationConfig) -> None:
        self._log_path = log_path
        self._simulator = EmbeddedSimulator(config, seed, log_path, randomisation)
        self._stop = threading.Event()

    def report(self) -> SimulatorAddress:
        """Returns the address at which the simulator listens; blocks until it listens.

        Raises:
            EmbeddedSimulatorError: The simulator did not start.
        """
        return self._simulator.address

    def run(self) -> None:
        """Checks twice a second that the simulator is alive, and closes it after ``stop``.

        Raises:
            EmbeddedSimulatorError: The simulator has ended by itself.
        """
        while not self._stop.wait(POLL_S):
            if not self._simulator.alive:
                raise EmbeddedSimulatorError(f"the embedded simulator has ended (log: {self._log_path})")
        self._simulator.close()

    def stop(self) -> None:
        """Ends ``run`` and the simulator soon; returns at once."""
        self._stop.set()
