"""Decides on which nodes of a Ray cluster the parts of a run go.

Nodes offer custom resources: ``sim``, the number of collecting cars that a node takes, and ``learner``. Launcher, Redis and
evaluator are always on the driver's node, that is, the launcher's; without such resources everything else is there too.
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

from robotini_ray.config import MAX_CARS, Config, ListedSimulator
from robotini_ray.errors import RobotiniError

SIM, LEARNER, GPU = "sim", "learner", "GPU"
THIS_MACHINE = "127.0.0.1"
NODE_SHARE = 0.001
"""The amount to reserve of the resource ``node:ADDRESS``, of which every node offers 1; it ties a part to that node."""

REACH_TIMEOUT_S = 5.0
RESERVE_TIMEOUT_S = 60.0
PROBE_TIMEOUT_S = 60.0

Bundle = Mapping[str, float]
"""The resources that one node must offer; empty for the driver's node."""


class PlacementError(RobotiniError):
    """Raised if there is no cluster, or if it lacks what the config requires; the message is one line for the user."""


@dataclasses.dataclass(frozen=True)
class Node:
    """A node of the cluster that is alive.

    Attributes:
        node_id: Ray's id of the node.
        address: Its IP address.
        resources: The total amount of each resource that it offers.
    """

    node_id: str
    address: str
    resources: Mapping[str, float]

    @property
    def sim(self) -> int:
        """The number of collecting cars that the node offers to take."""
        return int(self.resources.get(SIM, 0))

    @property
    def places(self) -> int:
        """Collecting cars that the embedded simulator of the node takes."""
        return min(self.sim, MAX_CARS)


@dataclasses.dataclass(frozen=True)
class Share:
    """The cars that drive on one simulator, and the place of their collectors.

    Attributes:
        cars: The number of cars.
        bundle: The resources of the node on which the collectors run.
        listed: The simulator's entry in the config. None for an embedded simulator, which the run starts on the same node,
            and for the simulator at ``simulator.address``.
    """

    cars: int
    bundle: Bundle = dataclasses.field(default_factory=dict)
    listed: ListedSimulator | None = None


@dataclasses.dataclass(frozen=True)
class Plan:
    """The bundles that the parts of a run need.

    Attributes:
        shares: The shares of the cars, one for each simulator.
        learner: The bundle of learner and replay. They share a node because checkpoints are hard links from one to the other.
    """

    shares: tuple[Share, ...]
    learner: Bundle = dataclasses.field(default_factory=dict)

    @property
    def leaves_the_driver(self) -> bool:
        """True where any part runs on another node than the driver's."""
        return bool(self.learner) or any(share.bundle for share in self.shares)


def plan_one_machine(config: Config) -> Plan:
    """Returns the plan that puts everything on the driver's node."""
    if config.simulators:
        return Plan(tuple(Share(listed.cars, {}, listed) for listed in config.simulators))
    return Plan((Share(config.collection.cars),))


def plan_cluster(config: Config, nodes: Sequence[Node], driver_id: str) -> Plan:
    """Distributes the cars over simulators and nodes, and chooses the place of the learner.

    Args:
        config: The run's config.
        nodes: The nodes of the cluster that are alive.
        driver_id: Ray's id of the launcher's node.

    Raises:
        PlacementError: No node offers what the learner needs, the nodes take fewer cars than the config has, or the host of a
            simulator cannot be resolved.
        ConfigError: One embedded simulator would have to take more cars than it can.
    """
    driver = next(node for node in nodes if node.node_id == driver_id)
    learner = _learner_bundle(config, nodes, driver)
    if config.simulators:
        return Plan(tuple(_share_of_listed(listed, nodes, driver) for listed in config.simulators), learner)
    if config.simulator.address is not None or not any(node.sim for node in nodes):
        config.check_one_machine()
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
            f"learner.num_gpus is {gpus:g}, but no node offers that many GPUs ({offered}): set it to 0, or add such a node"
        )
    return {}


def _share_of_listed(listed: ListedSimulator, nodes: Sequence[Node], driver: Node) -> Share:
    """Places collectors on the simulator's machine if that is a node, else on any node that takes the cars."""
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
        raise PlacementError(
            f"simulators: host {host} cannot be resolved here: {error.strerror}; give its IP address"
        ) from error


