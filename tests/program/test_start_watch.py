"""How long a part may take to start, with the real processor time of a process and limits of the test's choice."""

import subprocess
import sys
import time

import pytest

from robotini_ray.program import start_watch
from robotini_ray.program.start_watch import StartWatch
from tests.waiting import eventually


@pytest.fixture(autouse=True)
def _looks_always(monkeypatch):
    monkeypatch.setattr(start_watch, "LOOK_INTERVAL_S", 0.0)


@pytest.fixture
def child():
    """Starts a Python program that ends with the test."""
    started = []

    def start(code):
        started.append(subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_part_that_uses_its_processor_is_waited_for_whatever_the_clock_says(monkeypatch, child):
    process = child("while True: pass")
    monkeypatch.setattr(start_watch, "FAR_START_TIMEOUT_S", 0.0)
    monkeypatch.setattr(start_watch, "PROGRESS_CPU_S", 0.01)
    monkeypatch.setattr(start_watch, "START_TIMEOUT_S", 60.0)
    watch = StartWatch(lambda: process.pid, lambda: False)
    for _ in range(20):
        assert watch.failure() is None
        time.sleep(0.02)


def test_a_part_that_only_waits_has_failed_and_its_process_is_named(monkeypatch, child):
    process = child("input()")
    monkeypatch.setattr(start_watch, "START_TIMEOUT_S", 0.5)
    watch = StartWatch(lambda: process.pid, lambda: True)
    reason = eventually(watch.failure, "it is given up")
    assert reason == f"it has not started, and its process {process.pid} has hardly used a processor for 0.5 s"


@pytest.mark.parametrize(("alone", "limit"), [(True, "START_TIMEOUT_S"), (False, "FAR_START_TIMEOUT_S")])
def test_a_part_without_a_process_here_has_the_time_of_its_place(monkeypatch, alone, limit):
    other = ({"START_TIMEOUT_S", "FAR_START_TIMEOUT_S"} - {limit}).pop()
    monkeypatch.setattr(start_watch, limit, 0.25)
    monkeypatch.setattr(start_watch, other, 1000.0)
    watch = StartWatch(lambda: None, lambda: alone)
    assert watch.failure() is None
    reason = eventually(watch.failure, "it is given up")
    assert reason == "it has not started in 0.25 s; `ray status` shows what is missing"


def test_a_process_that_takes_the_place_of_one_that_has_ended_has_its_own_time(monkeypatch, child):
    monkeypatch.setattr(start_watch, "START_TIMEOUT_S", 1000.0)
    processes = [child("input()"), child("input()")]
    found = [process.pid for process in processes]
    watch = StartWatch(lambda: found.pop(0), lambda: True)
    assert watch.failure() is None and len(found) == 1
    processes[0].kill()
    processes[0].wait()
    assert watch.failure() is None and found == []
