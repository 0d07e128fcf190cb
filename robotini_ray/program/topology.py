"""The whole topology: which parts there are, and who knows whom.

    embedded simulators --frames--> collectors --windows--> replay --batches--> learner
            |                          ^                                           |
            |                          +------------------ weights ----------------+
            +----frames--> evaluator <---------------------------------------------+

Every part is a Ray actor of its own, but for Redis and the simulators on the launcher's machine, which are its child
processes. Which node of a cluster a part is on, ``placement.py`` says.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Mapping
from pathlib import Path

from robotini_ray.config import NO_RANDOMISATION, Config
from robotini_ray.machine.redis_server import RedisServer
from robotini_ray.policy.exploration import noise_ladder
from robotini_ray.program.part import PartHandle, start_part
from robotini_ray.program.placement import Placement, plan_one_machine
from robotini_ray.run.checkpoints import CheckpointStore
from robotini_ray.run.reports import CarSeat
from robotini_ray.simulator.embedded import EmbeddedSimulator
from robotini_ray.simulator_address import SimulatorAddress

COLLECT, EVALUATE = "collect", "evaluate"
"""The embedded simulators of the launcher's machine."""

COLORS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf")


@dataclasses.dataclass(frozen=True)
class Site:
    """A simulator as the parts are told of it."""

    address: SimulatorAddress
    lockstep: bool


@dataclasses.dataclass(frozen=True)
class Sites:
    """Where the cars drive.

    Attributes:
        shares: of each share of the plan; None where an embedded simulator is a part of its own, which says where it listens.
        evaluator: of the evaluator's car.
    """

    shares: tuple[Site | None, ...]
    evaluator: Site


