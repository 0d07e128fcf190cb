"""One real training is hurt by one fault after the other, and has to survive them all."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from robotini_ray.run.checkpoints import CheckpointStore
from tests.faults.running_program import RunningProgram

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProgram]:
    """It trains."""
    program = RunningProgram(tmp_path_factory.mktemp("hurt"))
    try:
        program.wait_until_it_trains()
        yield program
    finally:
        program.end()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_without_redis_it_goes_on_and_its_cars_are_seen_again(training: RunningProgram, number: int) -> None:
    others = {name: pid for name, pid in training.pids().items() if name != "redis"}
    restarts = training.restarts("redis")
    pid = training.kill("redis", number)
    training.wait_until_back("redis", pid)
    training.wait(lambda: training.restarts("redis") == restarts + 1, "the restart is counted")
    assert {name: training.pid(name) for name in others} == others, "nobody else was started again"
    training.wait(lambda: any("redis answers again" in line for line in training.lines), "it is said")


def test_a_killed_collector_is_back_and_the_others_are_untouched(training: RunningProgram) -> None:
    others = {name: pid for name, pid in training.pids().items() if name != "collector-0"}
    restarts = training.restarts("collector-0")
    pid = training.kill("collector-0")
    training.wait_until_back("collector-0", pid)
    assert training.restarts("collector-0") == restarts + 1
    assert {name: training.pid(name) for name in others} == others


def test_the_embedded_simulator_is_started_again_at_its_address(training: RunningProgram) -> None:
    others = {name: pid for name, pid in training.pids().items() if name != "simulator-collect"}
    pid = training.kill("simulator-collect")
    training.wait_until_back("simulator-collect", pid)
    assert training.restarts("simulator-collect") == 1
    assert {name: training.pid(name) for name in others} == others


def test_a_learner_sent_sigterm_loses_nothing(training: RunningProgram) -> None:
    training.wait_until_it_trains()
    before = training.summary()["train_steps"]
    pid = training.kill("learner", signal.SIGTERM)
    training.wait_until_back("learner", pid)
    (line,) = [line for line in training.lines if "was sent SIGTERM" in line]
    assert int(line.rpartition("train step ")[2].split(")")[0].replace(",", "")) >= before, line


def test_of_a_killed_learner_at_most_one_checkpoint_interval_is_lost(training: RunningProgram) -> None:
    store = CheckpointStore(training.run_dir / "checkpoints")
    training.wait(lambda: store.newest() is not None, "there is a checkpoint")
    newest = store.newest()
    assert newest is not None
    restarts, best = training.restarts("learner"), training.summary()["best_lap_s"]
    pid = training.kill("learner")
    training.wait_until_back("learner", pid)
    summary = training.summary()
    assert summary["restarts"]["learner"] == restarts + 1
    assert summary["train_steps"] > newest.progress["train_steps"]
    assert best is None or summary["best_lap_s"] <= best


def test_a_killed_replay_server_is_back_where_everybody_looks_for_it(training: RunningProgram) -> None:
    others = {name: pid for name, pid in training.pids().items() if name != "replay"}
    restarts = training.restarts("replay")
    pid = training.kill("replay")
    training.wait_until_back("replay", pid)
    assert training.restarts("replay") == restarts + 1
    assert {name: training.pid(name) for name in others} == others, "cars and learner have found it on its old port"
