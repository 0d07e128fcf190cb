"""An embedded simulator as a child process, for whoever wants to drive without Unity."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from robotini_ray.config import NO_RANDOMISATION, RandomisationConfig, SimulatorConfig
from robotini_ray.errors import RobotiniError
from robotini_ray.machine.child_process import start_child, stop_child, wait_for_line
from robotini_ray.simulator_address import SimulatorAddress

START_TIMEOUT_S = 60.0
"""Numba compiles the physics and the camera on a machine's first start."""

ANSWER_TIMEOUT_MS = 600_000
"""In training the world waits for its cars as long as they need: all of them are ours."""

_READY = re.compile(r"^ready car=(\S+):(\d+) log=(\S+):(\d+)\n", re.MULTILINE)


class EmbeddedSimulatorError(RobotiniError):
    """The embedded simulator did not start; the message is one line for a person."""


class EmbeddedSimulator:
    """``launch simulate`` on free ports of 127.0.0.1; ``close`` ends it, and so does the end of the starting thread.

    Args:
        config: track, pace, segments and contact.
        seed: of its random put-backs and of what is randomised.
        log_path: where its messages go.
        randomisation: how its cars differ.
    """

    def __init__(
        self, config: SimulatorConfig, seed: int, log_path: Path, randomisation: RandomisationConfig = NO_RANDOMISATION
    ) -> None:
        self._log_path = log_path
        command = [sys.executable, "-m", "robotini_ray.launch", "simulate", "--track", config.track]
        command += ["--pace", config.pace, "--seed", str(seed)]
        command += ["--answer-timeout-ms", str(ANSWER_TIMEOUT_MS), "--num-segments", str(config.num_segments)]
        command += ["--car-contact" if config.car_contact else "--no-car-contact"]
        self._command = [*command, *_randomisation_flags(randomisation)]
        self._start(0, 0)
        self.lockstep = config.pace == "max"

    def _start(self, car_port: int, log_port: int) -> None:
        with open(self._log_path, "ab") as log:
            command = [*self._command, "--car-port", str(car_port), "--log-port", str(log_port)]
            self._process = start_child(command, stderr=log, stdout=subprocess.PIPE)

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether its process is there."""
        return self._process.poll() is None

    def answers(self) -> bool:
        """Whether it does its work; its cars, who know better, log in anew where it does not."""
        return True

    def revive(self) -> None:
        """Starts it again at the same address, without waiting until it listens."""
        self.close()
        self._start(self.address.car_port, self.address.log_port)

    def close(self) -> None:
        """Ends the simulator."""
        stop_child(self._process)

    @functools.cached_property
    def address(self) -> SimulatorAddress:
        """Where it listens; the first call waits until it does.

        Raises:
            EmbeddedSimulatorError: it is not ready within a minute; says what its log ends with.
        """
        match = wait_for_line(self._process, _READY, START_TIMEOUT_S)
        if match:
            return SimulatorAddress(match[1], int(match[2]), int(match[4]))
        stop_child(self._process)
        said = self._log_path.read_text().strip().splitlines() or ["it said nothing"]
        raise EmbeddedSimulatorError(f"the embedded simulator did not start: {said[-1]} (log: {self._log_path})")


@contextlib.contextmanager
def temporary_simulator(
    config: SimulatorConfig, seed: int, randomisation: RandomisationConfig = NO_RANDOMISATION
) -> Iterator[EmbeddedSimulator]:
    """An embedded simulator that listens, for the time of the context; its log goes with it.

    Raises:
        EmbeddedSimulatorError: it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="robotini-") as folder:
        simulator = EmbeddedSimulator(config, seed, Path(folder) / "simulator.log", randomisation)
        try:
            _ = simulator.address
            yield simulator
        finally:
            simulator.close()


def _randomisation_flags(randomisation: RandomisationConfig) -> list[str]:
    """What differs from the standard car, as ``launch simulate`` takes it."""
    values, standard = dataclasses.asdict(randomisation), dataclasses.asdict(NO_RANDOMISATION)
    # Every JSON text is YAML.
    return [f"--randomisation.{key}={json.dumps(value)}" for key, value in values.items() if value != standard[key]]
