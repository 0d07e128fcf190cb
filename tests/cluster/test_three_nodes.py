"""The whole program on a Ray cluster of three nodes, all on this machine: a head for the driver, two that offer ``sim``."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml
from ray.cluster_utils import Cluster

import robotini_ray
from robotini_ray.run.program_file import read_program
from tests.small_training import small_training
from tests.waiting import eventually

PACKAGE_PARENT = Path(robotini_ray.__file__).parents[1]
PATIENCE_S = 600
SMALL = small_training(collection={"cars": 3, "cars_per_collector": 2})
LOST = {"simulator-0", "collector-0"}
NICENESS = {"RAY_worker_niceness": "0"}
HEAD = {
    "num_cpus": 1,
    "include_dashboard": False,
    "_system_config": {"health_check_period_ms": 1000, "health_check_failure_threshold": 5},
}


class Training:
    """``train`` on a cluster, and what it has said so far."""

    def __init__(self, address: str, config: Path, run: Path, *more: str) -> None:
        command = [
            sys.executable,
            "-m",
            "robotini_ray.launch",
            "train",
            str(config),
            "--run-dir",
            str(run),
        ]
        environment = {**os.environ, "PYTHONPATH": str(PACKAGE_PARENT)}
        self.process = subprocess.Popen(
            [*command, "--address", address, *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, text: str) -> None:
        """Returns when a line holds the text."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not any(text in line for line in list(self.lines)):
            assert self.process.poll() is None and time.monotonic() < deadline_s, f"no {text!r} in {''.join(self.lines)}"
            time.sleep(0.1)

    def end(self, number: int) -> str:
        """Sends a signal, waits for the end and returns all that was said."""
        self.process.send_signal(number)
        self.process.wait(PATIENCE_S)
        self.join()
        return "".join(self.lines)

    def join(self) -> None:
        """Waits for the last lines of a process that has ended."""
        self._reader.join(PATIENCE_S)

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(self.process.stdout)


@contextlib.contextmanager
def cluster_of(*workers: dict) -> Iterator[tuple[Cluster, list]]:
    """A head and workers with these resources; all of it is gone afterwards."""
    os.environ.update(NICENESS)
    cluster = Cluster(initialize_head=True, head_node_args=HEAD)
    try:
        yield cluster, [cluster.add_node(num_cpus=1, resources=resources) for resources in workers]
    finally:
        cluster.shutdown()


def parts_of(node, run: Path) -> list[str]:
    """The parts that run on a node, by the logs that they have open, and ``simulate`` for each simulator."""
    (raylet,) = node.all_processes["raylet"]
    processes = psutil.Process(raylet.process.pid).children(recursive=True)
    found: list[str] = []
    logs: set[Path] = set()
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
            found += ["simulate"] * ("simulate" in process.cmdline())
            logs |= {Path(file.path) for file in process.open_files()}
    return sorted(found + [log.stem for log in logs if log.parent == run / "logs"])


def summary_of(run: Path) -> dict:
    eventually((run / "summary.json").exists, "there is no summary.json")
    return json.loads((run / "summary.json").read_text())


def all_run(run: Path) -> bool:
    record = read_program(run)
    return record is not None and all(part.state == "running" for part in record.parts.values())


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_cars_on_two_nodes_train_and_survive_the_loss_of_one(tmp_path):
    config = tmp_path / "small.yaml"
    config.write_text(yaml.safe_dump(SMALL))
    run = tmp_path / "run"
    with cluster_of({"sim": 4}, {"sim": 2}) as (cluster, (first, second)):
        training = Training(cluster.address, config, run)
        try:
            training.wait_for("logs, checkpoints and policies are in")
            eventually(lambda: parts_of(first, run) == ["collector-0", "simulate", "simulator-0"], "cars on the first node")
            eventually(lambda: parts_of(second, run) == ["collector-1", "simulate", "simulator-1"], "cars on the second node")
            eventually(lambda: summary_of(run)["train_steps"] > 0, "no train step")
            assert (run / "redis.password").stat().st_mode & 0o777 == 0o600

            cluster.remove_node(first, allow_graceful=False)
            before = summary_of(run)
            eventually(lambda: summary_of(run)["env_steps"] > before["env_steps"] + 200, "the cars left do not drive on")
            eventually(lambda: summary_of(run)["train_steps"] > before["train_steps"], "training does not go on")
            assert training.process.poll() is None
            training.wait_for("simulator-0 waits for a place in the cluster")

            third = cluster.add_node(num_cpus=1, resources={"sim": 4})
            eventually(lambda: parts_of(third, run) == ["collector-0", "simulate", "simulator-0"], "the cars do not come back")
            eventually(lambda: all_run(run), "not all parts run again")
            restarts = summary_of(run)["restarts"]
            assert restarts["simulator-0"] >= 1 and restarts["collector-0"] >= 1 and set(restarts) <= LOST, restarts
            before = summary_of(run)
            eventually(lambda: summary_of(run)["train_steps"] > before["train_steps"], "training does not go on")
            output = training.end(signal.SIGINT)
            assert sum("waits for a place" in line for line in training.lines) == 1, output
            assert training.process.returncode == 130, output
            assert summary_of(run)["train_steps"] > before["train_steps"]
        finally:
            training.process.kill()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_learner_goes_where_its_resource_is_and_a_short_run_ends_by_itself(tmp_path):
    config = tmp_path / "small.yaml"
    config.write_text(yaml.safe_dump(SMALL))
    run = tmp_path / "run"
    with cluster_of({"learner": 1}, {"sim": 4}) as (cluster, (learning, driving)):
        training = Training(cluster.address, config, run, "--train-steps", "60")
        try:
            training.wait_for("logs, checkpoints and policies are in")
            eventually(lambda: parts_of(learning, run) == ["learner", "replay"], "the learner on its node")
            cars = ["collector-0", "collector-1", "simulate", "simulator-0"]
            eventually(lambda: parts_of(driving, run) == cars, "cars on the node with sim")
            assert training.process.wait(PATIENCE_S) == 0, "".join(training.lines)
        finally:
            training.process.kill()
    assert summary_of(run)["train_steps"] == 60
    assert (run / "policies" / "latest").exists()
    (checkpoint,) = (run / "checkpoints").glob("step-*")
    assert checkpoint.name == "step-000000060"


@pytest.mark.timeout(900)
def test_no_cluster_is_said_in_one_line(tmp_path):
    config = tmp_path / "small.yaml"
    config.write_text(yaml.safe_dump(SMALL))
    training = Training("127.0.0.1:1", config, tmp_path / "run")
    assert training.process.wait(PATIENCE_S) == 2
    training.join()
    assert "no Ray cluster at 127.0.0.1:1: " in training.lines[-1]
    assert not any("Traceback" in line for line in training.lines)
