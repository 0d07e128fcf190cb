"""The parts of a run under their supervisor: how each is started, now and whenever it is gone, and who is told of whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ray

from robotini_ray.machine.redis_server import RedisServer
from robotini_ray.program.part import PartHandle, PartSpec
from robotini_ray.program.placement import is_there
from robotini_ray.program.supervisor import Supervisor
from robotini_ray.program.topology import ProgramBuilder, Sites
from robotini_ray.run.progress import Progress
from robotini_ray.simulator_address import SimulatorAddress

REPLAY, LEARNER, EVALUATOR = "replay", "learner", "evaluator"
A_COLLECTOR = "a collector"


class SupervisedParts:
    """All parts of a run.

    Args:
        builder: makes them, with its placement.
        sites: where the cars drive.
        redis: where their live state goes.
        progress: counts what is started again.
        is_new: whether the run has no checkpoint, so that its first cars need not wait for weights.
        say: takes a line for a person.
    """

    def __init__(
        self,
        builder: ProgramBuilder,
        sites: Sites,
        redis: RedisServer,
        progress: Progress,
        is_new: bool,
        say: Callable[[str], None],
    ) -> None:
        self._builder = builder
        self._placement = builder.placement
        self._sites = sites
        self._redis = redis
        self._progress = progress
        self._is_new = is_new
        self._say = say
        self._replay_address = ""
        self._simulators: dict[str, SimulatorAddress] = {}
        self.collectors = builder.collector_names
        self.cars = [*self.collectors, EVALUATOR]
        self.supervisor = Supervisor(self._specs(), say, progress.add_restart, self._on_running)

    def awaited(self) -> list[str]:
        """What training cannot begin without and does not run yet: of the collectors, one is enough."""
        running = self.supervisor.running
        missing = [name for name in (REPLAY, EVALUATOR, LEARNER) if running(name) is None]
        return missing if any(running(name) for name in self.collectors) else [A_COLLECTOR, *missing]

    def _specs(self) -> list[PartSpec]:
        embedded = [share for share, site in enumerate(self._sites.shares) if site is None]
        return [
            PartSpec(REPLAY, self._replay, has_place=self._learner_has_place, has_loop=False),
            *(self._simulator_spec(share) for share in embedded),
            *(self._collector_spec(name) for name in self.collectors),
            PartSpec(
                EVALUATOR,
                lambda: self._builder.evaluator(self._sites.evaluator, self._redis.url),
                introduce=self._introduce,
                has_worked=bool,
            ),
            PartSpec(
                LEARNER,
                lambda: self._builder.learner(self._replay_address, self.supervisor.starts(LEARNER)),
                needs=(REPLAY,),
                has_place=self._learner_has_place,
                has_worked=lambda report: report.train_steps_per_s > 0,
            ),
        ]

    def _simulator_spec(self, share: int) -> PartSpec:
        return PartSpec(
            _simulator_name(share),
            lambda: self._builder.simulator_part(share),
            has_place=lambda: is_there(self._placement.shares[share]),
            is_spare=True,
        )

    def _collector_spec(self, name: str) -> PartSpec:
        share = self._builder.share_of(name)
        simulator = _simulator_name(share)
        site = self._sites.shares[share]

        def start() -> PartHandle:
            at = site or self._builder.embedded_site(self.supervisor.first_report(simulator))
            return self._builder.collector(name, at, self._replay_address, self._redis.network_url)

        return PartSpec(
            name,
            start,
            needs=(REPLAY,) if site else (REPLAY, simulator),
            has_place=lambda: is_there(self._placement.shares[share]),
            introduce=self._introduce,
            has_worked=lambda report: report.env_steps > 0,
            is_spare=bool(self._placement.plan.shares[share].bundle),
        )

    def _replay(self) -> PartHandle:
        return self._builder.replay(int(self._replay_address.rpartition(":")[2]) if self._replay_address else None)

    def _learner_has_place(self) -> bool:
        return is_there(self._placement.learner)

    def _introduce(self, car: PartHandle) -> Any | None:
        """Has the learner give a car its weights before it drives; the first cars of a new run need not wait for any."""
        learner = self.supervisor.running(LEARNER)
        if learner is not None:
            return learner.tell("add_receivers", [car])
        return ray.put(None) if self._is_new and self.supervisor.starts(LEARNER) <= 1 else None

    def _on_running(self, name: str) -> None:
        """What a part that has been started has to be told, or tells."""
        if name == LEARNER:
            learner = self.supervisor.running(LEARNER)
            assert learner is not None
            learner.tell("add_receivers", [car for at in self.cars if (car := self.supervisor.running(at)) is not None])
        elif name == REPLAY:
            self._follow_replay()
        elif name not in self.cars:
            self._follow_simulator(name)

    def _follow_replay(self) -> None:
        report = self.supervisor.first_report(REPLAY)
        for warning in report.warnings:
            self._say(f"warning: {warning}")
            self._progress.add_fault("replay checkpoint unusable")
        self._placement.find_learner(self.supervisor.node(REPLAY))
        address = f"{self._placement.learner_host}:{report.address.rpartition(':')[2]}"  # what it was told may be an old host
        if self._replay_address not in ("", address):
            for user in (*self.collectors, LEARNER):
                self.supervisor.restart(user, "replay has moved")
        self._replay_address = address

    def _follow_simulator(self, name: str) -> None:
        address = self.supervisor.first_report(name)
        if self._simulators.setdefault(name, address) != address:
            self._simulators[name] = address
            for collector in self.collectors:
                if _simulator_name(self._builder.share_of(collector)) == name:
                    self.supervisor.restart(collector, f"{name} has moved")


def _simulator_name(share: int) -> str:
    return f"simulator-{share}"
