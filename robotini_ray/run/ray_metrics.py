"""Exports a run's figures as Ray metrics, from which Prometheus reads them; the table ``METRICS`` lists all of them.

The launcher has the reports of all parts, so it exports everything. Ray forwards the values every few seconds to the metrics
agent of the launcher's node, where Prometheus finds each metric under its name prefixed with ``ray_``.
"""

from __future__ import annotations

import dataclasses
import os
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Literal

from ray.util.metrics import Gauge

from robotini_ray.car.errors import FAULTS
from robotini_ray.run.progress import Progress
from robotini_ray.run.reports import LearnerReport

RAY_PREFIX = "ray_"
RUN_TAG = "run"
ALL_BUT_PERCENT = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")
"""The printable characters of ASCII that a label keeps."""

Kind = Literal["total", "gauge"]
Value = float | Mapping[str, float] | None
"""The value of a metric: a number, a number for each value of the metric's tag, or None while there is no value yet."""


@dataclasses.dataclass(frozen=True)
class Metric:
    """A row of the table of metrics.

    Attributes:
        name: The name as in PromQL, without ``RAY_PREFIX``; it ends in its unit, or in ``_total`` for a total.
        kind: A total only grows, resumes of the run included; a gauge is a present value.
        unit: The unit in words.
        description: The quantity that is counted or measured.
        value: Returns the value from the run's progress and the learner's newest report, which is None without a learner.
        tag: Name of the tag (a label in Prometheus) that distinguishes several values; empty for a single value.
    """

    name: str
    kind: Kind
    unit: str
    description: str
    value: Callable[[Progress, LearnerReport | None], Value]
    tag: str = ""


def _of_learner(value: Callable[[LearnerReport], float]) -> Callable[[Progress, LearnerReport | None], Value]:
    return lambda progress, learner: None if learner is None else value(learner)


def _of_last_evaluation(name: str) -> Callable[[Progress, LearnerReport | None], Value]:
    return lambda progress, learner: (progress.last_evaluation or {}).get(name)


