"""Writes a run's TensorBoard files: one writer for each section, with the train step as the horizontal axis.

A tag is ``SECTION/GROUP/NAME``; TensorBoard shows each section as one group of charts, in the order of the tags.

    collection   driving/{env_steps, episodes, laps, crashes, average_return, best_lap_s}
                 rates/{env_steps_per_s, frames_per_s, late_share, frame_age_s}
                 faults/CAUSE (see ``car.errors.FAULTS``), connections/reconnects
                 actions/{throttle, turn}: histograms in the action's units, exploration noise included
    training     losses/{critic, actor}: the actor's loss is that of ``ActorObjective``, for every algorithm
                 rates/{train_steps_per_s, waiting_share}, replay/{items, ratio}
                 weights/NETWORK/VARIABLE: histograms
    evaluation   episodes/{average_return, min_return, max_return, average_frames}
                 laps/{best_s, median_s, clean, crashes}
                 laps/{limit_s, best_bot_s, original_s}: reference lap times to compare the laps with
                 last_lap/camera: an image of twelve camera pictures, evenly spaced over the evaluator's last lap
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorboard.compat.proto import event_pb2
from tensorboard.plugins.histogram import metadata as histogram_metadata
from tensorboard.plugins.image import metadata as image_metadata
from tensorboard.summary.writer.record_writer import RecordWriter

from robotini_ray.run.histogram import Histogram

SECTIONS = ("collection", "training", "evaluation")


class RunSummaries:
    """Writes scalars, histograms and images below ``RUN/tensorboard/SECTION``.

    Args:
        directory: The directory ``RUN/tensorboard``.
        from_step: Train step of the checkpoint from which the run goes on; earlier records of later steps become void.
    """

    def __init__(self, directory: Path, from_step: int = 0) -> None:
        for section in SECTIONS:
            if any((directory / section).glob("*tfevents*")):
                _void_later_steps(directory / section, from_step)
        self._writers = {
            section: tf.summary.create_file_writer(str(directory / section), flush_millis=2000) for section in SECTIONS
        }

    def write(
        self,
        section: str,
        train_step: int,
        scalars: Mapping[str, float],
        histograms: Mapping[str, Histogram] | None = None,
        pngs: Mapping[str, bytes] | None = None,
    ) -> None:
        """Writes the values of one train step, by ``GROUP/NAME``, and flushes the file.

        Args:
            section: One of ``SECTIONS``.
            train_step: The train step on the horizontal axis.
            scalars: Numbers by name.
            histograms: Histograms by name.
            pngs: PNG files by name.

        Raises:
            KeyError: There is no such section.
        """
        with self._writers[section].as_default(step=train_step):
            for name, value in scalars.items():
                tf.summary.scalar(f"{section}/{name}", value)
            for name, histogram in (histograms or {}).items():
                _write_histogram(f"{section}/{name}", histogram)
            for name, png in (pngs or {}).items():
                _write_png(f"{section}/{name}", png)
        self._writers[section].flush()


def _write_histogram(tag: str, histogram: Histogram) -> None:
    """Writes a histogram in the format of TensorBoard's plugin: ``<float64>[bins, 3]`` of left edge, right edge, count."""
    rows = np.stack([histogram.edges[:-1], histogram.edges[1:], histogram.counts], axis=1)
    metadata = histogram_metadata.create_summary_metadata(display_name=tag, description="")
    tf.summary.write(tag, tf.constant(rows, tf.float64), metadata=metadata)


def _write_png(tag: str, png: bytes) -> None:
    """Writes a PNG in the format of TensorBoard's image plugin: width, height and the unchanged file.

    Width and height are read from the PNG's header, where they are big-endian at bytes 16 and 20.
    """
    width, height = (str(int.from_bytes(png[at : at + 4], "big")).encode() for at in (16, 20))
    metadata = image_metadata.create_summary_metadata(display_name=tag, description="")
    tf.summary.write(tag, tf.constant([width, height, png]), metadata=metadata)


def _void_later_steps(section: Path, step: int) -> None:
    """Makes TensorBoard drop the records of steps after ``step`` in a section's earlier files.

    TensorBoard does so when it reads the START of a session (``plugin_event_accumulator.py``:
    ``_CheckForRestartAndMaybePurge``). It reads files in the order of their names: the file written here comes after those of
    earlier seconds and before the file of the writer that is made after it.
    """
    start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    now = time.time()
    with open(section / f"events.out.tfevents.{int(now):010d}.#restart", "wb") as file:
        writer = RecordWriter(file)
        writer.write(event_pb2.Event(wall_time=now, file_version="brain.Event:2").SerializeToString())
        for _ in range(2):  # TensorBoard does not treat the very first START as a restart
            writer.write(event_pb2.Event(wall_time=now, step=step + 1, session_log=start).SerializeToString())
