"""Declares the topology of a run: its parts, what each of them needs, and the data that they exchange.

    embedded simulators --frames--> collectors --windows--> replay --batches--> learner
            |                          ^                                           |
            |                          +------------------ weights ----------------+
            +----frames--> evaluator <---------------------------------------------+

Every part is a Ray actor of its own, except Redis and the simulators on the launcher's machine, which are its child
processes. ``placement.py`` decides which node of a cluster a part is on; ``supervisor.py`` starts the parts, now and whenever
one has ended.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import ray

from robotini_ray.config import Config
from robotini_ray.machine.redis_server import RedisServer
from robotini_ray.parts.interfaces import LearnerPart
from robotini_ray.program.part import PartHandle, PartSpec, Program
from robotini_ray.program.placement import Placement, is_there
from robotini_ray.program.seats import Crew, deal_cars
from robotini_ray.program.sites import Sites, embedded_site
from robotini_ray.run.checkpoints import CheckpointStore

REPLAY, LEARNER, EVALUATOR = "replay", "learner", "evaluator"


class Topology:
    """The parts of a run.

    Args:
        config: The run's config.
        run_dir: The run directory.
        placement: The node of each part.
        sites: The simulators that the cars drive on.
        redis: The store for the cars' live state.
        is_new: Whether the run has no checkpoint; its first cars then need not wait for weights.
    """

    def __init__(
        self, config: Config, run_dir: Path, placement: Placement, sites: Sites, redis: RedisServer, is_new: bool
    ) -> None:
        self._config = config
        self._run_dir = run_dir
        self.log_dir = run_dir / "logs"
        self.placement = placement
        self._sites = sites
        self._redis = redis
        self._is_new = is_new
        self._tag = f"{run_dir.name}-{secrets.token_hex(2)}"  # names of cars are unique to this invocation
        self._crews = deal_cars(config, placement.plan.shares, self._tag)
        self.collectors = [crew.name for crew in self._crews]
        self.cars = [*self.collectors, EVALUATOR]
        """The parts that drive with the learner's weights."""

    def parts(self) -> list[PartSpec]:
        """Returns all parts of the run, those that others need first."""
        embedded = [share for share, site in enumerate(self._sites.shares) if site is None]
        return [
            self._replay(),
            *(self._simulator(share) for share in embedded),
            *(self._collector(crew) for crew in self._crews),
            self._evaluator(),
            self._learner(),
        ]

    def _replay(self) -> PartSpec:
        return PartSpec(
            REPLAY,
            "robotini_ray.replay.server:ReplayServer",
            arguments=lambda program: (self._config, self._run_dir, self.placement.learner_host, _port(program)),
            place=lambda: self.placement.learner,
            has_place=lambda: is_there(self.placement.learner),
            address=lambda report: f"{self.placement.learner_host}:{report.port}",
            has_loop=False,
        )

    def _simulator(self, share: int) -> PartSpec:
        """An embedded simulator on the node where the cars of this share are collected."""
        name, config = _simulator_name(share), self._config
        return PartSpec(
            name,
            "robotini_ray.parts.simulator:SimulatorPart",
            arguments=lambda program: (
                config.simulator,
                config.run.seed + 2 + share,
                self.log_dir / f"{name}.log",
                config.randomisation,
            ),
            place=lambda: self.placement.shares[share],
            has_place=lambda: is_there(self.placement.shares[share]),
            address=lambda report: report,
            is_spare=True,
        )

    def _collector(self, crew: Crew) -> PartSpec:
        """Drives the cars of one crew, on the node of their share."""
        site, simulator = self._sites.shares[crew.share], _simulator_name(crew.share)

        def arguments(program: Program) -> tuple[Any, ...]:
            at = site or embedded_site(self._config, program.first_report(simulator))
            replay_address = self._replay_address(program)
            run_name = self._run_dir.name
            return self._config, at.address, crew.seats, at.lockstep, replay_address, self._redis.network_url, run_name

        return PartSpec(
            crew.name,
            "robotini_ray.parts.collector:Collector",
            arguments,
            place=lambda: self.placement.shares[crew.share],
            needs=(REPLAY,) if site else (REPLAY, simulator),
            has_place=lambda: is_there(self.placement.shares[crew.share]),
            introduce=self._introduce,
            has_worked=lambda report: report.env_steps > 0,
            is_spare=bool(self.placement.plan.shares[crew.share].bundle),
        )

    def _evaluator(self) -> PartSpec:
        """Judges the newest policy and keeps the best."""
        site, name, policies = self._sites.evaluator, f"{self._tag}-{EVALUATOR}", self._run_dir / "policies"
        redis_url, run_name = self._redis.url, self._run_dir.name
        return PartSpec(
            EVALUATOR,
            "robotini_ray.parts.evaluator:Evaluator",
            arguments=lambda program: (self._config, site.address, site.lockstep, name, policies, redis_url, run_name),
            place=lambda: self.placement.driver,
            introduce=self._introduce,
            has_worked=bool,
        )

    def _learner(self) -> PartSpec:
        """Trains on replay and sends its weights to the collectors and the evaluator."""

        def arguments(program: Program) -> tuple[Any, ...]:
            earlier_lives = program.starts(LEARNER)
            return self._config, self._replay_address(program), self._run_dir, earlier_lives, self._newest_step()

        return PartSpec(
            LEARNER,
            "robotini_ray.parts.learner:Learner",
            arguments,
            place=lambda: {**self.placement.learner, "num_gpus": self._config.learner.num_gpus},
            needs=(REPLAY,),
            has_place=lambda: is_there(self.placement.learner),
            has_worked=lambda report: report.train_steps_per_s > 0,
        )

    def _introduce(self, program: Program, car: PartHandle[Any]) -> Any | None:
        """Has the learner give a car its weights before it drives; the first cars of a new run need not wait for any."""
        learner: PartHandle[LearnerPart] | None = program.running(LEARNER)
        if learner is not None:
            return learner.tell(LearnerPart.add_receivers, [car])
        return ray.put(None) if self._is_new and program.starts(LEARNER) <= 1 else None

    def _replay_address(self, program: Program) -> str:
        return f"{self.placement.learner_host}:{_port(program)}"

    def _newest_step(self) -> int:
        newest = CheckpointStore(self._run_dir / "checkpoints").newest()
        return int(newest.progress["train_steps"]) if newest else 0


def _port(program: Program) -> int | None:
    """Returns the port of the replay server's newest life, which the next one takes too; None before the first."""
    report = program.first_report(REPLAY)
    return None if report is None else report.port


def _simulator_name(share: int) -> str:
    return f"simulator-{share}"
