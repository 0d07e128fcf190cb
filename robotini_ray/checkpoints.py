"""The checkpoints of a run on disk: which there are, which one is whole, which are removed.

    checkpoints/step-000012000/progress.json   counters of the whole run; names the replay checkpoint beside it
                               learner.*       TensorFlow's files: networks, optimizers, targets, train step
    checkpoints/replay/TIME/                   Reverb's own checkpoint

A checkpoint is written under another name and renamed when it is whole.
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
    train_step: int
    replay: str
    progress: dict[str, Any]

    @property
    def learner_prefix(self) -> str:
        """The path that ``tf.train.Checkpoint`` reads and writes."""
        return str(self.directory / "learner")


class CheckpointStore:
    """The ``checkpoints`` directory of a run."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.replay_dir = directory / "replay"
        self.replay_dir.mkdir(parents=True, exist_ok=True)

    def newest(self) -> Checkpoint | None:
        """The newest whole checkpoint whose replay part is there, None for a new run."""
        for directory in sorted(self._directory.glob("step-*"), reverse=True):
            if directory.suffix:
                continue  # it was being written when the program ended
            progress = json.loads((directory / "progress.json").read_text())
            checkpoint = Checkpoint(directory, int(directory.name[5:]), progress["replay"], progress["progress"])
            if (self.replay_dir / checkpoint.replay / "DONE").exists():
                return checkpoint
        return None

    def write(
        self, train_step: int, replay: str, progress: dict[str, Any], write_learner: Callable[[str], None], keep: int
    ) -> None:
        """Adds a checkpoint and removes the oldest over ``keep``.

        Args:
            replay: name of Reverb's checkpoint in ``replay_dir``.
            progress: counters of the run.
            write_learner: writes TensorFlow's files to the path prefix that it is given.
        """
        final = self._directory / f"step-{train_step:09d}"
        unfinished = final.with_suffix(".tmp")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        write_learner(str(unfinished / "learner"))
        (unfinished / "progress.json").write_text(json.dumps({"replay": replay, "progress": progress}, indent=2))
        shutil.rmtree(final, ignore_errors=True)  # the same step again, with a fresher replay and counters
        os.replace(unfinished, final)
        self._prune(keep)

    def keep_only(self, checkpoint: Checkpoint | None) -> None:
        """Removes replay checkpoints that are newer than the given one: Reverb starts from the newest that it finds."""
        for directory in self.replay_dir.iterdir():
            if checkpoint is None or directory.name > checkpoint.replay:
                shutil.rmtree(directory)

    def _prune(self, keep: int) -> None:
        whole = sorted(path for path in self._directory.glob("step-*") if not path.suffix)
        for directory in whole[:-keep]:
            shutil.rmtree(directory)
        named = {json.loads((path / "progress.json").read_text())["replay"] for path in whole[-keep:]}
        for directory in self.replay_dir.iterdir():
            if directory.name not in named:
                shutil.rmtree(directory)