def _shares_of_nodes(cars: int, nodes: Sequence[Node]) -> tuple[Share, ...]:
    """Distributes the cars as evenly as the nodes' ``sim`` allows; the nodes that take most cars come first.

    A share reserves all of its node's ``sim``, so that no two shares are placed on the same node.
    """
    nodes = sorted(nodes, key=lambda node: -node.sim)
    places = sum(node.places for node in nodes)
    if cars > places:
        offered = ", ".join(f"{node.address}: {node.places}" for node in nodes)
        raise PlacementError(
            f"collection.cars is {cars}, but the nodes take {places} (resource {SIM}; {offered}): "
            f"set it to {places}, or start nodes with more {SIM}"
        )
    taken = [0] * len(nodes)
    for _ in range(cars):
        emptiest = min((k for k in range(len(nodes)) if taken[k] < nodes[k].places), key=lambda k: taken[k])
        taken[emptiest] += 1
    return tuple(Share(count, {SIM: float(node.sim)}) for node, count in zip(nodes, taken, strict=True) if count)


class Placement:
    """Holds Ray's scheduling options for the parts of a plan whose bundles have been reserved.

    Args:
        plan: The plan.
        learner_host: The address under which the replay server is reached.
        driver_host: The address under which Redis is reached.

    Attributes:
        driver: The options for parts on the driver's node, as keyword arguments of ``start_part``.
        learner: The options for learner and replay.
        shares: The options for the parts of each of the plan's shares.
    """

    def __init__(self, plan: Plan, learner_host: str = THIS_MACHINE, driver_host: str = THIS_MACHINE) -> None:
        self.plan = plan
        self.learner_host = learner_host
        self.driver_host = driver_host
        self.driver: dict[str, Any] = {}
        self.learner: dict[str, Any] = {}
        self.shares: list[dict[str, Any]] = [{} for _ in plan.shares]

    def find_learner(self, node_id: str) -> None:
        """Updates ``learner_host``: after a node was lost, Ray may have placed the learner's bundle on another node.

        Args:
            node_id: Ray's id of the node on which replay runs now.
        """
        if self.plan.learner:
            self.learner_host = next(node["NodeManagerAddress"] for node in ray.nodes() if node["NodeID"] == node_id)


def is_there(place: Mapping[str, Any]) -> bool:
    """Returns whether the bundle of these options of a ``Placement`` is on a node now, so that a part can start there."""
    strategy = place.get("scheduling_strategy")
    if not isinstance(strategy, PlacementGroupSchedulingStrategy):
        return True
    return placement_group_table(strategy.placement_group).get("state") == "CREATED"


def check_cluster(address: str) -> None:
    """Checks that something listens at the address of a cluster; Ray itself would retry for minutes.

    Args:
        address: ``auto``, which is not checked, or ``HOST:PORT``.

    Raises:
        PlacementError: Nothing listens there, or the address has another form.
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
    """Plans for the cluster that this process has joined, and reserves the bundles of the plan.

    Waits only until the learner's bundle is placed. Ray places the other bundles, and later those of a lost node, as soon as
    some node has room for them; ``is_there`` tells whether it has.

    Args:
        config: The run's config.
        run_dir: The run directory, which the learner's node must see too.
        wait: Waits for a reference, at most a number of seconds; the text names what it waits for. Raises an error if the
            time is over.

    Raises:
        PlacementError: The cluster lacks what the plan needs.
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
        wait(group.ready(), RESERVE_TIMEOUT_S, f"a node with {wanted} for the learner; `ray status` shows what is free")
        placement.learner = _inside(group)
        node_id = placement_group_table(group)["bundles_to_node_id"][0]
        placement.learner_host = next(node.address for node in nodes if node.node_id == node_id)
        _check_shared(run_dir, placement, wait)
    for index, share in enumerate(plan.shares):  # Ray places them in this order: the largest share takes its node first
        placement.shares[index] = _inside(_reserve(share.bundle)) if share.bundle else placement.driver
    return placement


def _reserve(bundle: Bundle) -> PlacementGroup:
    return placement_group([dict(bundle)], strategy="STRICT_PACK")


def _inside(group: PlacementGroup) -> dict[str, Any]:
    return {"scheduling_strategy": PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=0)}


def _check_shared(run_dir: Path, placement: Placement, wait: Callable[[Any, float, str], None]) -> None:
    """Checks that the learner's node sees the run directory: the learner writes checkpoints there that the launcher reads."""
    probe = run_dir / f".probe-{secrets.token_hex(8)}"
    probe.touch()
    try:
        seen = ray.remote(num_cpus=0, **placement.learner)(_exists).remote(probe)
        wait(seen, PROBE_TIMEOUT_S, f"the learner's node {placement.learner_host} to look for {run_dir}")
        if not ray.get(seen):
            raise PlacementError(
                f"the learner's node {placement.learner_host} does not see {run_dir}: give a --run-dir on a file system that "
                "both nodes share, or start train on that node "
                f"(ray job submit --entrypoint-resources '{{\"{LEARNER}\": 0.001}}' ...)"
            )
    finally:
        probe.unlink()


def _exists(path: Path) -> bool:
    return path.exists()
