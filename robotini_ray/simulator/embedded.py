"""Runs an embedded simulator as a child process, for programs that drive cars without Unity."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import logging
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from robotini_ray.config import NO_RANDOMISATION, RandomisationConfig, SimulatorConfig
from robotini_ray.errors import RobotiniError
from robotini_ray.machine.child_process import ChildProgram, start_child, wait_for_line
from robotini_ray.simulator_address import SimulatorAddress

LOG = logging.getLogger(__name__)

START_PATIENCE_S = 60.0
"""The longest time that a start may make no progress; see ``wait_for_line``."""

ANSWER_TIMEOUT_MS = 600_000
"""The time that lock-step waits for a car's answer: practically for ever, since all cars belong to this program."""

_READY = re.compile(r"^ready car=(\S+):(\d+) log=(\S+):(\d+)\n", re.MULTILINE)


class EmbeddedSimulatorError(RobotiniError):
    """Raised when the embedded simulator does not start; the message is one line for a person."""


class EmbeddedSimulator(ChildProgram):
    """A ``launch simulate`` process that listens on free ports of 127.0.0.1.

    ``close`` ends the process; so does the end of the thread that started it.

    Args:
        config: The track, the pace, the number of segments and whether cars touch each other.
        seed: Seeds the places where cars are put back and the draws of ``randomisation``.
        log_path: The file that the process's stderr is appended to.
        randomisation: The ranges from which each car's properties are drawn; by default all cars are standard.
        say: Shows a line to a person: on a machine's first start, that the simulator is compiled.

    Attributes:
        lockstep: True if the simulator waits for its cars (``pace`` is ``max``), False if it runs in real time.
    """

    def __init__(
        self,
        config: SimulatorConfig,
        seed: int,
        log_path: Path,
        randomisation: RandomisationConfig = NO_RANDOMISATION,
        say: Callable[[str], None] = LOG.info,
    ) -> None:
        self._say = say
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

    def answers(self) -> bool:
        """Returns True always: a car that gets no answer from the simulator notices that itself and logs in again."""
        return True

    def revive(self) -> None:
        """Restarts the simulator at the same address, without waiting until it listens."""
        self.close()
        self._start(self.address.car_port, self.address.log_port)

    @functools.cached_property
    def address(self) -> SimulatorAddress:
        """The address that the simulator listens on; the first access blocks until it listens.

        Raises:
            EmbeddedSimulatorError: The simulator has ended or makes no progress for ``START_PATIENCE_S``; the message quotes
                the last line of its log.
        """
        match = wait_for_line(self._process, _READY, START_PATIENCE_S, self._say)
        if match:
            return SimulatorAddress(match[1], int(match[2]), int(match[4]))
        failure = self.failure(START_PATIENCE_S)
        self.close()
        said = self._log_path.read_text().strip().splitlines()
        reason = said[-1] if said else f"it {failure} and printed nothing"
        raise EmbeddedSimulatorError(f"the embedded simulator did not start: {reason} (log: {self._log_path})")


@contextlib.contextmanager
def temporary_simulator(
    config: SimulatorConfig, seed: int, randomisation: RandomisationConfig = NO_RANDOMISATION
) -> Iterator[EmbeddedSimulator]:
    """Runs an embedded simulator for the time of the context; its log is in a temporary folder and is deleted with it.

    Yields:
        The simulator, which listens already.

    Raises:
        EmbeddedSimulatorError: The simulator does not start.
    """
    with tempfile.TemporaryDirectory(prefix="robotini-") as folder:
        simulator = EmbeddedSimulator(config, seed, Path(folder) / "simulator.log", randomisation, _print_to_stderr)
        try:
            _ = simulator.address
            yield simulator
        finally:
            simulator.close()


def _print_to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _randomisation_flags(randomisation: RandomisationConfig) -> list[str]:
    """Returns the flags of ``launch simulate`` for every range that differs from the standard car."""
    values, standard = dataclasses.asdict(randomisation), dataclasses.asdict(NO_RANDOMISATION)
    # The flags are parsed as YAML, and every JSON text is YAML.
    return [f"--randomisation.{key}={json.dumps(value)}" for key, value in values.items() if value != standard[key]]
