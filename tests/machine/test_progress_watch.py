"""A process that uses its processor is waited for; one that does not is stuck after its time, on a clock of the test."""

import pytest

from robotini_ray.machine import progress_watch
from robotini_ray.machine.progress_watch import ProgressWatch


@pytest.fixture
def machine(monkeypatch):
    """The clock of the wall and the processor time of every process, in seconds, to be changed by the test."""
    times = {"wall": 100.0, "used": 7.0}
    monkeypatch.setattr(progress_watch.time, "monotonic", lambda: times["wall"])
    monkeypatch.setattr(progress_watch, "cpu_time_s", lambda process_id: times["used"])
    return times


def test_a_process_that_works_is_never_stuck(machine):
    watch = ProgressWatch(1, 120.0, 2.0)
    for _ in range(100):
        machine["wall"] += 100.0
        machine["used"] += 2.0
        assert not watch.is_stuck()


def test_a_process_that_waits_is_stuck_after_its_time(machine):
    watch = ProgressWatch(1, 120.0, 2.0)
    machine["wall"] += 120.0
    machine["used"] += 1.9
    assert not watch.is_stuck()
    machine["wall"] += 1.0
    assert watch.is_stuck()


def test_its_time_begins_anew_with_progress(machine):
    watch = ProgressWatch(1, 120.0, 2.0)
    machine["wall"] += 119.0
    machine["used"] += 2.0
    assert not watch.is_stuck()
    machine["wall"] += 119.0
    assert not watch.is_stuck()
    machine["wall"] += 2.0
    assert watch.is_stuck()