class ProgramBuilder:
    """Starts the parts of a run, one by one, in the order in which they need each other.

    Args:
        config: of the run.
        run_dir: of the run.
    """

    def __init__(self, config: Config, run_dir: Path) -> None:
        self._config = config
        self._run_dir = run_dir
        self._logs = run_dir / "logs"
        self._tag = f"{run_dir.name}-{secrets.token_hex(2)}"  # names of cars are unique to this invocation
        self.placement = Placement(plan_one_machine(config))
        """Where the parts go; replaced once a cluster has been joined."""

    def redis(self) -> RedisServer:
        """The cars' live state, for the monitor and other machines."""
        host = self.placement.driver_host if self.placement.plan.leaves_the_driver else None
        server = RedisServer(self._logs / "redis.log", host, self._run_dir / "redis.password")
        server.start()
        return server

    def simulator(self, role: str) -> EmbeddedSimulator:
        """An embedded simulator of this machine, for ``COLLECT`` or ``EVALUATE``, where every car is the standard one."""
        collecting = role == COLLECT
        return EmbeddedSimulator(
            self._config.simulator,
            self._config.run.seed + (0 if collecting else 1),
            self._logs / f"simulator-{role}.log",
            self._config.randomisation if collecting else NO_RANDOMISATION,
        )

    def simulator_roles(self) -> tuple[str, ...]:
        """Which embedded simulators this machine needs."""
        if self.listed_sites():
            return ()
        collects = any(not share.bundle for share in self.placement.plan.shares)
        return (COLLECT, EVALUATE) if collects else (EVALUATE,)

    def listed_sites(self) -> tuple[Site, ...]:
        """The simulators that the config names, one for each share of the cars; none where embedded ones are started."""
        return tuple(Site(SimulatorAddress.parse(address), lockstep=False) for address in self._config.simulator_addresses)

    def sites(self, simulators: Mapping[str, EmbeddedSimulator]) -> Sites:
        """Where the cars drive, once the simulators of ``simulator_roles`` listen."""
        listed = self.listed_sites()
        if listed:
            return Sites(listed, listed[0])
        here = {role: self.embedded_site(simulator.address) for role, simulator in simulators.items()}
        return Sites(tuple(None if share.bundle else here[COLLECT] for share in self.placement.plan.shares), here[EVALUATE])

    def embedded_site(self, address: SimulatorAddress) -> Site:
        """The simulator of ``simulator`` or ``simulator_part``."""
        return Site(address, lockstep=self._config.simulator.pace == "max")

    def simulator_part(self, share: int) -> PartHandle:
        """An embedded simulator on the node where the cars of this share are collected."""
        return start_part(
            f"simulator-{share}",
            self._logs,
            "robotini_ray.parts.simulator:SimulatorPart",
            self._config.simulator,
            self._config.run.seed + 2 + share,
            self._logs / f"simulator-{share}.log",
            self._config.randomisation,
            **self.placement.shares[share],
        )

    def replay(self, port: int | None) -> PartHandle:
        """The Reverb server, on its old port where it had one."""
        return start_part(
            "replay",
            self._logs,
            "robotini_ray.replay.server:ReplayServer",
            self._config,
            self._run_dir,
            self.placement.learner_host,
            port,
            **self.placement.learner,
        )

    def learner(self, replay_address: str, life: int) -> PartHandle:
        """Trains on replay; broadcasts to whom ``add_receivers`` names. ``life`` counts its earlier starts."""
        return start_part(
            "learner",
            self._logs,
            "robotini_ray.parts.learner:Learner",
            self._config,
            replay_address,
            self._run_dir,
            life,
            self._newest_step(),
            num_gpus=self._config.learner.num_gpus,
            **self.placement.learner,
        )

    def _newest_step(self) -> int:
        newest = CheckpointStore(self._run_dir / "checkpoints").newest()
        return int(newest.progress["train_steps"]) if newest else 0

    @property
    def collector_names(self) -> list[str]:
        """The collectors, at most ``cars_per_collector`` cars each, all of one share."""
        return [f"collector-{index}" for index in range(len(self._groups()))]

    def share_of(self, name: str) -> int:
        """Which share of the plan one of ``collector_names`` belongs to."""
        return self._groups()[self.collector_names.index(name)][0]

    def collector(self, name: str, site: Site, replay_address: str, redis_url: str) -> PartHandle:
        """One of ``collector_names``, on the node of its share."""
        share, seats = self._groups()[self.collector_names.index(name)]
        return start_part(
            name,
            self._logs,
            "robotini_ray.parts.collector:Collector",
            self._config,
            site.address,
            seats,
            site.lockstep,
            replay_address,
            redis_url,
            self._run_dir.name,
            **self.placement.shares[share],
        )

    def evaluator(self, site: Site, redis_url: str) -> PartHandle:
        """The judge of the newest policy."""
        return start_part(
            "evaluator",
            self._logs,
            "robotini_ray.parts.evaluator:Evaluator",
            self._config,
            site.address,
            site.lockstep,
            f"{self._tag}-evaluator",
            self._run_dir / "policies",
            redis_url,
            self._run_dir.name,
            **self.placement.driver,
        )

    def _groups(self) -> list[tuple[int, list[CarSeat]]]:
        """For each collector its share, and its cars. They are dealt out, so that each share has the whole ladder of noise."""
        shares, size = self.placement.plan.shares, self._config.collection.cars_per_collector
        dealt: list[list[CarSeat]] = [[] for _ in shares]
        for seat in self._seats():
            emptiest = min(range(len(shares)), key=lambda k: len(dealt[k]) / shares[k].cars)
            dealt[emptiest].append(seat)
        return [(share, seats[k : k + size]) for share, seats in enumerate(dealt) for k in range(0, len(seats), size)]

    def _seats(self) -> list[CarSeat]:
        collection, seed = self._config.collection, self._config.run.seed
        ladder = noise_ladder(collection.cars, collection.noise_low, collection.noise_high)
        return [
            CarSeat(f"{self._tag}-car{index}", COLORS[index % len(COLORS)], stddev, seed * 1000 + index)
            for index, stddev in enumerate(ladder)
        ]
