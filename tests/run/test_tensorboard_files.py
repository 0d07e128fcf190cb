"""TensorBoard's files, read by TensorBoard itself."""

import time

import cv2
import numpy as np
import pytest
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.plugins.histogram import metadata as histogram_metadata
from tensorboard.plugins.image import metadata as image_metadata
from tensorboard.util.tensor_util import make_ndarray

from robotini_ray.run.histogram import Histogram
from robotini_ray.run.tensorboard_files import SECTIONS, RunSummaries


def events_of(directory, section):
    events = EventAccumulator(str(directory / section), size_guidance={"tensors": 0})
    events.Reload()
    return events


def test_a_histogram_is_one_to_tensorboard(tmp_path):
    RunSummaries(tmp_path).write("training", 7, {}, {"weights/actor": Histogram([-1.0, 0.0, 2.0], [3, 4])})
    events = events_of(tmp_path, "training")
    (event,) = events.Tensors("training/weights/actor")
    assert event.step == 7
    np.testing.assert_array_equal(make_ndarray(event.tensor_proto), [[-1.0, 0.0, 3.0], [0.0, 2.0, 4.0]])
    metadata = events.SummaryMetadata("training/weights/actor")
    assert metadata.plugin_data.plugin_name == histogram_metadata.PLUGIN_NAME


def test_a_picture_is_one_to_tensorboard_as_it_was(tmp_path):
    png = cv2.imencode(".png", np.arange(5 * 9 * 3, dtype=np.uint8).reshape(5, 9, 3))[1].tobytes()
    RunSummaries(tmp_path).write("evaluation", 8, {}, {}, {"last_lap/camera": png})
    events = events_of(tmp_path, "evaluation")
    (event,) = events.Tensors("evaluation/last_lap/camera")
    assert event.step == 8
    assert make_ndarray(event.tensor_proto).tolist() == [b"9", b"5", png]
    assert events.SummaryMetadata("evaluation/last_lap/camera").plugin_data.plugin_name == image_metadata.PLUGIN_NAME


def test_after_a_resume_nothing_of_later_steps_is_left(tmp_path):
    histogram, png = Histogram([0.0, 1.0], [1]), cv2.imencode(".png", np.zeros((1, 1, 3), np.uint8))[1].tobytes()
    before = RunSummaries(tmp_path)
    for step in range(0, 100, 10):
        before.write("evaluation", step, {"laps/best_s": 1.0}, {"a/histogram": histogram}, {"a/picture": png})
    began = int(time.time())
    while int(time.time()) == began:  # another process has its files in another second
        time.sleep(0.05)
    after = RunSummaries(tmp_path, from_step=55)
    for step in range(60, 90, 10):
        after.write("evaluation", step, {"laps/best_s": 2.0}, {"a/histogram": histogram}, {"a/picture": png})
    events = events_of(tmp_path, "evaluation")
    for tag in ("laps/best_s", "a/histogram", "a/picture"):
        assert [event.step for event in events.Tensors(f"evaluation/{tag}")] == [0, 10, 20, 30, 40, 50, 60, 70, 80], tag


def test_there_are_three_sections_and_no_other(tmp_path):
    summaries = RunSummaries(tmp_path)
    for section in SECTIONS:
        summaries.write(section, 1, {"group/name": 2.0})
        assert events_of(tmp_path, section).Tensors(f"{section}/group/name")[0].step == 1
    with pytest.raises(KeyError):
        summaries.write("other", 1, {})
