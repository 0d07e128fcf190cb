"""The metrics that Ray exports for us, and the dashboard that shows them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import robotini_ray
from robotini_ray.car.errors import FAULTS
from robotini_ray.car.laps import Lap
from robotini_ray.commands.train import STEADY_METRICS
from robotini_ray.environment.score import OriginalEpisode
from robotini_ray.run.progress import Progress
from robotini_ray.run.ray_metrics import METRICS, RAY_PREFIX, RUN_TAG, RayMetrics, label
from robotini_ray.run.reports import CollectorReport, Evaluation, EvaluationResult, LearnerReport, ReplayState, weights_version

ROOT = Path(robotini_ray.__file__).parents[1]
DASHBOARD = ROOT / "cluster" / "grafana" / "robotini.json"
NAMES = {metric.name for metric in METRICS}
PATIENCE_S = 200
ATTEMPTS = 3


def shown() -> set[str]:
    """The metrics that the dashboard asks Prometheus for."""
    return set(re.findall(r"\bray_\w+", DASHBOARD.read_text()))


def panels() -> list[dict]:
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


class TestLabel:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("quickstart", "quickstart"),
            ('a "run" \\ ~', 'a "run" \\ ~'),
            ("pätkä", "p%C3%A4tk%C3%A4"),
            ("跑", "%E8%B7%91"),
            ("100%", "100%25"),
            ("a\nb", "a%0Ab"),
            (os.fsdecode(b"p\xe4"), "p%E4"),
        ],
    )
    def test_it_is_ascii_and_another_for_every_name(self, name, expected):
        assert label(name) == expected

    @pytest.mark.parametrize("name", ["pätkä", "跑", os.fsdecode(b"p\xe4")])
    def test_ray_takes_it(self, name):
        RayMetrics(name).export(Progress(), None)


class TestTable:
    def test_every_name_is_there_once_and_says_whose_it_is(self):
        assert len(NAMES) == len(METRICS)
        assert all(re.fullmatch(r"robotini_[a-z_]+", name) for name in NAMES)

    def test_totals_are_named_so_and_nothing_else_is(self):
        assert {metric.name for metric in METRICS if metric.kind == "total"} == {
            name for name in NAMES if name.endswith("_total")
        }

    def test_seconds_are_in_the_name(self):
        assert all(metric.name.endswith("_seconds") for metric in METRICS if metric.unit == "s")

    def test_the_page_of_metrics_lists_each_with_its_kind_and_unit(self):
        text = (ROOT / "docs" / "metrics.md").read_text()
        rows = re.findall(r"^\| `(robotini_\w+)` \| (\w+) \| (\S+) \| ", text, re.MULTILINE)
        assert rows == [(metric.name, metric.kind, metric.unit) for metric in METRICS]

    def test_a_run_that_has_just_begun_has_totals_of_zero_by_every_cause(self):
        values = {metric.name: metric.value(Progress(), None) for metric in METRICS}
        assert values["robotini_env_steps_total"] == 0
        assert values["robotini_reconnects_total"] == values["robotini_faults_total"] == dict.fromkeys(FAULTS, 0)
        assert {name for name, value in values.items() if value is None} == {
            "robotini_replay_items", "robotini_replay_capacity_items", "robotini_replay_ratio",
            "robotini_learner_waiting_ratio", "robotini_learner_steps_per_second", "robotini_best_lap_seconds",
            "robotini_evaluation_median_lap_seconds", "robotini_evaluation_clean_laps", "robotini_evaluation_return",
        }  # fmt: skip

    def test_values_are_those_of_the_run(self):
        progress = Progress()
        laps = [Lap(9.0, True), Lap(11.0, False)]
        report = CollectorReport(
            env_steps=30, decisions=10, frames=40, late_frames=4, crashes=2, laps=laps, frames_per_s=58.0, frame_age_s=0.25,
            episodes=[OriginalEpisode(1.0, 9)], reconnect_causes={"stalled": 3}, faults={"bad_line": 5},
            weights_version=weights_version(1, 90), weights_age_s=0.5,
        )  # fmt: skip
        progress.add_collections([report])
        learner = LearnerReport(100, 25.0, ReplayState(5, 8, 20, 100, 10, 4.0), 0.125, {})
        progress.add_learner(learner)
        progress.add_restart("learner", "process ended")
        progress.add_evaluation(Evaluation(90, EvaluationResult(laps, 7, [OriginalEpisode(3.0, 9)], 9, 9.0), True), 8.0)
        assert {metric.name.removeprefix("robotini_"): metric.value(progress, learner) for metric in METRICS} == {
            "env_steps_total": 30, "frames_total": 40, "late_steps_total": 4, "decisions_total": 10, "episodes_total": 1,
            "laps_total": 2, "crashes_total": {"collector": 2, "evaluator": 7},
            "reconnects_total": {**dict.fromkeys(FAULTS, 0), "stalled": 3},
            "faults_total": {**dict.fromkeys(FAULTS, 0), "bad_line": 5, "process ended": 1},
            "restarts_total": 1, "evaluations_total": 1, "learner_steps": 100, "learner_steps_per_second": 25.0,
            "frames_per_second": 58.0, "frame_age_seconds": 0.25, "replay_items": 5, "replay_capacity_items": 100,
            "replay_ratio": 2.5, "learner_waiting_ratio": 0.125, "weights_version": 90, "weights_lag_steps": 10,
            "weights_age_seconds": 0.5, "best_lap_seconds": 9.0, "evaluation_median_lap_seconds": 10.0,
            "evaluation_clean_laps": 1, "evaluation_return": 3.0,
        }  # fmt: skip


class TestDashboard:
    def test_it_names_only_metrics_of_the_table_and_all_of_them(self):
        assert {name.removeprefix(RAY_PREFIX) for name in shown()} == NAMES

    def test_every_panel_asks_for_something_of_the_chosen_runs(self):
        assert len(panels()) > 12
        for panel in panels():
            assert panel["title"] and panel["targets"]
            for target in panel["targets"]:
                metrics = re.findall(r"ray_robotini_\w+", target["expr"])
                assert metrics and target["expr"].count('{run=~"$run"}') == len(metrics), target["expr"]
                assert target["expr"].count("(") == target["expr"].count(")")

    def test_totals_are_shown_as_they_grow_and_gauges_as_they_are(self):
        for panel in panels():
            for target in panel["targets"]:
                grows = re.findall(r"(?:rate|increase)\(ray_(robotini_\w+)", target["expr"])
                assert all(name.endswith("_total") for name in grows), target["expr"]

    def test_what_legends_and_sums_tell_apart_is_told_apart(self):
        tags = {metric.name: metric.tag for metric in METRICS}
        for panel in panels():
            for target in panel["targets"]:
                names = re.findall(r"by \((\w+)\)", target["expr"]) + re.findall(r"{{(\w+)}}", target["legendFormat"])
                for name in names:
                    assert name in {tags[metric] for metric in re.findall(r"ray_(robotini_\w+)", target["expr"])}

    def test_panels_do_not_lie_on_each_other(self):
        cells = [
            (x, y)
            for panel in json.loads(DASHBOARD.read_text())["panels"]
            for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
            for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
        ]
        assert len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24


SCRIPT = """
import json, sys, time, urllib.request

