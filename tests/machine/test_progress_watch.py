"""A process that uses its processor is waited for; one that does not stands still after its time, on a clock of the test."""

import pytest

from robotini_ray.machine import progress_watch
from robotini_ray.machine.progress_watch import PROGRESS_CPU_S, ProgressWatch
from tests.fake_time import FakeTime


@pytest.fixture
def used_s(monkeypatch):
    """The processor time that the child has used, as a test sets it."""
    used = {"child": 0.0}
    monkeypatch.setattr(progress_watch, "cpu_time_s", lambda process_id: used["child"])
    return used


@pytest.fixture
def clock(monkeypatch):
    return FakeTime(monkeypatch, progress_watch)


def test_a_child_that_uses_a_little_of_its_processor_does_not_stand_still(used_s, clock):
    watch = ProgressWatch(1, patience_s=10)
    for _ in range(100):
        clock.now_s += 9
        used_s["child"] += PROGRESS_CPU_S
        assert not watch.stands_still()
    clock.now_s += 9
    assert not watch.stands_still()
    clock.now_s += 2
    assert watch.stands_still()


def test_less_than_that_is_no_progress(used_s, clock):
    watch = ProgressWatch(1, patience_s=10)
    clock.now_s += 11
    used_s["child"] += PROGRESS_CPU_S / 2
    assert watch.stands_still()


def test_what_it_did_during_a_long_pause_of_this_process_counts(used_s, clock):
    watch = ProgressWatch(1, patience_s=10)
    clock.now_s += 1000
    used_s["child"] += 1.0
    assert not watch.stands_still()


def test_signs_that_the_caller_sees_count_too(used_s, clock):
    watch = ProgressWatch(1, patience_s=10)
    clock.now_s += 9
    watch.saw_progress()
    clock.now_s += 9
    assert not watch.stands_still()
    clock.now_s += 2
    assert watch.stands_still()
