import json
from typing import ClassVar

import pytest

from robotini_ray.car.laps import Lap
from robotini_ray.environment.score import OriginalEpisode
from robotini_ray.program import run_records
from robotini_ray.program.run_records import RunRecords
from robotini_ray.run.directory import RunDirectory
from robotini_ray.run.progress import Progress
from robotini_ray.run.reports import CollectorReport, Evaluation, EvaluationResult, LearnerReport, ReplayState
from tests.full_disk import file_size_limit

LEARNER = LearnerReport(100, 25.0, ReplayState(5, 8, 20, 100, 10, 4.0), 0.125, {})


class Learner:
    """Keeps what it is told to record."""

    def __init__(self):
        self.told = []

    def tell(self, *call):
        self.told.append(call)


class Metrics:
    """Stands for RayMetrics, which needs a Ray."""

    exported: ClassVar[list] = []

    def __init__(self, run_name):
        self.run_name = run_name

    def export(self, progress, learner):
        self.exported.append((self.run_name, progress.env_steps, learner))


@pytest.fixture
def records(tmp_path, monkeypatch):
    """Records of a run with its progress, its learner and what is said."""
    monkeypatch.setattr(run_records, "RayMetrics", Metrics)
    monkeypatch.setattr(Metrics, "exported", [])
    (tmp_path / "run").mkdir()
    made = RunRecords(
        RunDirectory(tmp_path / "run", fresh=False), Progress(), 5.0, lambda: made.learner, lambda text: made.said.append(text)
    )
    made.learner, made.said = Learner(), []
    return made


def test_where_the_run_is_goes_to_tensorboard_to_ray_and_into_the_summary(records, tmp_path):
    report = CollectorReport(env_steps=30, frames_per_s=60.0)
    report.add_action([0.0, 0.5])
    records._progress.add_collections([report])
    records.record(LEARNER, 123.0)
    (_, section, scalars, histograms, _), (_, other, training, _, _) = records.learner.told
    assert (section, other) == ("collection", "training")
    assert (scalars["driving/env_steps"], scalars["rates/env_steps_per_s"], scalars["rates/frames_per_s"]) == (30, 123.0, 60.0)
    assert set(histograms) == {"actions/throttle", "actions/turn"}
    assert training == {"rates/train_steps_per_s": 25.0, "rates/waiting_share": 0.125, "replay/items": 5, "replay/ratio": 2.5}
    assert Metrics.exported == [("run", 30, LEARNER)]
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["env_steps"] == 30


def test_an_evaluation_is_written_down_with_its_last_lap_and_said(records):
    result = EvaluationResult([Lap(9.0, True)], 0, [OriginalEpisode(12.0, 9)], 540, 19.4)
    evaluation = Evaluation(70, result, True, b"the strip")
    records._progress.add_evaluation(evaluation, 5.0)
    records.add_evaluation(evaluation)
    ((_, section, scalars, histograms, pngs),) = records.learner.told
    assert section == "evaluation" and histograms == {} and pngs == {"last_lap/camera": b"the strip"}
    assert (scalars["laps/best_s"], scalars["laps/limit_s"]) == (9.0, 5.0)
    (line,) = records._run.evaluations()
    assert (line["train_step"], line["laps"]) == (70, [9.0])
    assert records.said == [
        "evaluation at step 70: 1 clean of 1 laps, median lap 9.00 s, 0 crashes, return 12.0, the best so far"
    ]


def test_without_a_lap_there_is_no_picture_and_without_a_learner_no_tensorboard(records):
    evaluation = Evaluation(70, EvaluationResult([], 3, [], 540, 2.0), False)
    records._progress.add_evaluation(evaluation, 5.0)
    records.add_evaluation(evaluation)
    assert records.learner.told[0][-1] == {}
    records.learner = None
    records.add_evaluation(evaluation)
    records.record(None, 0.0)
    assert len(records._run.evaluations()) == 2 and Metrics.exported == [("run", 0, None)]


def test_a_summary_that_cannot_be_written_is_said_and_counted(records, monkeypatch):
    def fail(summary):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(records._run, "write_summary", fail)
    records.write_summary()
    assert records.said == ["summary.json could not be written: No space left on device; the last one stays"]
    assert records._progress.faults["summary failed"] == 1


def test_metrics_that_fail_are_said_and_counted_once_and_nothing_else_is_left_out(records, monkeypatch, tmp_path):
    def fail(self, progress, learner):
        raise UnicodeEncodeError("ascii", "pätkä", 1, 2, "ordinal not in range(128)")

    monkeypatch.setattr(Metrics, "export", fail)
    for frames in (30, 60):
        records._progress.env_steps = frames
        records.record(LEARNER, 123.0)
    assert len(records.learner.told) == 4
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["env_steps"] == 60
    (line,) = records.said
    assert line.startswith("Ray's metrics could not be exported and end here, the run goes on: 'ascii' codec can't encode")
    assert records._progress.faults["metrics failed"] == 1


def test_an_evaluation_that_cannot_be_written_is_said_and_counted(records):
    evaluation = Evaluation(70, EvaluationResult([], 3, [], 540, 2.0), False)
    records._progress.add_evaluation(evaluation, 5.0)
    with file_size_limit(10):
        records.add_evaluation(evaluation)
    assert records.said[0] == "evaluations.jsonl could not be written: File too large; the evaluation is left out of it"
    assert records._progress.faults["evaluations failed"] == 1
    assert records._run.evaluations() == [] and len(records.learner.told) == 1
