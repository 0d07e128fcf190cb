"""Which processes the parts of a program are in, asked again and again: after a restart it is another one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import ray
from ray.exceptions import RayError

from robotini_ray.parts import PartHandle
from robotini_ray.processes import ProcessId, identify

ANSWER_TIMEOUT_S = 0.5


class Census:
    """Asks children of this process and parts for their processes.

    Args:
        children: their names, and what tells the number of each one's process (None while it has none).
    """

    def __init__(self, children: dict[str, Callable[[], int | None]]) -> None:
        self._children = children

    def take(self, parts: Sequence[PartHandle]) -> dict[str, ProcessId]:
        """The processes of all that live and answer within half a second; who is dead or busy is left out."""
        found = {name: identify(pid) for name, child in self._children.items() if (pid := child()) is not None}
        answers = {part.process(): part.name for part in parts}
        answered, _ = ray.wait(list(answers), num_returns=len(answers), timeout=ANSWER_TIMEOUT_S)
        for answer in answered:
            try:
                found[answers[answer]] = ray.get(answer)
            except RayError:
                continue  # whoever waits for its loop is told
        return {name: process for name, process in found.items() if process is not None}
