"""Where the parts of a run go in a Ray cluster.

Nodes offer custom resources: ``sim``, the collecting cars that a node takes, and ``learner``. Launcher, Redis and evaluator are
always on the driver's node, and without such resources everything else is too.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
from ray.util import get_node_ip_address, placement_group_table
from ray.util.placement_group import PlacementGroup, placement_group
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy, PlacementGroupSchedulingStrategy

from robotini_ray.config import Config, ListedSimulator
from robotini_ray.errors import RobotiniError

SIM, LEARNER, GPU = "sim", "learner", "GPU"
THIS_MACHINE = "127.0.0.1"
NODE_SHARE = 0.001
"""Of the resource ``node:ADDRESS`` that every node has one of."""

REACH_TIMEOUT_S = 5.0
RESERVE_TIMEOUT_S = 60.0
PROBE_TIMEOUT_S = 60.0

Bundle = Mapping[str, float]
"""Resources that one node must offer; empty for the driver's node."""


class PlacementError(RobotiniError):
    """The cluster lacks what the config asks for; the message is one line for a person."""


@dataclasses.dataclass(frozen=True)
class Node:
    """A node of the cluster that is alive."""

    node_id: str
    address: str
    resources: Mapping[str, float]

    @property
    def sim(self) -> int:
        """Collecting cars that it takes."""
        return int(self.resources.get(SIM, 0))


@dataclasses.dataclass(frozen=True)
class Share:
    """Cars that drive on one simulator, and where their collectors run.

    An embedded simulator that the run starts itself (``listed`` is None) runs there too.
    """

    cars: int
    bundle: Bundle = dataclasses.field(default_factory=dict)
    listed: ListedSimulator | None = None


@dataclasses.dataclass(frozen=True)
class Plan:
    """Which bundle each part needs."""

    shares: tuple[Share, ...]
    learner: Bundle = dataclasses.field(default_factory=dict)
    """Of learner and replay, which share a node: checkpoints are hard links from one to the other."""

    @property
    def leaves_the_driver(self) -> bool:
        """Whether a part runs on another node than the driver's."""
        return bool(self.learner) or any(share.bundle for share in self.shares)


def plan_one_machine(config: Config) -> Plan:
    """Everything on the driver's node."""
    if config.simulators:
        return Plan(tuple(Share(listed.cars, {}, listed) for listed in config.simulators))
    return Plan((Share(config.collection.cars),))


def plan_cluster(config: Config, nodes: Sequence[Node], driver_id: str) -> Plan:
    """Shares the cars over simulators and nodes.

    Args:
        config: of the run.
        nodes: of the cluster.
        driver_id: the node of the launcher.

    Raises:
        PlacementError: no node offers what the learner needs, or the nodes take fewer cars than there are.
    """
    driver = next(node for node in nodes if node.node_id == driver_id)
    learner = _learner_bundle(config, nodes, driver)
    if config.simulators:
        return Plan(tuple(_share_of_listed(listed, nodes, driver) for listed in config.simulators), learner)
    if config.simulator.address is not None or not any(node.sim for node in nodes):
        return Plan((Share(config.collection.cars),), learner)
    return Plan(_shares_of_nodes(config.collection.cars, [node for node in nodes if node.sim]), learner)


def _learner_bundle(config: Config, nodes: Sequence[Node], driver: Node) -> Bundle:
    gpus = config.learner.num_gpus
    wanted, amount = (GPU, gpus) if gpus else (LEARNER, 1.0)
    if driver.resources.get(wanted, 0) >= amount:
        return {}
    if any(node.resources.get(wanted, 0) >= amount for node in nodes):
        return {wanted: amount}
    if gpus:
        offered = ", ".join(f"{node.address}: {node.resources.get(GPU, 0):g}" for node in nodes)
        raise PlacementError(
            f"learner.num_gpus is {gpus:g}, but no node offers that many GPUs ({offered}): set it to 0, or add one"
        )
    return {}


def _share_of_listed(listed: ListedSimulator, nodes: Sequence[Node], driver: Node) -> Share:
    """Beside the simulator where its machine is a node; else on any node that takes the cars."""
    address = _resolved(listed.host)
    if ipaddress.ip_address(address).is_loopback or address == driver.address:
        return Share(listed.cars, {}, listed)
    host = next((node for node in nodes if node.address == address), None)
    if host is not None:
        sim = {SIM: float(listed.cars)} if host.sim else {}
        return Share(listed.cars, {**sim, f"node:{address}": NODE_SHARE}, listed)
    if any(node.sim for node in nodes):
        return Share(listed.cars, {SIM: float(listed.cars)}, listed)
    return Share(listed.cars, {}, listed)


def _resolved(host: str) -> str:
    try:
        return socket.gethostbyname(host)
    except OSError as error:
        raise PlacementError(f"simulators: host {host} is not known here: {error.strerror}; give its address") from error


def _shares_of_nodes(cars: int, nodes: Sequence[Node]) -> tuple[Share, ...]:
    """As even as the nodes' ``sim`` allows; the nodes that take most come first.

    A share reserves all of its node's ``sim``, so that no two of them meet on one node.
    """
    nodes = sorted(nodes, key=lambda node: -node.sim)
    places = sum(node.sim for node in nodes)
    if cars > places:
        offered = ", ".join(f"{node.address}: {node.sim}" for node in nodes)
        raise PlacementError(
            f"collection.cars is {cars}, but the nodes take {places} (resource {SIM}; {offered}): "
            f"set it to {places}, or start nodes with more {SIM}"
        )
    taken = [0] * len(nodes)
    for _ in range(cars):
        emptiest = min((k for k in range(len(nodes)) if taken[k] < nodes[k].sim), key=lambda k: taken[k])
        taken[emptiest] += 1
    return tuple(Share(count, {SIM: float(node.sim)}) for node, count in zip(nodes, taken, strict=True) if count)


