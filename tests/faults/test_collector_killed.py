"""A collector is killed: it alone is started again, and it has the learner's weights before its first step."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from robotini_ray.parts.interfaces import LearnerPart, LoopingPart
from robotini_ray.program import start_watch
from robotini_ray.program.part import PartHandle, PartSpec
from robotini_ray.program.supervisor import PartFailed, Supervisor
from tests.waiting import eventually

DUMMIES = "tests.faults.dummy_parts"


@pytest.fixture(scope="module")
def ray_here() -> Iterator[None]:
    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="warning")
    yield
    ray.shutdown()


class Program:
    """Cars and one who gives them their weights, under a supervisor."""

    def __init__(self, folder: Path, giver_place: dict[str, Any], car_place: dict[str, Any]) -> None:
        self.folder = folder
        (folder / "logs").mkdir()
        self.said: list[str] = []
        self.counted: list[tuple[str, str]] = []
        self.newest: dict[str, Any] = {}
        self.version = "first"
        names = ["car-0", "car-1"]
        specs = [
            PartSpec("giver", f"{DUMMIES}:Giver", lambda program: (self.version,), lambda: giver_place),
            *(self.car(name, car_place) for name in names),
        ]
        self.supervisor = Supervisor(
            specs, folder / "logs", self.said.append, lambda name, cause: self.counted.append((name, cause)), lambda name: None
        )
        eventually(self.all_report, "all run")

    def car(self, name: str, place: dict[str, Any]) -> PartSpec:
        diary = self.folder / f"{name}.txt"
        return PartSpec(name, f"{DUMMIES}:Car", lambda program: (diary,), lambda: place, introduce=introduce)

    def tick(self) -> None:
        self.newest.update(self.supervisor.tick())

    def all_report(self) -> bool:
        self.tick()
        return not self.supervisor.missing() and set(self.newest) == set(self.supervisor.facts())

    def pid(self, name: str) -> int:
        pid: int = self.newest[name][0]
        return pid

    def diary(self, name: str) -> list[str]:
        return (self.folder / f"{name}.txt").read_text().splitlines()

    def drives_as_another(self, name: str, pid: int) -> bool:
        self.tick()
        return self.newest[name][0] != pid and self.newest[name][1] > 0


def introduce(program: Any, car: PartHandle[Any]) -> Any:
    giver = program.running("giver")
    return None if giver is None else giver.tell(LearnerPart.add_receivers, [car])


@pytest.fixture
def program(ray_here: None, tmp_path: Path) -> Iterator[Program]:
    program = Program(tmp_path, {}, {})
    yield program
    program.supervisor.end_all()


def test_it_is_back_with_weights_and_the_others_are_untouched(program: Program) -> None:
    pids = {name: program.pid(name) for name in ("giver", "car-0", "car-1")}
    os.kill(pids["car-0"], signal.SIGKILL)
    eventually(lambda: program.drives_as_another("car-0", pids["car-0"]), "the car drives again")
    assert program.counted == [("car-0", "process ended")]
    assert len(program.said) == 1 and program.said[0].startswith("car-0: process ended")
    assert program.diary("car-0") == [
        f"{pids['car-0']} drives with weights first",
        f"{program.pid('car-0')} drives with weights first",
    ]
    for name in ("giver", "car-1"):
        assert program.pid(name) == pids[name]


@pytest.mark.slow
def test_car_and_learner_killed_together_the_car_waits_for_the_new_weights(program: Program) -> None:
    pids = {name: program.pid(name) for name in ("giver", "car-0")}
    program.version = "second"
    for pid in pids.values():
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: program.drives_as_another("car-0", pids["car-0"]), "the car drives again")
    assert program.diary("car-0")[-1] == f"{program.pid('car-0')} drives with weights second"
    assert sorted(program.counted) == [("car-0", "process ended"), ("giver", "process ended")]


@pytest.mark.slow
def test_a_stopped_process_counts_as_silent_and_is_replaced(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    from robotini_ray.program import supervisor

    monkeypatch.setattr(supervisor, "SILENCE_TIMEOUT_S", 3.0)
    pid = program.pid("car-1")
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: program.drives_as_another("car-1", pid), "the car drives again")
    assert ("car-1", "no answer") in program.counted
    eventually(lambda: not Path(f"/proc/{pid}").exists(), "the stopped process is ended, not left behind")


@pytest.mark.slow
def test_a_loop_that_has_ended_is_started_again(program: Program) -> None:
    pid = program.pid("car-0")
    car = program.supervisor.running("car-0")
    assert car is not None
    car.tell(LoopingPart.stop)
    eventually(lambda: program.drives_as_another("car-0", pid), "the car drives again")
    assert program.counted == [("car-0", "error")] and "ended by itself" in program.said[0]


def test_a_part_that_cannot_be_made_ends_the_run_in_one_line(ray_here: None, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    spec = PartSpec("broken", f"{DUMMIES}:Broken", lambda program: ("no wheels: buy some",))
    supervisor = Supervisor([spec], tmp_path / "logs", pytest.fail, lambda name, cause: None, lambda name: None)

    def fails() -> bool:
        try:
            supervisor.tick()
        except PartFailed as error:
            assert str(error) == "broken failed: ValueError: no wheels: buy some"
            return True
        return False

    eventually(fails, "it is noticed")
    supervisor.end_all()


@pytest.mark.slow
def test_a_part_that_waits_for_ever_while_it_is_made_ends_the_start(
    ray_here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start_watch, "START_TIMEOUT_S", 30.0)
    (tmp_path / "logs").mkdir()
    spec = PartSpec("waiting", f"{DUMMIES}:Waiting")
    supervisor = Supervisor([spec], tmp_path / "logs", pytest.fail, lambda name, cause: None, lambda name: None)
    supervisor.tick()

    def failure() -> str:
        try:
            supervisor.tick()
        except PartFailed as error:
            return str(error)
        return ""

    expected = r"waiting failed: it has not started, and its process \d+ has hardly used a processor for 30 s"
    assert re.fullmatch(expected, eventually(failure, "it is noticed"))
    supervisor.end_all()


def test_a_loop_that_cannot_go_on_ends_the_run_in_one_line(ray_here: None, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    counted: list[str] = []
    supervisor = Supervisor(
        [PartSpec("hopeless", f"{DUMMIES}:Hopeless")], tmp_path / "logs", pytest.fail, lambda name, _: counted.append(name), str
    )
    supervisor.begin()

    def fails() -> bool:
        try:
            supervisor.tick()
        except PartFailed as error:
            assert str(error) == "hopeless failed: there is no road left: build one"
            return True
        return False

    eventually(fails, "it is noticed")
    assert counted == [] and supervisor.running("hopeless") is not None, "the launcher can still ask it for an account"
    supervisor.end_all()
