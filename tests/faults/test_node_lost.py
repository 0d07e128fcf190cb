"""A node is lost: training goes on with the cars left, nothing waits for it, and its cars return with the capacity."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster

from tests.faults.test_collector_killed import Program
from tests.waiting import LONG_S, eventually

QUICK = {"health_check_period_ms": 300, "health_check_failure_threshold": 3}
"""Ray notices a lost node in a second and not in 14."""


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    head = {"num_cpus": 1, "resources": {"sim": 1, "learner": 1}, "include_dashboard": False, "_system_config": QUICK}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_cars_of_a_lost_node_return_when_there_is_room(cluster: Cluster, tmp_path: Path) -> None:
    far = cluster.add_node(num_cpus=1, resources={"sim": 1})
    ray.init(address=cluster.address, log_to_driver=False, logging_level="warning")
    program = Program(tmp_path, {"resources": {"learner": 1}}, {"resources": {"sim": 1}})
    try:
        facts = program.supervisor.facts()
        (lost,) = [name for name in ("car-0", "car-1") if facts[name]["node"] == far.node_id]
        (left,) = {"car-0", "car-1"} - {lost}
        pids = {name: program.pid(name) for name in ("giver", "car-0", "car-1")}
        cluster.remove_node(far, allow_graceful=False)

        eventually(lambda: ticked(program) and bool(program.counted), "the loss is noticed")
        ((name, cause),) = program.counted
        assert name == lost and cause in ("node lost", "process ended"), "Ray may notice either first"
        steps = program.newest[left][1]
        eventually(lambda: ticked(program) and program.newest[left][1] > steps + 200, "the other car drives on")
        assert program.supervisor.facts()[lost]["state"] == "starting", "it waits for a place"

        cluster.add_node(num_cpus=1, resources={"sim": 1})
        eventually(lambda: ticked(program) and program.drives_as_another(lost, pids[lost]), "the car is back")
        assert program.pid(left) == pids[left] and program.pid("giver") == pids["giver"]
        assert program.diary(lost)[-1].endswith("weights first")
    finally:
        program.supervisor.end_all()


def ticked(program: Program) -> bool:
    """A look at everything, which must not hang."""
    began = time.monotonic()
    program.tick()
    assert time.monotonic() - began < LONG_S
    return True
