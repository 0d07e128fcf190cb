"""The picture of trainings, from their lines of evaluations."""

import json

import cv2
import numpy as np
import pytest

from robotini_ray.benchmarks.learning_curves import PIXELS_PER_INCH, SIZE_INCHES, draw
from robotini_ray.config import ConfigError


def run_of(folder, laps_s, limit_s=4.0):
    folder.mkdir()
    lines = [
        {"wall_s": 60.0 * number, "average_return": 10.0 * number, "median_lap_s": lap_s, "limit_s": limit_s}
        for number, lap_s in enumerate(laps_s)
    ]
    (folder / "evaluations.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_the_picture_shows_each_run(tmp_path):
    one, other = run_of(tmp_path / "one", [None, 10.0, 6.0]), run_of(tmp_path / "other", [None, None, 9.0, 5.0])
    pictures = []
    for number, runs in enumerate([[one], [one, other]]):
        output = tmp_path / "pictures" / f"{number}.png"
        draw(runs, output)
        pictures.append(cv2.imread(str(output)))
    assert pictures[0].shape == (*(int(PIXELS_PER_INCH * inches) for inches in reversed(SIZE_INCHES)), 3)
    assert np.count_nonzero(pictures[0] != pictures[1]) > 1000


def test_a_run_that_never_finished_a_lap_has_a_picture(tmp_path):
    draw([run_of(tmp_path / "slow", [None, None])], tmp_path / "slow.png")
    assert (tmp_path / "slow.png").stat().st_size > 1000


def test_a_run_without_evaluations_and_two_tracks_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="holds no evaluations"):
        draw([run_of(tmp_path / "empty", [])], tmp_path / "x.png")
    with pytest.raises(ConfigError, match="different limits"):
        draw([run_of(tmp_path / "a", [9.0]), run_of(tmp_path / "b", [9.0], limit_s=5.0)], tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()
