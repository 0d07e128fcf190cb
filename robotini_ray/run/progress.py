"""Tracks the progress of a run: counters over all its invocations and the results of its evaluations."""

from __future__ import annotations

import dataclasses
import statistics
import time
from typing import Any

from robotini_ray.car.errors import FAULTS
from robotini_ray.run.course import Course
from robotini_ray.run.histogram import Histogram
from robotini_ray.run.reports import CollectorReport, Evaluation, LearnerReport, no_actions, train_step_of


@dataclasses.dataclass
class Progress:
    """Counters of a whole run, resumes included.

    ``to_json`` is the form stored in checkpoints, ``summary`` the form meant for people.

    Attributes:
        env_steps: Camera frames acted on, repeats of an action included.
        frames: Camera frames that collecting cars have received.
        late_frames: Those of them that came late, see ``car.frame_meter``.
        replay_ratio: Mean number of times that an item of replay has been trained on so far.
        earlier_wall_s: Wall time of all earlier invocations, in seconds.
        reconnect_causes: Number of given-up connections by cause, see ``car.errors.FAULTS``.
        faults: Number of faults by cause, see ``car.errors.FAULTS``.
        course: What the evaluations are driven on, the result of ``Course.to_json``; None before an invocation has begun,
            and in the checkpoints of earlier versions of this program.
        best_policy: Result of the best policy's evaluation; None before there is one.
        first_clean_lap: ``wall_s`` and ``env_steps`` of the run when an evaluation first had a clean lap.
        restarts: Number of restarts by name of the part.
    """

    env_steps: int = 0
    frames: int = 0
    late_frames: int = 0
    decisions: int = 0
    train_steps: int = 0
    replay_ratio: float = 0.0
    earlier_wall_s: float = 0.0
    episodes: int = 0
    laps: int = 0
    crashes_collect: int = 0
    crashes_evaluate: int = 0
    reconnects: int = 0
    reconnect_causes: dict[str, int] = dataclasses.field(default_factory=dict)
    faults: dict[str, int] = dataclasses.field(default_factory=lambda: dict.fromkeys(FAULTS, 0))
    evaluations: int = 0
    course: dict[str, Any] | None = None
    best_lap_s: float | None = None
    best_policy: dict[str, Any] | None = None
    last_evaluation: dict[str, Any] | None = None
    first_clean_lap: dict[str, float] | None = None
    restarts: dict[str, int] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        self._began = time.monotonic()
        self._recent_returns: list[float] = []
        self._recent_laps_s: list[float] = []
        self._recent_actions = no_actions()
        self.weights_version = -1
        self.weights_age_s = 0.0
        self.frames_per_s = 0.0
        self.late_share = 0.0
        self.frame_age_s = 0.0

    @property
    def wall_s(self) -> float:
        """Wall time of all invocations so far, in seconds."""
        return self.earlier_wall_s + time.monotonic() - self._began

    @property
    def this_wall_s(self) -> float:
        """Wall time of this invocation, in seconds."""
        return time.monotonic() - self._began

    def add_collections(self, reports: list[CollectorReport]) -> None:
        """Adds the collectors' reports, each of which covers the time since the one before."""
        for report in reports:
            self.env_steps += report.env_steps
            self.frames += report.frames
            self.late_frames += report.late_frames
            self.decisions += report.decisions
            self.episodes += len(report.episodes)
            self.laps += len(report.laps)
            self.crashes_collect += report.crashes
            self.reconnects += report.reconnects
            _add(self.reconnect_causes, report.reconnect_causes)
            _add(self.faults, report.faults)
            for counts, more in zip(self._recent_actions, report.actions, strict=True):
                counts[:] = [a + b for a, b in zip(counts, more, strict=True)]
            self._recent_returns += [episode.undiscounted_return for episode in report.episodes]
            self._recent_laps_s += [lap.time_s for lap in report.laps]
        if reports:
            self.weights_version = train_step_of(min(report.weights_version for report in reports))
            self.weights_age_s = max(report.weights_age_s for report in reports)
            self.frames_per_s = statistics.fmean(report.frames_per_s for report in reports)
            self.late_share = max(report.late_share for report in reports)
            self.frame_age_s = max(report.frame_age_s for report in reports)

    def add_restart(self, part: str, cause: str) -> None:
        """Counts one restart of a part, and its cause as a fault."""
        self.restarts[part] = self.restarts.get(part, 0) + 1
        self.add_fault(cause)

    def add_fault(self, cause: str) -> None:
        """Counts one fault from which the program has recovered."""
        self.faults[cause] = self.faults.get(cause, 0) + 1

    def collection_scalars(self) -> dict[str, float]:
        """Returns the scalars of the collection for TensorBoard, by ``GROUP/NAME``.

        These are the counters, the rates, and the average return and best lap of the episodes and laps that ended since the
        last call. The average return and the best lap are left out if there was no episode or lap.
        """
        scalars: dict[str, float] = {
            "driving/env_steps": self.env_steps,
            "driving/episodes": self.episodes,
            "driving/laps": self.laps,
            "driving/crashes": self.crashes_collect,
            "rates/frames_per_s": self.frames_per_s,
            "rates/late_share": self.late_share,
            "rates/frame_age_s": self.frame_age_s,
            "connections/reconnects": self.reconnects,
            **{f"faults/{cause}": count for cause, count in self.faults.items()},
        }
        if self._recent_returns:
            scalars["driving/average_return"] = statistics.fmean(self._recent_returns)
        if self._recent_laps_s:
            scalars["driving/best_lap_s"] = min(self._recent_laps_s)
        self._recent_returns.clear()
        self._recent_laps_s.clear()
        return scalars

    def action_histograms(self) -> dict[str, Histogram]:
        """Returns histograms of the collecting cars' actions since the last call, by ``GROUP/NAME``, for TensorBoard.

        The result is empty if there was no action.
        """
        actions, self._recent_actions = self._recent_actions, no_actions()
        names = ("actions/throttle", "actions/turn")
        return {name: Histogram.over(-1.0, 1.0, counts) for name, counts in zip(names, actions, strict=True) if any(counts)}

    @property
    def weights_lag_steps(self) -> int:
        """Number of train steps that the oldest weights in use are behind the learner.

        It is 0 if there are no weights yet, or if they are from an earlier life of the learner that had come further.
        """
        return max(0, self.train_steps - self.weights_version) if self.weights_version >= 0 else 0

    def time_left_s(self, by_clock_s: float | None, train_steps: int | None, learner: LearnerReport | None) -> float | None:
        """Estimates the time until this invocation ends, in seconds; None if it cannot be estimated.

        Args:
            by_clock_s: Time left until the invocation's time limit, in seconds; None without a limit.
            train_steps: Train steps after which the whole run ends; None without a limit. The time until then is estimated
                from the learner's present rate. The earlier of both ends counts.
            learner: The learner's newest report; None if there is none.
        """
        if train_steps is None or learner is None or not learner.train_steps_per_s:
            return by_clock_s
        by_steps_s = max(0, train_steps - self.train_steps) / learner.train_steps_per_s
        return by_steps_s if by_clock_s is None else min(by_clock_s, by_steps_s)

    def begin_on(self, course: Course) -> bool:
        """Begins an invocation that evaluates on a course, and forgets the best results if they are of another one.

        Returns:
            Whether there were results of another course.
        """
        is_other = self.best_policy is not None and not course.is_of(self.course, self.best_policy)
        if is_other:
            self.best_lap_s = self.best_policy = None
        self.course = course.to_json()
        return is_other

    def add_learner(self, report: LearnerReport) -> None:
        """Takes the train step and the replay ratio from the learner's newest report."""
        self.train_steps = report.train_step
        self.replay_ratio = report.replay.ratio

    def add_evaluation(self, evaluation: Evaluation, limit_s: float) -> None:
        """Adds the result of one evaluation.

        Args:
            evaluation: The evaluation.
            limit_s: The track's lap limit, in seconds.
        """
        result = evaluation.result
        self.evaluations += 1
        self.crashes_evaluate += result.crashes
        self.last_evaluation = {"train_step": evaluation.version, **result.to_json(limit_s)}
        if evaluation.best:
            self.best_policy = self.last_evaluation
        if result.best_lap_s is not None and (self.best_lap_s is None or result.best_lap_s < self.best_lap_s):
            self.best_lap_s = result.best_lap_s
        if result.clean_laps and self.first_clean_lap is None:
            self.first_clean_lap = {"wall_s": round(self.wall_s, 1), "env_steps": self.env_steps}

    def evaluation_record(self, evaluation: Evaluation) -> dict[str, Any]:
        """Returns the line of ``evaluations.jsonl`` for ``evaluation``, which must be the one that was added last.

        ``ended_at`` is Unix time in seconds; ``wall_s`` and ``env_steps`` are those of the whole run at this moment.
        """
        return {
            "ended_at": round(time.time(), 2),
            "wall_s": round(self.wall_s, 2),
            "env_steps": self.env_steps,
            "best": evaluation.best,
            **(self.last_evaluation or {}),
        }

    def to_json(self) -> dict[str, Any]:
        """Returns the state from which a resumed run goes on, in JSON types."""
        return {**dataclasses.asdict(self), "earlier_wall_s": self.wall_s}

    def summary(self, limit_s: float) -> dict[str, Any]:
        """Returns the content of ``summary.json``.

        ``best_lap_s`` is the fastest lap of all evaluations, ``median_lap_s`` the median lap of the best policy's evaluation;
        ``average_return`` and ``average_episode_length`` are those of the last evaluation; ``replay_ratio`` is the mean number
        of times that an item of replay has been trained on so far.

        Args:
            limit_s: The track's lap limit, in seconds.
        """
        last, best = self.last_evaluation or {}, self.best_policy or {}
        median = best.get("median_lap_s")
        return {
            "env_steps": self.env_steps,
            "decisions": self.decisions,
            "train_steps": self.train_steps,
            "wall_s": round(self.wall_s, 1),
            "replay_ratio": round(self.replay_ratio, 2),
            "best_lap_s": self.best_lap_s,
            "median_lap_s": median,
            "limit_s": limit_s,
            "ratio_to_limit": None if median is None else median / limit_s,
            "crashes": {"collect": self.crashes_collect, "evaluate": self.crashes_evaluate},
            "reconnects": self.reconnects,
            "faults": dict(self.faults),
            "average_return": last.get("average_return"),
            "average_episode_length": last.get("average_episode_length"),
            "first_clean_lap": self.first_clean_lap,
            "restarts": self.restarts,
        }


def _add(totals: dict[str, int], more: dict[str, int]) -> None:
    for name, count in more.items():
        totals[name] = totals.get(name, 0) + count


class StepRate:
    """Measures environment steps per second of wall time, exponentially smoothed with a time constant of 3 s."""

    def __init__(self) -> None:
        self.per_s = 0.0
        self._steps: int | None = None
        self._at = 0.0

    def update(self, env_steps: int) -> None:
        """Updates ``per_s`` from the newest count of environment steps."""
        now = time.monotonic()
        if self._steps is not None and now > self._at:
            newest = (env_steps - self._steps) / (now - self._at)
            share = min(1.0, (now - self._at) / 3.0) if self.per_s else 1.0
            self.per_s += share * (newest - self.per_s)
        self._steps, self._at = env_steps, now