METRICS = (
    Metric("robotini_env_steps_total", "total", "frames", "Camera frames acted on", lambda run, _: run.env_steps),
    Metric(
        "robotini_frames_total", "total", "frames", "Camera frames that collecting cars received", lambda run, _: run.frames
    ),
    Metric(
        "robotini_late_steps_total",
        "total",
        "frames",
        "Frames that came over 25 ms after the one before",
        lambda run, _: run.late_frames,
    ),
    Metric("robotini_decisions_total", "total", "decisions", "Actions of collecting cars", lambda run, _: run.decisions),
    Metric("robotini_episodes_total", "total", "episodes", "Episodes of collecting cars", lambda run, _: run.episodes),
    Metric("robotini_laps_total", "total", "laps", "Flying laps of collecting cars", lambda run, _: run.laps),
    Metric(
        "robotini_crashes_total",
        "total",
        "crashes",
        "Contacts with walls and other cars, by role of the car",
        lambda run, _: {"collector": run.crashes_collect, "evaluator": run.crashes_evaluate},
        "role",
    ),
    Metric(
        "robotini_reconnects_total",
        "total",
        "connections",
        "Connections of collecting cars that were given up, by cause",
        lambda run, _: {**dict.fromkeys(FAULTS, 0), **run.reconnect_causes},
        "cause",
    ),
    Metric("robotini_faults_total", "total", "faults", "Faults, by cause", lambda run, _: run.faults, "cause"),
    Metric("robotini_restarts_total", "total", "restarts", "Restarts of parts", lambda run, _: sum(run.restarts.values())),
    Metric("robotini_evaluations_total", "total", "evaluations", "Evaluations finished", lambda run, _: run.evaluations),
    Metric(
        "robotini_learner_steps",
        "gauge",
        "steps",
        "Train step of the learner; goes down when it returns to a checkpoint",
        lambda run, _: run.train_steps,
    ),
    Metric(
        "robotini_learner_steps_per_second",
        "gauge",
        "1/s",
        "Train steps per second",
        _of_learner(lambda at: at.train_steps_per_s),
    ),
    Metric(
        "robotini_frames_per_second",
        "gauge",
        "1/s",
        "Camera frames per second and car, mean over the collectors",
        lambda run, _: run.frames_per_s,
    ),
    Metric(
        "robotini_frame_age_seconds",
        "gauge",
        "s",
        "Longest time that a car has waited for its next frame",
        lambda run, _: run.frame_age_s,
    ),
    Metric("robotini_replay_items", "gauge", "items", "Items in replay", _of_learner(lambda at: at.replay.items)),
    Metric(
        "robotini_replay_capacity_items",
        "gauge",
        "items",
        "Items that fit into replay",
        _of_learner(lambda at: at.replay.capacity),
    ),
    Metric(
        "robotini_replay_ratio",
        "gauge",
        "times",
        "Mean number of times an item was trained on",
        _of_learner(lambda at: at.replay.ratio),
    ),
    Metric(
        "robotini_learner_waiting_ratio",
        "gauge",
        "share",
        "Share of time in which the learner had no data to train on",
        _of_learner(lambda at: at.waiting_share),
    ),
    Metric(
        "robotini_weights_version",
        "gauge",
        "steps",
        "Train step of the oldest weights in use by a collector",
        lambda run, _: run.weights_version,
    ),
    Metric(
        "robotini_weights_lag_steps",
        "gauge",
        "steps",
        "Train steps that these weights are behind the learner",
        lambda run, _: run.weights_lag_steps,
    ),
    Metric(
        "robotini_weights_age_seconds",
        "gauge",
        "s",
        "Longest time since a collector received its weights",
        lambda run, _: run.weights_age_s,
    ),
    Metric("robotini_best_lap_seconds", "gauge", "s", "Fastest lap of all evaluations", lambda run, _: run.best_lap_s),
    Metric(
        "robotini_evaluation_median_lap_seconds",
        "gauge",
        "s",
        "Median lap of the last evaluation",
        _of_last_evaluation("median_lap_s"),
    ),
    Metric(
        "robotini_evaluation_clean_laps",
        "gauge",
        "laps",
        "Clean laps of the last evaluation",
        _of_last_evaluation("clean_laps"),
    ),
    Metric(
        "robotini_evaluation_return",
        "gauge",
        "reward",
        "Mean return of the last evaluation",
        _of_last_evaluation("average_return"),
    ),
)


def label(name: str) -> str:
    """Returns a name as a value of a tag: Ray takes only ASCII, so other characters and ``%`` are written as in a URL."""
    return urllib.parse.quote(os.fsencode(name), safe=ALL_BUT_PERCENT)


class RayMetrics:
    """Exports the metrics of one run; this process must be connected to Ray.

    Totals are exported as Ray gauges: a Ray counter can neither start from the count of a resumed run nor exist before it has
    counted anything, and PromQL's ``rate`` and ``increase`` need only a number that grows.

    Args:
        run_name: The run's name; see ``label`` for the value of the tag ``run``.
    """

    def __init__(self, run_name: str) -> None:
        self._gauges: dict[str, Gauge] = {}
        for metric in METRICS:
            tags = (RUN_TAG, metric.tag) if metric.tag else (RUN_TAG,)
            self._gauges[metric.name] = Gauge(metric.name, f"{metric.description} ({metric.unit})", tags)
            self._gauges[metric.name].set_default_tags({RUN_TAG: label(run_name)})

    def export(self, progress: Progress, learner: LearnerReport | None) -> None:
        """Exports the present values.

        Args:
            progress: The run's counters.
            learner: The learner's newest report; None while there is no learner.
        """
        for metric in METRICS:
            value = metric.value(progress, learner)
            if isinstance(value, Mapping):
                for tag, number in value.items():
                    self._gauges[metric.name].set(number, {metric.tag: tag})
            elif value is not None:
                self._gauges[metric.name].set(value)
