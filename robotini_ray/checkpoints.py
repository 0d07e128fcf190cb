"""The checkpoints of a run on disk: which there are, which one is whole, which are removed.

    checkpoints/step-000012000/progress.json   counters of the whole run
                               learner.*       TensorFlow's files: networks, optimizers, targets, train step
                               replay/TIME/    Reverb's files
    checkpoints/replay/TIME/                   where Reverb writes its newest one, and reads it when it starts

A checkpoint is written under another name and renamed when it is whole. Reverb keeps only its newest checkpoint, so its
files are linked (not copied) into ours.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """One whole checkpoint."""

    directory: Path

    @property
    def progress(self) -> dict[str, Any]:
        """Counters of the run."""
        return dict(json.loads((self.directory / "progress.json").read_text()))

    @property
    def learner_prefix(self) -> str:
        """The path that ``tf.train.Checkpoint`` reads."""
        return str(self.directory / "learner")


class CheckpointStore:
    """The ``checkpoints`` directory of a run."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.replay_dir = directory / "replay"
        self.replay_dir.mkdir(parents=True, exist_ok=True)

    def newest(self) -> Checkpoint | None:
        """The newest whole checkpoint, None for a new run."""
        whole = self._whole()
        return Checkpoint(whole[-1]) if whole else None

    def write(
        self,
        train_step: int,
        replay: Path,
        progress: dict[str, Any],
        write_learner: Callable[[str], object],
        keep: int,
    ) -> None:
        """Adds a checkpoint and removes the oldest over ``keep``.

        Args:
            replay: the checkpoint that Reverb has just written.
            progress: counters of the run.
            write_learner: writes TensorFlow's files to the path prefix that it is given.
        """
        final = self._directory / f"step-{train_step:09d}"
        unfinished = final.with_suffix(".tmp")
        for torn in self._directory.glob("step-*.*"):  # of a write or a removal that was cut off
            shutil.rmtree(torn)
        unfinished.mkdir()
        shutil.copytree(replay, unfinished / "replay" / replay.name, copy_function=os.link)
        write_learner(str(unfinished / "learner"))
        (unfinished / "progress.json").write_text(json.dumps(progress, indent=2))
        again = [_set_aside(final)] if final.exists() else []  # the same step, with a fresher replay and counters
        os.replace(unfinished, final)
        for old in (*again, *map(_set_aside, self._whole()[:-keep])):
            shutil.rmtree(old)

    def offer_replay(self, checkpoint: Checkpoint | None) -> None:
        """Makes the replay of a checkpoint the only one that a starting Reverb server finds; None: no replay."""
        shutil.rmtree(self.replay_dir)
        if checkpoint is None:
            self.replay_dir.mkdir()
        else:
            shutil.copytree(checkpoint.directory / "replay", self.replay_dir, copy_function=os.link)

    def _whole(self) -> list[Path]:
        return sorted(path for path in self._directory.glob("step-*") if not path.suffix)


def _set_aside(checkpoint: Path) -> Path:
    """Under a name that does not count as whole: a removal that is cut off must not leave half a checkpoint."""
    aside = checkpoint.with_suffix(".old")
    os.replace(checkpoint, aside)
    return aside
