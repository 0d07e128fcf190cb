"""Defines the interfaces of a run's parts and of the handles by which one part calls another.

A part is an instance of a plain class in a process of its own. Callers name its methods by these classes, which import
neither TensorFlow nor Ray::

    learner: Handle[LearnerPart]
    learner.tell(LearnerPart.add_receivers, [car])      # mypy checks the method and its arguments
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from robotini_ray.errors import RobotiniError
from robotini_ray.run.histogram import Histogram
from robotini_ray.run.reports import Evaluation, LearnerReport

PartType = TypeVar("PartType", covariant=True)
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class RunCannotGoOn(RobotiniError):
    """A part's loop has ended for a reason that starting it again does not cure; the launcher ends the run with its message."""


class Part(Protocol):
    """A part of the program: an object in a process of its own."""

    def report(self) -> Any:
        """Returns the state that the launcher needs; the first call returns when the part is ready for its loop."""


class LoopingPart(Part, Protocol):
    """A part that works in a loop, while other threads answer its other methods."""

    def run(self) -> None:
        """Works until ``stop``."""

    def stop(self) -> None:
        """Ends ``run`` soon; returns at once."""


class WeightsReceiver(LoopingPart, Protocol):
    """A part that drives cars with the learner's weights."""

    def set_weights(self, version: int, flat_weights: NDArray[np.float32], pause: bool) -> None:
        """Takes new weights for the next decision or evaluation.

        Args:
            version: See ``run.reports.weights_version``; an older version than the present one is ignored.
            flat_weights: ``<float32>[size]``, in the order of ``PolicySpec.weight_shapes``.
            pause: Whether replay has enough data for now, so that collectors in lock-step may pause.
        """


class EvaluatorPart(WeightsReceiver, Protocol):
    """Evaluates the newest weights and keeps the best policy."""

    def report(self) -> list[Evaluation]:
        """Returns the evaluations that have finished since the last call."""

    def hurry(self) -> None:
        """Has the next evaluation start at once, without waiting for the end of the interval."""


class LearnerPart(LoopingPart, Protocol):
    """Trains the agent, broadcasts its weights and writes checkpoints and TensorBoard's files."""

    def report(self) -> LearnerReport:
        """Returns the progress of training; rates are those since the last call."""

    def add_receivers(self, handles: Sequence[Handle[WeightsReceiver]]) -> None:
        """Sends these parts the newest weights and all later ones; returns when they have the newest, or after 10 s."""

    def checkpoint(self, progress: dict[str, Any]) -> None:
        """Writes a checkpoint of replay, agent and the counters ``progress``; returns when it is on disk."""

    def record(
        self,
        section: str,
        scalars: dict[str, float],
        histograms: dict[str, Histogram] | None = None,
        pngs: dict[str, bytes] | None = None,
    ) -> None:
        """Writes values for TensorBoard at the current train step; the arguments are those of ``RunSummaries.write``."""


class Handle(Protocol[PartType]):
    """A reference to a part in another process."""

    @property
    def name(self) -> str:
        """The part's name, which stays the same when the part is started again."""

    def tell(
        self,
        method: Callable[Concatenate[PartType, Parameters], Result],
        *arguments: Parameters.args,
        **keywords: Parameters.kwargs,
    ) -> Any:
        """Calls a method in the part's process and returns a reference to its result, without waiting for it."""
