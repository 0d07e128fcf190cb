"""When checkpoints are written, and what becomes of one that could not be."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError, RayError

from robotini_ray.parts.interfaces import LearnerPart
from robotini_ray.program.part import PartHandle
from robotini_ray.program.supervisor import last_line

SLOW_S = 60.0


class CheckpointKeeper:
    """Asks the learner for checkpoints, without waiting for them; training goes on whatever becomes of them.

    Args:
        interval_s: between two.
        say: takes a line for a person.
        count: takes the name of a fault.
    """

    def __init__(self, interval_s: float, say: Callable[[str], None], count: Callable[[str], None]) -> None:
        self._interval_s = interval_s
        self._say = say
        self._count = count
        self._next_at = time.monotonic() + interval_s
        self._under_way: Any = None
        self._slow_at = 0.0

    def tick(self, learner: PartHandle[LearnerPart] | None, progress: Callable[[], dict[str, Any]]) -> None:
        """Asks for a checkpoint when it is time for one, and looks what has become of the last."""
        now = time.monotonic()
        if self._under_way is not None:
            self._look(now)
        elif learner is not None and now >= self._next_at:
            self._next_at = now + self._interval_s
            self._slow_at = now + SLOW_S
            self._under_way = learner.request(LearnerPart.checkpoint, progress())

    def hurry(self) -> None:
        """The next one is asked for at the next ``tick``."""
        self._next_at = 0.0

    def last(self, learner: PartHandle[LearnerPart], progress: dict[str, Any], timeout_s: float) -> None:
        """Writes one now and waits until it is on disk.

        Raises:
            RayError: it could not be written in time.
        """
        ray.get(learner.request(LearnerPart.checkpoint, progress), timeout=timeout_s)

    def _look(self, now: float) -> None:
        if not ray.wait([self._under_way], timeout=0)[0]:
            if now > self._slow_at:
                self._slow_at = now + SLOW_S
                self._say(f"a checkpoint has been under way for over {SLOW_S:g} s")
            return
        done, self._under_way = self._under_way, None
        try:
            ray.get(done, timeout=SLOW_S)
        except RayActorError:
            return  # the learner is gone: the supervisor says so
        except (RayError, GetTimeoutError) as error:
            self._count("checkpoint failed")
            self._say(f"a checkpoint could not be written, the earlier ones stay and training goes on: {last_line(error)}")
