"""Writes, finds and removes the checkpoints of a run on disk.

    checkpoints/step-000012000/progress.json   counters of the whole run
                               learner.*       TensorFlow's files: networks, optimizers, targets, train step
                               replay/TIME/    Reverb's files
                               replay.json     least number of windows in Reverb's files
    checkpoints/replay/TIME/                   Reverb's newest checkpoint, which Reverb writes, and reads when it starts

A checkpoint is written under another name, flushed to the disk, and renamed when it is whole. Reverb keeps only its newest
checkpoint, so its files are hard-linked into the run's checkpoint, or copied where the file system has no hard links.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from robotini_ray.machine.whole_files import link_or_copy, sync, sync_tree


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint in its directory."""

    directory: Path

    @property
    def progress(self) -> dict[str, Any]:
        """Counters of the run, the result of ``Progress.to_json``."""
        return dict(json.loads((self.directory / "progress.json").read_text()))

    @property
    def learner_prefix(self) -> str:
        """The path prefix from which ``tf.train.Checkpoint`` reads."""
        return str(self.directory / "learner")

    @property
    def least_windows(self) -> int:
        """Least number of windows in the replay.

        It is needed because Reverb takes missing files for a table that was empty.
        """
        facts = self.directory / "replay.json"
        return int(json.loads(facts.read_text())["least_windows"]) if facts.exists() else 0

    def replay_is_complete(self) -> bool:
        """Returns whether Reverb finished writing the replay; Reverb ignores an unfinished one without an error."""
        return any((self.directory / "replay").glob("*/DONE"))

    def set_replay_aside(self) -> Path:
        """Renames a replay that cannot be used, so that it is not tried again; returns its new path."""
        return _renamed(self.directory / "replay", "unusable")

    def set_aside(self) -> Path:
        """Renames a checkpoint that cannot be used, so that it is not tried again; returns its new path."""
        return _renamed(self.directory, "unusable")


class CheckpointStore:
    """Manages the ``checkpoints`` directory of a run.

    Args:
        directory: The directory ``RUN/checkpoints``; it is made if it does not exist.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.replay_dir = directory / "replay"
        self.replay_dir.mkdir(parents=True, exist_ok=True)

    def newest(self) -> Checkpoint | None:
        """Returns the newest whole checkpoint, or None for a new run."""
        whole = self._whole()
        return Checkpoint(whole[-1]) if whole else None

    def newest_first(self) -> list[Checkpoint]:
        """Returns all whole checkpoints, newest first."""
        return [Checkpoint(path) for path in reversed(self._whole())]

    def with_replay(self) -> list[Checkpoint]:
        """Returns the checkpoints that have a replay, newest first."""
        return [checkpoint for checkpoint in self.newest_first() if (checkpoint.directory / "replay").is_dir()]

    def set_unreadable_aside(self) -> list[Path]:
        """Renames checkpoints that were damaged after they had been written; returns their new paths."""
        return [checkpoint.set_aside() for checkpoint in self.newest_first() if not _is_readable(checkpoint)]

    def remove_unfinished(self) -> None:
        """Removes what a failed write has left in this directory and in Reverb's, to free the disk space."""
        self._remove_torn()
        for written in self.replay_dir.iterdir():
            if not (written / "DONE").exists():
                shutil.rmtree(written)

    def write(
        self,
        train_step: int,
        replay: Path,
        progress: dict[str, Any],
        write_learner: Callable[[str], object],
        keep: int,
        least_windows: int = 0,
    ) -> None:
        """Adds a checkpoint and removes the oldest ones beyond ``keep``.

        Args:
            train_step: Train step of the checkpoint; an existing checkpoint of this step is replaced.
            replay: Directory of the checkpoint that Reverb has just written.
            progress: Counters of the run in JSON types.
            write_learner: Writes TensorFlow's files to the path prefix that it is given.
            keep: Number of checkpoints to keep.
            least_windows: Least number of windows in ``replay``.
        """
        final = self._directory / f"step-{train_step:09d}"
        unfinished = final.with_suffix(".tmp")
        self._remove_torn()
        unfinished.mkdir()
        shutil.copytree(replay, unfinished / "replay" / replay.name, copy_function=link_or_copy)
        write_learner(str(unfinished / "learner"))
        (unfinished / "replay.json").write_text(json.dumps({"least_windows": least_windows}))
        (unfinished / "progress.json").write_text(json.dumps(progress, indent=2))
        sync_tree(unfinished)
        again = [_set_aside(final)] if final.exists() else []  # of the same step, with an older replay and counters
        os.replace(unfinished, final)
        sync(self._directory)  # before the older ones go
        for old in (*again, *map(_set_aside, self._whole()[:-keep])):
            shutil.rmtree(old)

    def offer_replay(self, checkpoint: Checkpoint | None) -> None:
        """Makes the replay of ``checkpoint`` the only one that a starting Reverb server finds; None leaves no replay."""
        shutil.rmtree(self.replay_dir)
        if checkpoint is None:
            self.replay_dir.mkdir()
        else:
            shutil.copytree(checkpoint.directory / "replay", self.replay_dir, copy_function=link_or_copy)

    def _remove_torn(self) -> None:
        """Removes the remains of a write or a removal that was interrupted."""
        for torn in (*self._directory.glob("step-*.tmp"), *self._directory.glob("step-*.old")):
            shutil.rmtree(torn)

    def _whole(self) -> list[Path]:
        return sorted(path for path in self._directory.glob("step-*") if not path.suffix)


def _is_readable(checkpoint: Checkpoint) -> bool:
    """Returns whether the counters can be read and TensorFlow's index is not empty; TensorFlow checks its files itself."""
    try:
        return bool(checkpoint.progress) and Path(f"{checkpoint.learner_prefix}.index").stat().st_size > 0
    except (OSError, ValueError):
        return False


def _renamed(path: Path, word: str) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.{word}-{number}")).exists():
        number += 1
    return path.rename(aside)


def _set_aside(checkpoint: Path) -> Path:
    """Gives a checkpoint a name that does not count as whole, so that an interrupted removal leaves no partial checkpoint."""
    aside = checkpoint.with_suffix(".old")
    os.replace(checkpoint, aside)
    return aside
