"""TensorBoard's files as the learner writes them, read while they grow."""

from __future__ import annotations

import struct

import pytest

from robotini_ray.monitor.event_files import MOST_POINTS, Curve, EventFileError, ScalarReader
from robotini_ray.run.tensorboard_files import RunSummaries


@pytest.fixture
def summaries(tmp_path):
    return RunSummaries(tmp_path / "tensorboard")


def test_what_the_learner_writes_is_read(summaries, tmp_path):
    reader = ScalarReader(tmp_path / "tensorboard")
    reader.read_on()
    summaries.write("training", 20, {"losses/critic": 0.5, "losses/actor": -1.25})
    summaries.write("collection", 20, {"rates/env_steps_per_s": 900.0})
    assert reader.read_on()
    summaries.write("training", 40, {"losses/critic": 0.25})
    assert reader.read_on() and not reader.read_on()
    assert reader.curves["training/losses/critic"] == Curve([20, 40], [0.5, 0.25])
    assert reader.curves["training/losses/actor"] == Curve([20], [-1.25])
    assert reader.curves["collection/rates/env_steps_per_s"] == Curve([20], [900.0])


def test_a_record_that_is_still_being_written_is_waited_for(summaries, tmp_path):
    for step in range(1, 6):
        summaries.write("training", step, {"losses/critic": step / 2})
    (source,) = (tmp_path / "tensorboard" / "training").iterdir()
    whole = source.read_bytes()
    folder = tmp_path / "copy" / "training"
    folder.mkdir(parents=True)
    reader = ScalarReader(tmp_path / "copy")
    for size in range(0, len(whole) + 1, 7):
        (folder / source.name).write_bytes(whole[:size])
        reader.read_on()
    (folder / source.name).write_bytes(whole)
    reader.read_on()
    assert reader.curves["training/losses/critic"] == Curve([1, 2, 3, 4, 5], [0.5, 1.0, 1.5, 2.0, 2.5])


def test_what_is_no_scalar_is_left_out(summaries, tmp_path):
    import tensorflow as tf

    with tf.summary.create_file_writer(str(tmp_path / "tensorboard" / "training")).as_default() as writer:
        tf.summary.histogram("training/weights", [1.0, 2.0], step=3)
        tf.summary.image("training/picture", [[[[0.0]]]], step=3)
        tf.summary.scalar("training/broken", float("nan"), step=3)
        tf.summary.scalar("training/sound", 7.0, step=3)
        writer.flush()
    reader = ScalarReader(tmp_path / "tensorboard")
    reader.read_on()
    assert {name: curve for name, curve in reader.curves.items() if curve.steps} == {"training/sound": Curve([3], [7.0])}


def test_another_kind_of_file_is_named(tmp_path):
    folder = tmp_path / "training"
    folder.mkdir()
    (folder / "events.out.tfevents.1").write_bytes(struct.pack("<Q", 1 << 40) + b"x" * 20)
    with pytest.raises(EventFileError, match=r"tfevents.1 is not an event file: a record of 1099511627776 bytes at byte 0"):
        ScalarReader(tmp_path).read_on()


def test_a_run_that_was_resumed_earlier_draws_over_what_it_had_drawn():
    curve = Curve()
    for step in (10, 20, 30, 20, 25):
        curve.add(step, step / 10 if step != 20 else -1.0)
    assert curve.steps == [10, 20, 25]
    assert curve.values == [1.0, -1.0, 2.5]


def test_a_long_curve_keeps_its_ends_and_its_size():
    curve = Curve()
    for step in range(10 * MOST_POINTS):
        curve.add(step, float(step))
    assert len(curve.steps) <= MOST_POINTS
    assert curve.steps[0] == 0 and curve.steps[-1] == 10 * MOST_POINTS - 1
    assert curve.steps == sorted(curve.steps) and curve.values == [float(step) for step in curve.steps]
