"""Writes the launcher's records of a running run: TensorBoard, Ray's metrics, ``summary.json``, ``evaluations.jsonl``."""

from __future__ import annotations

from collections.abc import Callable

from robotini_ray.parts.interfaces import LearnerPart
from robotini_ray.program.part import PartHandle
from robotini_ray.program.supervisor import last_line
from robotini_ray.run.directory import RunDirectory
from robotini_ray.run.histogram import Histogram
from robotini_ray.run.progress import Progress
from robotini_ray.run.ray_metrics import RayMetrics
from robotini_ray.run.reports import Evaluation, LearnerReport
from robotini_ray.track.reference_laps import ReferenceLaps


class RunRecords:
    """Writes the records of one run.

    Args:
        run: The run directory.
        progress: The progress of the run, which the launcher keeps up to date.
        limit_s: The track's lap limit, in seconds.
        learner: Returns the learner, which writes TensorBoard's files, or None while it is not running; the points of that
            time are lost.
        say: Called with each line for the user.
    """

    def __init__(
        self,
        run: RunDirectory,
        progress: Progress,
        limit_s: float,
        learner: Callable[[], PartHandle[LearnerPart] | None],
        say: Callable[[str], None],
    ) -> None:
        self._run = run
        self._progress = progress
        self._limit_s = limit_s
        self._learner = learner
        self._say = say
        self._metrics: RayMetrics | None = None
        self._metrics_failed = False

    def add_evaluation(self, evaluation: Evaluation) -> None:
        """Records an evaluation that has already been added to the progress, and prints its result."""
        try:
            self._run.add_evaluation(self._progress.evaluation_record(evaluation))
        except OSError as error:
            self._progress.add_fault("evaluations failed")
            self._say(f"evaluations.jsonl could not be written: {error.strerror}; the evaluation is left out of it")
        references = {f"laps/{name}": lap_s for name, lap_s in ReferenceLaps.of(self._limit_s)._asdict().items()}
        pngs = {"last_lap/camera": evaluation.last_lap_png} if evaluation.last_lap_png else {}
        self._tell_learner("evaluation", {**evaluation.scalars(), **references}, {}, pngs)
        result = evaluation.result
        lap = "no lap" if result.median_lap_s is None else f"median lap {result.median_lap_s:.2f} s"
        average = "-" if result.average_return is None else f"{result.average_return:.1f}"
        self._say(
            f"evaluation at step {evaluation.version:,}: {result.clean_laps} clean of {len(result.laps)} laps, {lap}, "
            f"{result.crashes} crashes, return {average}{', the best so far' if evaluation.best else ''}"
        )

    def record(self, learner: LearnerReport | None, env_steps_per_s: float) -> None:
        """Records the current state of the run; Ray must be running.

        Args:
            learner: The learner's newest report; None while it is not running.
            env_steps_per_s: The present rate of environment steps of all cars.
        """
        progress = self._progress
        collection = {**progress.collection_scalars(), "rates/env_steps_per_s": env_steps_per_s}
        self._tell_learner("collection", collection, progress.action_histograms())
        if learner is not None:
            training = {
                "rates/train_steps_per_s": learner.train_steps_per_s,
                "rates/waiting_share": learner.waiting_share,
                "replay/items": learner.replay.items,
                "replay/ratio": learner.replay.ratio,
            }
            self._tell_learner("training", training)
        self.write_summary()
        self._export_metrics(learner)

    def write_summary(self) -> None:
        """Replaces ``summary.json``; a failure is reported and counted, but raises no error."""
        try:
            self._run.write_summary(self._progress.summary(self._limit_s))
        except OSError as error:
            self._progress.add_fault("summary failed")
            self._say(f"summary.json could not be written: {error.strerror}; the last one stays")

    def _export_metrics(self, learner: LearnerReport | None) -> None:
        """Exports Ray's metrics; the first failure is reported and counted, and ends only them, not the run."""
        if self._metrics_failed:
            return
        try:
            self._metrics = self._metrics or RayMetrics(self._run.path.name)
            self._metrics.export(self._progress, learner)
        except Exception as error:  # Ray raises many types
            self._metrics_failed = True
            self._progress.add_fault("metrics failed")
            self._say(f"Ray's metrics could not be exported and end here, the run goes on: {last_line(error)}")

    def _tell_learner(
        self,
        section: str,
        scalars: dict[str, float],
        histograms: dict[str, Histogram] | None = None,
        pngs: dict[str, bytes] | None = None,
    ) -> None:
        learner = self._learner()
        if learner is not None:
            learner.tell(LearnerPart.record, section, scalars, histograms, pngs)
