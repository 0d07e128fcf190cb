"""Decides where the cars drive: on the simulators that the config names, or on embedded ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

from robotini_ray.config import NO_RANDOMISATION, Config
from robotini_ray.program.placement import Plan
from robotini_ray.simulator.embedded import EmbeddedSimulator
from robotini_ray.simulator_address import SimulatorAddress, Site

COLLECT, EVALUATE = "collect", "evaluate"
"""The roles of the embedded simulators on the launcher's machine."""


@dataclasses.dataclass(frozen=True)
class Sites:
    """The simulators of a run.

    Attributes:
        shares: The site of each share of the plan; None where an embedded simulator is a part of its own on another node,
            whose first report says where it listens.
        evaluator: The site of the evaluator's car.
    """

    shares: tuple[Site | None, ...]
    evaluator: Site


def listed_sites(config: Config) -> tuple[Site, ...]:
    """Returns the simulators that the config names, one for each share of the cars; none where embedded ones are started."""
    return tuple(Site(SimulatorAddress.parse(address), lockstep=False) for address in config.simulator_addresses)


def embedded_site(config: Config, address: SimulatorAddress) -> Site:
    """Returns the site of an embedded simulator that runs at the config's pace."""
    return Site(address, lockstep=config.simulator.pace == "max")


def roles_here(config: Config, plan: Plan) -> tuple[str, ...]:
    """Returns the roles of the embedded simulators that the launcher's machine needs."""
    if listed_sites(config):
        return ()
    collects = any(not share.bundle for share in plan.shares)
    return (COLLECT, EVALUATE) if collects else (EVALUATE,)


def start_simulator(config: Config, role: str, log_dir: Path, say: Callable[[str], None]) -> EmbeddedSimulator:
    """Starts the embedded simulator of a role; all cars of ``EVALUATE`` are standard ones."""
    collecting = role == COLLECT
    return EmbeddedSimulator(
        config.simulator,
        config.run.seed + (0 if collecting else 1),
        log_dir / f"simulator-{role}.log",
        config.randomisation if collecting else NO_RANDOMISATION,
        say,
    )


def find_sites(config: Config, plan: Plan, simulators: Mapping[str, EmbeddedSimulator]) -> Sites:
    """Returns where the cars drive, once the simulators of ``roles_here`` listen."""
    listed = listed_sites(config)
    if listed:
        return Sites(listed, listed[0])
    here = {role: embedded_site(config, simulator.address) for role, simulator in simulators.items()}
    return Sites(tuple(None if share.bundle else here[COLLECT] for share in plan.shares), here[EVALUATE])
