"""A program whose parts do nothing but live and report: topology, placement, supervisor and Ray are real."""

from __future__ import annotations

import dataclasses
import os
import threading
from pathlib import Path
from typing import Any

from robotini_ray.program.part import PartSpec, Program
from robotini_ray.program.topology import REPLAY, Topology
from robotini_ray.run.reports import CollectorReport, LearnerReport, ReplayReport, ReplayState
from robotini_ray.simulator_address import SimulatorAddress


class DummyTopology(Topology):
    """The topology with dummies in place of the real classes; they are given the real ones' arguments.

    ``NAME.txt`` in the run directory gets a line for each life of a collector.
    """

    def parts(self) -> list[PartSpec]:
        return [self._dummy(spec) for spec in super().parts()]

    def _dummy(self, spec: PartSpec) -> PartSpec:
        kind = spec.path.rpartition(":")[2]
        diary = self.log_dir.parent / f"{spec.name}.txt"

        def arguments(program: Program) -> tuple[Any, ...]:
            real = spec.arguments(program)
            if kind == "Collector":
                return diary, f"on {real[1]} for {real[4]}"
            return real[2:] if spec.name == REPLAY else ()

        return dataclasses.replace(spec, path=f"{__name__}:{kind}", arguments=arguments)


class Living:
    """A part with a loop and receivers' methods."""

    def __init__(self) -> None:
        self._stop = threading.Event()

    def run(self) -> None:
        self._stop.wait()

    def stop(self) -> None:
        self._stop.set()

    def add_receivers(self, handles: list[Any]) -> None:
        pass


class SimulatorPart(Living):
    """Its ports are those of its process, so that each life has others."""

    def report(self) -> SimulatorAddress:
        return SimulatorAddress("127.0.0.1", 1024 + os.getpid() % 60_000, 1024)


class ReplayServer(Living):
    def __init__(self, host: str, port: int | None) -> None:
        super().__init__()
        self._report = ReplayReport(f"{host}:{port or 5000}", [])

    def report(self) -> ReplayReport:
        return self._report


class Collector(Living):
    """Writes down where it drives."""

    def __init__(self, diary: Path, line: str) -> None:
        super().__init__()
        self._diary, self._line = diary, line

    def run(self) -> None:
        with self._diary.open("a") as file:
            file.write(f"{self._line}\n")
        super().run()

    def report(self) -> CollectorReport:
        return CollectorReport(env_steps=1)


class Evaluator(Living):
    def report(self) -> list[Any]:
        return []


class Learner(Living):
    def report(self) -> LearnerReport:
        return LearnerReport(1, 1.0, ReplayState(0, 0, 0, 1, 1, 1.0), 0.0, {})
