"""The whole topology: which parts there are, and who knows whom.

    embedded simulators --frames--> collectors --windows--> replay --batches--> learner
            |                          ^                                           |
            |                          +------------------ weights ----------------+
            +----frames--> evaluator <---------------------------------------------+

Every part but the simulators and Redis is a Ray actor of its own.
"""

from __future__ import annotations

import dataclasses
import secrets
from pathlib import Path

from robotini_ray.acting import noise_ladder
from robotini_ray.car.address import SimulatorAddress
from robotini_ray.car.redis_server import RedisServer
from robotini_ray.config import NO_RANDOMISATION, Config
from robotini_ray.embedded import EmbeddedSimulator
from robotini_ray.parts import PartHandle, start_part
from robotini_ray.reports import CarSeat

COLORS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf")


@dataclasses.dataclass(frozen=True)
class Site:
    """A simulator as the parts are told of it."""

    address: SimulatorAddress
    lockstep: bool


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

    def redis(self) -> RedisServer:
        """The cars' live state, for the monitor and other machines."""
        server = RedisServer(self._logs / "redis.log")
        server.start()
        return server

    def simulator(self, role: str) -> EmbeddedSimulator:
        """An embedded simulator, for ``collect`` or ``evaluate``, where every car is the standard one."""
        collecting = role == "collect"
        return EmbeddedSimulator(
            self._config.simulator,
            self._config.run.seed + (0 if collecting else 1),
            self._logs / f"simulator-{role}.log",
            self._config.randomisation if collecting else NO_RANDOMISATION,
        )

    def replay(self, port: int | None) -> PartHandle:
        """The Reverb server, on its old port where it had one."""
        path = "robotini_ray.replay:ReplayServer"
        return start_part("replay", self._logs, path, self._config, self._run_dir, "127.0.0.1", port)

    def learner(self, replay_address: str, life: int) -> PartHandle:
        """Trains on replay; broadcasts to whom ``add_receivers`` names. ``life`` counts its earlier starts."""
        return start_part(
            "learner",
            self._logs,
            "robotini_ray.learner:Learner",
            self._config,
            replay_address,
            self._run_dir,
            life,
            num_gpus=self._config.learner.num_gpus,
        )

    @property
    def collector_names(self) -> list[str]:
        """The collectors, ``cars_per_collector`` cars each."""
        return [f"collector-{index}" for index in range(len(self._groups()))]

    def collector(self, name: str, site: Site, replay_address: str, redis_url: str) -> PartHandle:
        """One of ``collector_names``."""
        return start_part(
            name,
            self._logs,
            "robotini_ray.collector:Collector",
            self._config,
            site.address,
            self._groups()[self.collector_names.index(name)],
            site.lockstep,
            replay_address,
            redis_url,
            self._run_dir.name,
        )

    def evaluator(self, site: Site, redis_url: str) -> PartHandle:
        """The judge of the newest policy."""
        return start_part(
            "evaluator",
            self._logs,
            "robotini_ray.evaluator:Evaluator",
            self._config,
            site.address,
            site.lockstep,
            f"{self._tag}-evaluator",
            self._run_dir / "policies",
            redis_url,
            self._run_dir.name,
        )

    def _groups(self) -> list[list[CarSeat]]:
        seats, size = self._seats(), self._config.collection.cars_per_collector
        return [seats[k : k + size] for k in range(0, len(seats), size)]

    def _seats(self) -> list[CarSeat]:
        collection, seed = self._config.collection, self._config.run.seed
        ladder = noise_ladder(collection.cars, collection.noise_low, collection.noise_high)
        return [
            CarSeat(f"{self._tag}-car{index}", COLORS[index % len(COLORS)], stddev, seed * 1000 + index)
            for index, stddev in enumerate(ladder)
        ]
