"""The cars that are collected on other nodes than the launcher's: each share of them is started, lost and won back as a whole.

A share is an embedded simulator with the collectors beside it, or the collectors of a listed simulator. When its node is lost,
the others drive on, and the share starts again as soon as Ray finds room for its bundle. Nothing here waits.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import ray
from ray.exceptions import RayError

from robotini_ray.errors import RobotiniError
from robotini_ray.parts import PartHandle
from robotini_ray.program import ProgramBuilder, Site

RETRY_S = 5.0


class RemoteStartError(RobotiniError):
    """A part on another node does not start; the message is one line for a person."""


@dataclasses.dataclass
class _Share:
    number: int
    cars: int
    simulator: PartHandle | None = None
    collectors: list[PartHandle] = dataclasses.field(default_factory=list)
    awaited: list[Any] = dataclasses.field(default_factory=list)
    """References that have to be done before it can go on; none when it drives."""
    next_try_at: float | None = None
    has_driven: bool = False

    @property
    def parts(self) -> list[PartHandle]:
        return [*([self.simulator] if self.simulator else []), *self.collectors]


class RemoteSites:
    """All shares of a placement that need a bundle.

    Args:
        builder: with the placement of the cluster.
        replay_address: HOST:PORT of the Reverb server.
        redis_url: as other machines reach it.
        say: tells the person watching.
    """

    def __init__(self, builder: ProgramBuilder, replay_address: str, redis_url: str, say: Callable[[str], None]) -> None:
        self._builder = builder
        self._replay_address = replay_address
        self._redis_url = redis_url
        self._say = say
        plan = builder.placement.plan
        self._shares = [_Share(number, share.cars) for number, share in enumerate(plan.shares) if share.bundle]
        for share in self._shares:
            self._begin(share)

    @property
    def starting(self) -> list[str]:
        """Names of the parts that have not started yet."""
        return [part.name for share in self._shares if share.awaited for part in share.parts]

    def poll(self) -> tuple[list[PartHandle], list[PartHandle]]:
        """Simulators and collectors that have become ready to run since the last call.

        Raises:
            RemoteStartError: a part did not start, and its cars have never driven; later it is said and tried again.
        """
        simulators: list[PartHandle] = []
        collectors: list[PartHandle] = []
        for share in self._shares:
            if self._goes_on(share):
                simulators += share.parts[: -len(share.collectors)]
                collectors += share.collectors
        return simulators, collectors

    def lose(self, part: PartHandle) -> list[PartHandle]:
        """Gives up the share that this part belongs to and begins it anew; its parts, none if it is not one of these."""
        for share in self._shares:
            if part in share.parts:
                lost = share.parts
                self._say(f"lost {part.name}: {share.cars} cars are gone, and come back when a node has room for them")
                self._begin(share)
                return lost
        return []

    def kill(self) -> None:
        """Ends all processes."""
        for share in self._shares:
            for part in share.parts:
                part.kill()

    def _goes_on(self, share: _Share) -> bool:
        """Takes the next step of a start, if its time has come; whether that was the last one."""
        if share.next_try_at is not None and time.monotonic() >= share.next_try_at:
            self._begin(share)
        awaited = share.awaited
        if not awaited or ray.wait(awaited, num_returns=len(awaited), timeout=0)[1]:
            return False
        try:
            results = ray.get(awaited)
        except RayError as error:
            self._fail(share, error)
            return False
        if not share.collectors:
            self._begin_collectors(share, self._builder.embedded_site(results[0]))
            return False
        share.awaited = []
        if share.has_driven:
            self._say(f"{share.cars} cars have come back")
        share.has_driven = True
        return True

    def _fail(self, share: _Share, error: RayError) -> None:
        cause = str(error).strip().splitlines()[-1]
        if not share.has_driven:
            raise RemoteStartError(f"{share.parts[-1].name} did not start on its node: {cause}") from error
        self._say(f"{share.parts[-1].name} did not come back, trying again: {cause}")
        share.awaited, share.next_try_at = [], time.monotonic() + RETRY_S

    def _begin(self, share: _Share) -> None:
        for part in share.parts:
            part.kill()
        share.simulator, share.collectors, share.next_try_at = None, [], None
        site = self._builder.listed_site(share.number)
        if site is not None:
            self._begin_collectors(share, site)
            return
        share.simulator = self._builder.simulator_part(share.number)
        share.awaited = [share.simulator.tell("report")]

    def _begin_collectors(self, share: _Share, site: Site) -> None:
        share.collectors = [
            self._builder.collector(name, site, self._replay_address, self._redis_url)
            for name in self._builder.collector_names
            if self._builder.share_of(name) == share.number
        ]
        share.awaited = [part.tell("report") for part in share.collectors]
