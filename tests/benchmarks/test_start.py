"""These tests compute the figures of a start from readings, and measure one real start."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import robotini_ray
from robotini_ray.benchmarks import start
from robotini_ray.benchmarks.apparatus.figure import MeasurementError
from robotini_ray.benchmarks.start import Start
from tests.small_training import small_training


def test_the_costliest_part_comes_first_and_parts_that_were_not_seen_ready_have_no_time():
    one = Start({"cars": 10.0, "training": 20.0, "learner": 19.0}, {"learner": 9.0, "ray": 12.0})
    other = Start({"cars": 12.0, "page": 4.0, "training": 24.0, "learner": 23.0}, {"learner": 11.0, "ray": 14.0})
    figures = start.start_figures([one, other])
    assert [figure.name for figure in figures] == [
        "start_ready_cars",
        "start_ready_training",
        "start_cpu",
        "start_cpu_ray",
        "start_cpu_learner",
        "start_ready_learner",
    ]
    values = {figure.name: figure.spread for figure in figures}
    assert values["start_cpu"] == (23.0, 21.0, 25.0, 2)
    assert values["start_ready_training"] == (22.0, 20.0, 24.0, 2)
    assert values["start_ready_learner"].value == 21.0


@pytest.fixture
def package_path(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(robotini_ray.__file__).parents[1]))


@pytest.mark.usefixtures("package_path")
def test_a_training_that_cannot_start_is_told_with_its_last_line(tmp_path):
    with pytest.raises(MeasurementError, match=r"a training did not get to train: .*nowhere"):
        start.measure(lambda line: None, starts=1, arguments=[str(tmp_path / "nowhere.yaml")])


@pytest.mark.slow
@pytest.mark.usefixtures("package_path")
def test_a_real_start(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(small_training()))
    said = []
    figures = start.measure(said.append, starts=1, arguments=[str(config)])
    values = {figure.name.removeprefix("start_"): figure.spread.value for figure in figures}
    assert said == ["start: 1 of 1"]
    parts = {
        "launcher",
        "ray",
        "redis",
        "simulator-collect",
        "simulator-evaluate",
        "replay",
        "collector-0",
        "evaluator",
        "learner",
    }
    assert parts <= {name.removeprefix("cpu_") for name in values}
    assert all(values[f"cpu_{name}"] > 0 for name in parts - {"redis"})
    assert values["cpu"] == pytest.approx(sum(value for name, value in values.items() if name.startswith("cpu_")))
    assert 0 < values["ready_cars"] <= values["ready_training"]
    assert values["ready_replay"] > 0 and values["ready_learner"] > 0