class Placement:
    """A plan whose bundles are reserved, as Ray's options for the actors.

    ``learner``, ``driver`` and ``shares`` (one for each of the plan's) are keyword arguments of ``start_part``.

    Args:
        plan: to carry out.
        learner_host: address under which the replay server is reached.
        driver_host: the same of Redis.
    """

    def __init__(self, plan: Plan, learner_host: str = THIS_MACHINE, driver_host: str = THIS_MACHINE) -> None:
        self.plan = plan
        self.learner_host = learner_host
        self.driver_host = driver_host
        self.driver: dict[str, Any] = {}
        self.learner: dict[str, Any] = {}
        self.shares: list[dict[str, Any]] = [{} for _ in plan.shares]

    def find_learner(self, node_id: str) -> None:
        """Replay runs on this node now: Ray may have placed the bundle of a lost node on another one."""
        if self.plan.learner:
            self.learner_host = next(node["NodeManagerAddress"] for node in ray.nodes() if node["NodeID"] == node_id)


def is_there(place: Mapping[str, Any]) -> bool:
    """Whether a part that is started with these options of a ``Placement`` finds its bundle on a node."""
    strategy = place.get("scheduling_strategy")
    if not isinstance(strategy, PlacementGroupSchedulingStrategy):
        return True
    return placement_group_table(strategy.placement_group).get("state") == "CREATED"


def check_cluster(address: str) -> None:
    """Refuses an address where no cluster is, before Ray tries for minutes.

    Args:
        address: ``auto`` or HOST:PORT.

    Raises:
        PlacementError: nobody listens there, or it is no such address.
    """
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        raise PlacementError(f"--address is {address}; allowed: local, auto or HOST:PORT of a cluster's head")
    try:
        socket.create_connection((host, int(port)), REACH_TIMEOUT_S).close()
    except (OSError, OverflowError) as error:
        raise PlacementError(
            f"no Ray cluster at {address}: {error} (cluster/README.md says how to start one; --address local needs none)"
        ) from error


def place_in_cluster(config: Config, run_dir: Path, wait: Callable[[Any, float, str], None]) -> Placement:
    """Plans for the cluster that this process has joined and asks for what the plan needs; waits for the learner's place alone.

    Ray places the other bundles, and later a lost node's, where there is room, or when there is: see ``is_there``.

    Args:
        config: of the run.
        run_dir: of the run; the learner's node must see it too.
        wait: waits for a reference, at most so many seconds, for what the text says; raises by itself.

    Raises:
        PlacementError: the cluster lacks something.
    """
    nodes = [Node(node["NodeID"], node["NodeManagerAddress"], node["Resources"]) for node in ray.nodes() if node["Alive"]]
    driver_id = ray.get_runtime_context().get_node_id()
    plan = plan_cluster(config, nodes, driver_id)
    here = get_node_ip_address() if plan.leaves_the_driver else THIS_MACHINE
    placement = Placement(plan, here, here)
    placement.driver = {"scheduling_strategy": NodeAffinitySchedulingStrategy(driver_id, soft=False)}
    placement.learner = placement.driver
    if plan.learner:
        group = _reserve(plan.learner)
        wanted = ", ".join(f"{name} {amount:g}" for name, amount in plan.learner.items())
        wait(group.ready(), RESERVE_TIMEOUT_S, f"a node with {wanted} for the learner; `ray status` says what is free")
        placement.learner = _inside(group)
        node_id = placement_group_table(group)["bundles_to_node_id"][0]
        placement.learner_host = next(node.address for node in nodes if node.node_id == node_id)
        _check_shared(run_dir, placement, wait)
    for index, share in enumerate(plan.shares):  # Ray places them one after the other: the largest takes its node first
        placement.shares[index] = _inside(_reserve(share.bundle)) if share.bundle else placement.driver
    return placement


def _reserve(bundle: Bundle) -> PlacementGroup:
    return placement_group([dict(bundle)], strategy="STRICT_PACK")


def _inside(group: PlacementGroup) -> dict[str, Any]:
    return {"scheduling_strategy": PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=0)}


def _check_shared(run_dir: Path, placement: Placement, wait: Callable[[Any, float, str], None]) -> None:
    """The learner writes checkpoints that the launcher reads."""
    probe = run_dir / f".probe-{secrets.token_hex(8)}"
    probe.touch()
    try:
        seen = ray.remote(num_cpus=0, **placement.learner)(_exists).remote(probe)
        wait(seen, PROBE_TIMEOUT_S, f"the learner's node {placement.learner_host} to look for {run_dir}")
        if not ray.get(seen):
            raise PlacementError(
                f"the learner's node {placement.learner_host} does not see {run_dir}: give a --run-dir on a file system that "
                f"both have, or start train there (ray job submit --entrypoint-resources '{{\"{LEARNER}\": 0.001}}' ...)"
            )
    finally:
        probe.unlink()


def _exists(path: Path) -> bool:
    return path.exists()
