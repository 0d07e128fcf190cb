"""A process that ends again and again is started again more and more seldom."""

from __future__ import annotations

import itertools

import pytest

from robotini_ray.program import side_processes
from robotini_ray.program.side_processes import LONGEST_PAUSE_S, SideProcesses


class Dying:
    """A process that has ended whenever it is looked at, and a clock."""

    pid, alive = 1, False

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.revived_at_s: list[float] = []

    def monotonic(self) -> float:
        return self.now_s

    def answers(self) -> bool:
        return False

    def revive(self) -> None:
        self.revived_at_s.append(self.now_s)


def test_the_pauses_double_up_to_a_minute_and_begin_anew_after_a_long_life(monkeypatch: pytest.MonkeyPatch) -> None:
    process, said = Dying(), list[str]()
    monkeypatch.setattr(side_processes, "time", process)
    side = SideProcesses(said.append, lambda name, cause: None)
    side.add("monitor", process, "nothing is shown")
    for _ in range(400):
        side.tick()
        process.now_s += 1.0
    times = process.revived_at_s
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert times[0] == 1000.0 and pauses[:8] == [1.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, LONGEST_PAUSE_S]
    assert set(pauses[8:]) == {LONGEST_PAUSE_S} and len(said) == 1
    process.now_s += 3 * LONGEST_PAUSE_S
    for _ in range(3):
        side.tick()
        process.now_s += 1.0
    assert process.revived_at_s[-3:] == [process.now_s - 3, process.now_s - 2, process.now_s - 1]
