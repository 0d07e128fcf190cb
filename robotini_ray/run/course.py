"""Describes what the evaluations of a run are driven on, without which their results cannot be compared."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from robotini_ray.config import Config
from robotini_ray.track.lap_limit import lap_limit_s
from robotini_ray.track.track import Track


@dataclasses.dataclass(frozen=True)
class Course:
    """A track and a number of laps.

    Attributes:
        track_sha256: SHA-256 of the track file, because another track can have the same name.
        laps: Number of laps of an evaluation, ``evaluation.laps``.
        limit_s: The track's lap limit, in seconds.
    """

    track_sha256: str
    laps: int
    limit_s: float

    @classmethod
    def of(cls, track: Track, config: Config) -> Course:
        """Returns the course on which a run with this config evaluates."""
        return cls(track.sha256, config.evaluation.laps, lap_limit_s(track))

    def to_json(self) -> dict[str, Any]:
        """Returns the course in JSON types."""
        return {"track_sha256": self.track_sha256, "laps": self.laps}

    def is_of(self, course: Mapping[str, Any] | None, evaluation: Mapping[str, Any]) -> bool:
        """Returns whether an evaluation was driven on this course.

        Args:
            course: The stored result of ``to_json``; None for an evaluation of an earlier version of this program, which is
                known only by its track's limit.
            evaluation: The evaluation, in the form of ``EvaluationResult.to_json``.
        """
        return course == self.to_json() if course is not None else evaluation.get("limit_s", self.limit_s) == self.limit_s
