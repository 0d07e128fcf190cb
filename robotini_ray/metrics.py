"""TensorBoard's files of a run: one writer a section, the train step as the horizontal axis.

Sections and their scalars:

    collection   env_steps, episodes, laps, crashes, average_return, env_steps_per_s, best_lap_s
    training     critic_loss, actor_loss, train_steps_per_s, replay_items, replay_ratio, waiting_share
                 actor_loss is minus the mean value of the actor's own actions, for every algorithm
    evaluation   average_return, min_return, max_return, average_episode_length, best_lap_s, median_lap_s, clean_laps, crashes,
                 reference_limit_s, reference_best_bot_s, reference_original_s: lines to compare laps with
"""

from __future__ import annotations

import time
from pathlib import Path

import tensorflow as tf
from tensorboard.compat.proto import event_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

SECTIONS = ("collection", "training", "evaluation")


class RunSummaries:
    """Writes scalars under ``RUN/tensorboard/SECTION``.

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

    def write(self, section: str, train_step: int, scalars: dict[str, float]) -> None:
        """One value each, at this train step.

        Raises:
            KeyError: there is no such section.
        """
        with self._writers[section].as_default():
            for name, value in scalars.items():
                tf.summary.scalar(f"{section}/{name}", value, step=train_step)
        self._writers[section].flush()


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
