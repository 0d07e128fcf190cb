"""When checkpoints are asked for, and what is said of those that fail."""

from __future__ import annotations

from typing import Any

import pytest
from ray.exceptions import RayActorError, RayTaskError

from robotini_ray.parts.interfaces import LearnerPart
from robotini_ray.program import checkpoint_keeper
from robotini_ray.program.checkpoint_keeper import SLOW_S, CheckpointKeeper

INTERVAL_S = 100.0


class World:
    """Stands in for the clock, for Ray and for the learner, whose calls are references that end as they are told."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.asked: list[dict[str, Any]] = []
        self.result: Any = None
        self.done = False
        self.said: list[str] = []
        self.faults: list[str] = []

    def monotonic(self) -> float:
        return self.now_s

    def request(self, method: Any, progress: dict[str, Any]) -> str:
        assert method is LearnerPart.checkpoint
        self.asked.append(progress)
        self.done = False
        return "reference"

    def wait(self, references: list[str], timeout: float) -> tuple[list[str], list[str]]:
        return (references, []) if self.done else ([], references)

    def get(self, reference: str, timeout: float) -> None:
        if isinstance(self.result, Exception):
            raise self.result


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(checkpoint_keeper, "time", world)
    monkeypatch.setattr(checkpoint_keeper, "ray", world)
    return world


@pytest.fixture
def keeper(world: World) -> CheckpointKeeper:
    return CheckpointKeeper(INTERVAL_S, world.said.append, world.faults.append)


def look(keeper: CheckpointKeeper, world: World, seconds: float, learner: Any = "world") -> None:
    """Looks once a second for so long."""
    for _ in range(int(seconds)):
        world.now_s += 1.0
        keeper.tick(world if learner == "world" else learner, lambda: {"at": world.now_s})  # type: ignore[arg-type]


def test_one_an_interval(keeper: CheckpointKeeper, world: World) -> None:
    for _ in range(350):
        look(keeper, world, 1)
        world.done = True
    assert [progress["at"] for progress in world.asked] == [100.0, 200.0, 300.0]
    assert world.said == [] and world.faults == []


def test_one_that_fails_is_said_and_counted_and_the_next_is_asked_for(keeper: CheckpointKeeper, world: World) -> None:
    world.result = RayTaskError("checkpoint", "OSError: No space left on device", OSError("No space left on device"))
    look(keeper, world, 100)
    world.done = True
    look(keeper, world, 1)
    assert world.faults == ["checkpoint failed"]
    assert "the earlier ones stay and training goes on" in world.said[0] and "No space left on device" in world.said[0]
    look(keeper, world, 99)
    assert len(world.asked) == 2


def test_one_that_was_lost_with_the_learner_is_the_supervisors_matter(keeper: CheckpointKeeper, world: World) -> None:
    world.result = RayActorError()
    look(keeper, world, 100)
    world.done = True
    look(keeper, world, 50, None)
    assert world.said == [] and world.faults == []
    look(keeper, world, 100, None)
    assert len(world.asked) == 1, "there is nobody to ask"
    look(keeper, world, 1)
    assert len(world.asked) == 2


def test_a_slow_one_is_said_now_and_then_and_not_asked_for_again(keeper: CheckpointKeeper, world: World) -> None:
    look(keeper, world, 100 + 2 * SLOW_S + 10)
    assert len(world.asked) == 1
    assert world.said == [f"a checkpoint has been under way for over {SLOW_S:g} s"] * 2
