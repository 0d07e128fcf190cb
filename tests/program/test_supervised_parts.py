"""Parts on other nodes under the supervisor: they come where and when there is a place, and nobody waits for them."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster

from robotini_ray.config import config_from_dict
from robotini_ray.machine.redis_server import RedisServer
from robotini_ray.program.placement import place_in_cluster
from robotini_ray.program.sites import Sites
from robotini_ray.program.supervised_parts import SupervisedParts
from robotini_ray.run.progress import Progress
from robotini_ray.simulator_address import SimulatorAddress, Site
from tests.cluster.dummy_program import DummyTopology
from tests.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

QUICK = {"health_check_period_ms": 300, "health_check_failure_threshold": 3}
"""Ray notices a lost node in a second and not in 14."""

HERE = Site(SimulatorAddress("127.0.0.1", 11000, 11001), lockstep=True)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A head, which the driver joins."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False, "_system_config": QUICK})
    yield cluster
    ray.shutdown()
    cluster.shutdown()


class Program:
    """Dummies on the cluster as it is when this is made, two cars of one collector each."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        if not ray.is_initialized():
            ray.init(address=cluster.address, log_to_driver=False, logging_level="warning")
        self.folder = folder
        self.said: list[str] = []
        (folder / "logs").mkdir()
        config = config_from_dict({"collection": {"cars": 2, "cars_per_collector": 1}})
        placement = place_in_cluster(config, folder, waits)
        sites = Sites(tuple(None for _ in placement.plan.shares), HERE)
        redis = RedisServer(folder / "redis.log")
        redis.start()
        self._redis = redis
        self.progress = Progress()
        topology = DummyTopology(config, folder, placement, sites, redis, True)
        self.parts = SupervisedParts(topology, self.progress, self.said.append)

    def until(self, holds: Callable[[], bool], what: str) -> None:
        def ticked_and_holds() -> bool:
            self.parts.supervisor.tick()
            return holds()

        try:
            eventually(ticked_and_holds, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.said}\n{self.parts.supervisor.processes()}") from None

    def begin(self) -> None:
        self.until(lambda: not self.parts.awaited(), "there is enough to train")
        self.parts.supervisor.begin()

    def run(self, *names: str) -> bool:
        return all(self.parts.supervisor.running(name) is not None for name in names)

    def pid(self, name: str) -> int:
        process, _ = self.parts.supervisor.processes()[name]
        assert process is not None
        return process.pid

    def drives(self, name: str) -> list[str]:
        """Where a collector has driven, life by life."""
        diary = self.folder / f"{name}.txt"
        return diary.read_text().splitlines() if diary.exists() else []

    def drives_on(self, name: str, simulator: str) -> bool:
        """Whether a collector's newest life drives on what the simulator's newest life is."""
        lines, address = self.drives(name), self.parts.supervisor.first_report(simulator)
        return self.run(name, simulator) and bool(lines) and lines[-1].startswith(f"on {address} for ")

    def close(self) -> None:
        self.parts.supervisor.end_all()
        self._redis.stop()


def waits(reference: object, timeout_s: float, what: str) -> None:
    assert ray.wait([reference], timeout=timeout_s)[0], what


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[[Cluster], Program]]:
    made: list[Program] = []

    def make(cluster: Cluster) -> Program:
        made.append(Program(tmp_path, cluster))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_lost_node_comes_back_with_its_simulator_and_its_cars(
    cluster: Cluster, program: Callable[[Cluster], Program]
) -> None:
    far, near = (cluster.add_node(num_cpus=1, resources={"sim": amount}) for amount in (2, 1))
    running = program(cluster)
    running.begin()
    running.until(lambda: running.run("simulator-0", "simulator-1", *running.parts.cars), "all run")
    assert {running.parts.supervisor.node(name) for name in ("simulator-0", "collector-0")} == {far.node_id}
    assert {running.parts.supervisor.node(name) for name in ("simulator-1", "collector-1")} == {near.node_id}
    others = {name: running.pid(name) for name in ("replay", "learner", "evaluator", "simulator-1", "collector-1")}
    running.until(lambda: bool(running.drives("collector-0")), "it drives")
    first = running.drives("collector-0")
    old = running.parts.supervisor.first_report("simulator-0")

    cluster.remove_node(far, allow_graceful=False)
    waiting = "simulator-0 waits for a place in the cluster; the other parts go on"
    running.until(lambda: waiting in running.said and not running.run("collector-0"), "it is said what waits")
    assert {name: running.pid(name) for name in others} == others
    assert running.parts.awaited() == []

    again = cluster.add_node(num_cpus=1, resources={"sim": 2})
    running.until(lambda: running.drives_on("collector-0", "simulator-0"), "its cars drive on the new simulator")
    assert running.parts.supervisor.first_report("simulator-0") != old
    assert {running.parts.supervisor.node(name) for name in ("simulator-0", "collector-0")} == {again.node_id}
    assert len(running.drives("collector-0")) == len(first) + 1
    assert Counter(running.said)[waiting] == 1 and not any("collector-0 waits" in line for line in running.said)
    assert {name: running.pid(name) for name in others} == others
    assert set(running.progress.restarts) == {"simulator-0", "collector-0"}


def test_a_simulator_that_has_moved_takes_its_cars_along(cluster: Cluster, program: Callable[[Cluster], Program]) -> None:
    cluster.add_node(num_cpus=1, resources={"sim": 2})
    running = program(cluster)
    running.begin()
    running.until(lambda: running.run("simulator-0", *running.parts.cars), "all run")
    pid, address = running.pid("simulator-0"), running.parts.supervisor.first_report("simulator-0")
    os.kill(pid, signal.SIGKILL)
    running.until(lambda: running.parts.supervisor.first_report("simulator-0") != address, "there is another one")
    for name in ("collector-0", "collector-1"):
        running.until(lambda name=name: running.drives_on(name, "simulator-0"), f"{name} drives on it")  # type: ignore[misc]
        assert len(running.drives(name)) == 2
    assert "collector-0: simulator-0 has moved (it needs the new address); starting it again" in running.said


def test_training_begins_without_those_that_have_no_place_yet(cluster: Cluster, program: Callable[[Cluster], Program]) -> None:
    full = cluster.add_node(num_cpus=1, resources={"sim": 2})
    cluster.add_node(num_cpus=1, resources={"sim": 1})
    ray.init(address=cluster.address, log_to_driver=False, logging_level="warning")
    somebody = ray.remote(num_cpus=0, resources={"sim": 2})(Somebody).remote()
    assert ray.get(somebody.node.remote(), timeout=120) == full.node_id
    running = program(cluster)
    running.begin()
    assert running.run("simulator-1", "collector-1") and not running.run("simulator-0")
    running.until(lambda: any(line.startswith("simulator-0 waits") for line in running.said), "it is said what waits")
    ray.kill(somebody)
    running.until(lambda: running.drives_on("collector-0", "simulator-0"), "the others come when there is a place")
    assert not running.progress.restarts


class Somebody:
    """Another user of the cluster."""

    def node(self) -> str:
        node_id: str = ray.get_runtime_context().get_node_id()
        return node_id
