"""Requests checkpoints from the learner at regular intervals, and reports those that could not be written."""

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
    """Requests checkpoints from the learner without waiting for them; training goes on even if one fails.

    Args:
        interval_s: The time between two requests, in seconds.
        say: Called with each line for the user.
        count: Called with the cause of a fault.
    """

    def __init__(self, interval_s: float, say: Callable[[str], None], count: Callable[[str], None]) -> None:
        self._interval_s = interval_s
        self._say = say
        self._count = count
        self._next_at = time.monotonic() + interval_s
        self._under_way: Any = None
        self._slow_at = 0.0

    def tick(self, learner: PartHandle[LearnerPart] | None, progress: Callable[[], dict[str, Any]]) -> None:
        """Requests a checkpoint when one is due, and checks whether the last one is finished; never waits.

        Args:
            learner: The learner; None while it is not running.
            progress: Returns the counters that are stored with the checkpoint.
        """
        now = time.monotonic()
        if self._under_way is not None:
            self._look(now)
        elif learner is not None and now >= self._next_at:
            self._next_at = now + self._interval_s
            self._slow_at = now + SLOW_S
            self._under_way = learner.request(LearnerPart.checkpoint, progress())

    def hurry(self) -> None:
        """Makes a checkpoint due now: the next ``tick`` requests it, or a later one if a request is still under way."""
        self._next_at = 0.0

    def last(self, learner: PartHandle[LearnerPart], progress: dict[str, Any], timeout_s: float) -> None:
        """Has the learner write a checkpoint now, and waits until it is on disk.

        Args:
            learner: The learner.
            progress: The counters that are stored with the checkpoint.
            timeout_s: The longest wait, in seconds.

        Raises:
            RayError: The checkpoint could not be written in time.
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
            return  # the learner has ended, which the supervisor reports
        except (RayError, GetTimeoutError) as error:
            self._count("checkpoint failed")
            self._say(f"a checkpoint could not be written; the earlier ones stay and training goes on: {last_line(error)}")
