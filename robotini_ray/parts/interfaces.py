"""The interfaces of a run's parts, and how one part calls another.

A part is a plain class in a process of its own. Callers name its methods by these classes, which import neither
TensorFlow nor Ray::

    learner: Handle[LearnerPart]
    learner.tell(LearnerPart.add_receivers, [car])      # mypy checks the method and its arguments
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from robotini_ray.run.histogram import Histogram
from robotini_ray.run.reports import Evaluation, LearnerReport

PartType = TypeVar("PartType", covariant=True)
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class Part(Protocol):
    """A part of the program."""

    def report(self) -> Any:
        """Returns what the launcher needs to know of the part; the first report comes when it is ready for its loop."""


class LoopingPart(Part, Protocol):
    """A part that works in a loop, while other threads answer its other methods."""

    def run(self) -> None:
        """Works until ``stop``."""

    def stop(self) -> None:
        """Ends ``run`` soon; returns at once."""


class WeightsReceiver(LoopingPart, Protocol):
    """A part that drives with the learner's weights."""

    def set_weights(self, version: int, flat_weights: NDArray[np.float32], pause: bool) -> None:
        """Takes new weights for the next decision or evaluation.

        Args:
            version: See ``run.reports.weights_version``; an older version than the present one is ignored.
            flat_weights: ``<float32>[size]``, in the order of ``PolicySpec.weight_shapes``.
            pause: Whether replay has enough for now, so that collectors in lock-step may rest.
        """


class EvaluatorPart(WeightsReceiver, Protocol):
    """Judges the newest weights and keeps the best policy."""

    def report(self) -> list[Evaluation]:
        """Returns the evaluations that have finished since the last call."""

    def hurry(self) -> None:
        """Starts the next evaluation without waiting for its time."""


class LearnerPart(LoopingPart, Protocol):
    """Trains the agent, broadcasts its weights and writes checkpoints and TensorBoard's files."""

    def report(self) -> LearnerReport:
        """Returns where training is; rates are those since the last call."""

    def add_receivers(self, handles: Sequence[Handle[WeightsReceiver]]) -> None:
        """Sends the newest weights to these parts, and all later ones; returns once they have them or after some seconds."""

    def checkpoint(self, progress: dict[str, Any]) -> None:
        """Writes a checkpoint of replay, agent and these counters; returns when it is on disk."""

    def record(
        self,
        section: str,
        scalars: dict[str, float],
        histograms: dict[str, Histogram] | None = None,
        pngs: dict[str, bytes] | None = None,
    ) -> None:
        """Writes points for TensorBoard at the current train step."""


class Handle(Protocol[PartType]):
    """A part as other processes hold it."""

    @property
    def name(self) -> str:
        """The part's name, the same in every life of it."""

    def tell(
        self,
        method: Callable[Concatenate[PartType, Parameters], Result],
        *arguments: Parameters.args,
        **keywords: Parameters.kwargs,
    ) -> Any:
        """Calls a method in the part's process and returns a reference to its result, without waiting for it."""
