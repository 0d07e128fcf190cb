"""TensorBoard's files of a run: one writer a section, the train step as the horizontal axis.

Sections and their scalars:

    collection   env_steps, episodes, laps, crashes, average_return, env_steps_per_s, best_lap_s
    training     critic_loss, actor_loss, train_steps_per_s, replay_items, replay_ratio, waiting_share
                 actor_loss is minus the mean value of the actor's own actions, for every algorithm
    evaluation   average_return, min_return, max_return, average_episode_length, best_lap_s, median_lap_s, clean_laps, crashes,
                 reference_limit_s, reference_best_bot_s, reference_original_s: lines to compare laps with
"""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

SECTIONS = ("collection", "training", "evaluation")


class RunSummaries:
    """Writes scalars under ``RUN/tensorboard/SECTION``."""

    def __init__(self, directory: Path) -> None:
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
