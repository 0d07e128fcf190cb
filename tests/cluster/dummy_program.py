"""A program whose parts do nothing but live and report: placement, supervisor and Ray are real."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from robotini_ray.program.part import PartHandle, start_part
from robotini_ray.program.topology import ProgramBuilder, Site
from robotini_ray.run.reports import CollectorReport, LearnerReport, ReplayReport, ReplayState
from robotini_ray.simulator_address import SimulatorAddress

HERE = __name__


class DummyBuilder(ProgramBuilder):
    """Starts dummies where the real parts would be.

    Args:
        config: of the run.
        run_dir: of the run; ``NAME.txt`` there gets a line for each life of a collector.
    """

    def __init__(self, config: Any, run_dir: Path) -> None:
        super().__init__(config, run_dir)
        self._folder = run_dir

    def _dummy(self, name: str, kind: str, *arguments: Any, **place: Any) -> PartHandle:
        return start_part(name, self._folder / "logs", f"{HERE}:{kind}", *arguments, **place)

    def simulator_part(self, share: int) -> PartHandle:
        return self._dummy(f"simulator-{share}", "Simulator", **self.placement.shares[share])

    def replay(self, port: int | None) -> PartHandle:
        return self._dummy("replay", "Replay", self.placement.learner_host, port or 5000, **self.placement.learner)

    def learner(self, replay_address: str, life: int) -> PartHandle:
        return self._dummy("learner", "Learner", **self.placement.learner)

    def collector(self, name: str, site: Site, replay_address: str, redis_url: str) -> PartHandle:
        line = f"on {site.address} for {replay_address}"
        return self._dummy(name, "Collector", self._folder / f"{name}.txt", line, **self.placement.shares[self.share_of(name)])

    def evaluator(self, site: Site, redis_url: str) -> PartHandle:
        return self._dummy("evaluator", "Evaluator", **self.placement.driver)


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


class Simulator(Living):
    """Its ports are those of its process, so that each life has others."""

    def report(self) -> SimulatorAddress:
        return SimulatorAddress("127.0.0.1", 1024 + os.getpid() % 60_000, 1024)


class Replay(Living):
    def __init__(self, host: str, port: int) -> None:
        super().__init__()
        self._report = ReplayReport(f"{host}:{port}", [])

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