import ray

from robotini_ray.car.laps import Lap
from robotini_ray.run.progress import Progress
from robotini_ray.run.ray_metrics import RayMetrics
from robotini_ray.run.reports import Evaluation, EvaluationResult, LearnerReport, ReplayState
from robotini_ray.program.ray_start import start_ray

wanted, run_name = json.loads(sys.argv[1]), sys.argv[2]
url = start_ray("local", lambda: None, print).metrics
text = ""
progress, learner = Progress(env_steps=1234), LearnerReport(7, 1.0, ReplayState(5, 8, 20, 100, 10, 4.0), 0.5, {})
progress.add_learner(learner)
progress.add_evaluation(Evaluation(7, EvaluationResult([Lap(9.5, True)], 0, [], 9, 9.0), True), 8.0)
progress.last_evaluation["average_return"] = 2.0
metrics = RayMetrics(run_name)
deadline = time.monotonic() + 100
while any(f"\\n{name}{{" not in text for name in wanted) and time.monotonic() < deadline:
    metrics.export(progress, learner)
    try:
        text = urllib.request.urlopen(url, timeout=10).read().decode()
    except OSError:  # the agent is still starting
        time.sleep(0.5)
    time.sleep(0.1)  # so often that a question meets a metric that is just being made
ray.shutdown()
print(json.dumps([line for line in text.splitlines() if "robotini" in line]))
"""


@pytest.mark.slow
@pytest.mark.timeout(ATTEMPTS * PATIENCE_S)
def test_ray_exports_every_metric_of_the_dashboard(tmp_path: Path) -> None:
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(ROOT), STEADY_METRICS[0]: STEADY_METRICS[1]}
    for name in ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        environment.pop(name, None)
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, json.dumps(sorted(shown())), 'a "run"']
    for _ in range(ATTEMPTS):
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, env=environment)
        if "The current node timed out during startup" not in done.stderr:  # Ray's own 30 s, on a loaded machine
            break
    assert done.returncode == 0, done.stderr
    lines = json.loads(done.stdout.splitlines()[-1])
    samples = {
        (found["name"], found["labels"]): float(found["value"])
        for line in lines
        if (found := re.fullmatch(r"(?P<name>\w+){(?P<labels>.*)} (?P<value>\S+)", line))
    }
    assert {name for name, _ in samples} == shown()
    assert all(f'{RUN_TAG}="a \\"run\\""' in labels for _, labels in samples), samples
    assert [value for (name, _), value in samples.items() if name == "ray_robotini_env_steps_total"] == [1234.0]
    assert [value for (name, _), value in samples.items() if name == "ray_robotini_best_lap_seconds"] == [9.5]
    causes = {
        labels.partition('cause="')[2].partition('"')[0] for name, labels in samples if name == "ray_robotini_faults_total"
    }
    assert causes == set(FAULTS)
