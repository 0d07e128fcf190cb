"""TensorBoard's files of a run: one writer a section, the train step as the horizontal axis.

A tag is ``SECTION/GROUP/NAME``; TensorBoard makes one wall of each section, in the order of the groups.

    collection   driving/{env_steps, episodes, laps, crashes, average_return, best_lap_s}
                 rates/{env_steps_per_s, frames_per_s, late_share, frame_age_s}
                 faults/CAUSE (see ``car.errors.FAULTS``), connections/reconnects
                 actions/{throttle, turn}: histograms in the action's units, exploration noise included
    training     losses/{critic, actor}: the actor's is minus the mean value of its own actions, for every algorithm
                 rates/{train_steps_per_s, waiting_share}, replay/{items, ratio}
                 weights/NETWORK/VARIABLE: histograms
    evaluation   episodes/{average_return, min_return, max_return, average_frames}
                 laps/{best_s, median_s, clean, crashes}
                 laps/{limit_s, best_bot_s, original_s}: what laps are to be compared with
                 last_lap/camera: twelve pictures evenly over the evaluator's last lap, an image
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
    """Writes under ``RUN/tensorboard/SECTION``.

    Args:
        directory: ``RUN/tensorboard``.
        from_step: train step of the checkpoint that is gone on from; what was written of later steps before is void.
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
        """What there is at this train step, by ``GROUP/NAME``.

        Raises:
            KeyError: there is no such section.
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
    """As TensorBoard's histogram plugin reads it: ``<float64>[bins, 3]`` of left edge, right edge and count."""
    rows = np.stack([histogram.edges[:-1], histogram.edges[1:], histogram.counts], axis=1)
    metadata = histogram_metadata.create_summary_metadata(display_name=tag, description="")
    tf.summary.write(tag, tf.constant(rows, tf.float64), metadata=metadata)


def _write_png(tag: str, png: bytes) -> None:
    """As TensorBoard's image plugin reads it: width, height and the file, which stays as it is."""
    width, height = (str(int.from_bytes(png[at : at + 4], "big")).encode() for at in (16, 20))
    metadata = image_metadata.create_summary_metadata(display_name=tag, description="")
    tf.summary.write(tag, tf.constant([width, height, png]), metadata=metadata)


def _void_later_steps(section: Path, step: int) -> None:
    """Tells TensorBoard to forget what stands in a section's earlier files of steps after this one.

    It does so for a START of a session (``plugin_event_accumulator.py``: ``_CheckForRestartAndMaybePurge``). It reads files in
    the order of their names: this one comes after those of earlier seconds, and before that of the writer made after it.
    """
    start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    now = time.time()
    with open(section / f"events.out.tfevents.{int(now):010d}.#restart", "wb") as file:
        writer = RecordWriter(file)
        writer.write(event_pb2.Event(wall_time=now, file_version="brain.Event:2").SerializeToString())
        for _ in range(2):  # the first START of all is not taken for a restart
            writer.write(event_pb2.Event(wall_time=now, step=step + 1, session_log=start).SerializeToString())
