"""What the launcher writes down of a run while it goes on: TensorBoard, Ray's metrics, summary.json, evaluations.jsonl."""

from __future__ import annotations

from collections.abc import Callable

from robotini_ray.parts.interfaces import LearnerPart
from robotini_ray.program.part import PartHandle
from robotini_ray.run.directory import RunDirectory
from robotini_ray.run.histogram import Histogram
from robotini_ray.run.progress import Progress
from robotini_ray.run.ray_metrics import RayMetrics
from robotini_ray.run.reports import Evaluation, LearnerReport
from robotini_ray.track.reference_laps import ReferenceLaps


class RunRecords:
    """Writes it all down.

    Args:
        run: the run's directory.
        progress: where the run is.
        limit_s: the track's lap limit.
        learner: the learner while it runs, for it writes TensorBoard's files; without one they get nothing.
        say: takes a line for a person.
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

    def add_evaluation(self, evaluation: Evaluation) -> None:
        """Writes down an evaluation that has been added to the progress, and says how it went."""
        self._run.add_evaluation(self._progress.evaluation_record(evaluation))
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
        """Writes down where the run is now, while Ray runs; ``learner`` is None while there is none."""
        progress = self._progress
        self._metrics = self._metrics or RayMetrics(self._run.path.name)
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
        self._metrics.export(progress, learner)
        self.write_summary()

    def write_summary(self) -> None:
        """Replaces summary.json; a failure is said and counted."""
        try:
            self._run.write_summary(self._progress.summary(self._limit_s))
        except OSError as error:
            self._progress.add_fault("summary failed")
            self._say(f"summary.json could not be written: {error.strerror}; the last one stays")

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
