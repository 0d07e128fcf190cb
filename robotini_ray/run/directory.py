"""Makes, resumes or moves aside the directory of a run, and reads and writes its small files."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import re
from pathlib import Path
from typing import IO, Any

from robotini_ray.config import Config, ConfigError, load_saved_config, save_config
from robotini_ray.machine.whole_files import append_whole, has_hard_links, write_whole
from robotini_ray.run.checkpoints import CheckpointStore
from robotini_ray.run.finite_json import to_json
from robotini_ray.run.track_copy import keep_track, kept_track
from robotini_ray.shipped.files import shipped_tracks
from robotini_ray.track.track import Track, TrackError, load_track

FIXED_SECTIONS = ("environment", "agent", "replay")
"""Config sections that a resumed run may not change, because its weights and its replay were made with them."""

LOCK = ".lock"
"""Name of the file that is locked while a training uses the directory."""


class RunDirectory:
    """The directory of a run.

    It holds ``RUN/{config.yaml, checkpoints/, policies/, tensorboard/, logs/, track/, summary.json,
    evaluations.jsonl}``.

    Args:
        path: Path of the directory.
        fresh: Whether to move an earlier run at this path to ``PATH.old-N`` first.

    Raises:
        ConfigError: There is a run to move, and it is still in progress or cannot be moved.
    """

    def __init__(self, path: Path, fresh: bool) -> None:
        self.path = path.resolve()
        self.notes: list[str] = []
        """Lines for people about what the directory's file system lacks, and what is done instead."""
        if fresh and self.path.exists():
            with self._locked():
                self._move_aside()
        self.resumed = (self.path / "config.yaml").exists()

    def open(self, config: Config) -> Config:
        """Makes the directory, locks it until this process ends and writes the resolved config.

        Returns:
            The config that was written. Its track is a copy in the directory, unless it is a shipped one.

        Raises:
            TrackError: The track cannot be loaded.
            ConfigError: The directory cannot be made or written to, another program uses it, its config is damaged, or the
                run in it was made with another environment, agent or replay, or with another track of the same name.
        """
        track = load_track(config.simulator.track)
        self._lock = self._locked()
        try:
            return self._prepare(config, track)
        except BaseException as error:
            self._lock.close()
            if isinstance(error, OSError):
                raise _cannot_be(self.path, error) from error
            raise

    def progress(self) -> dict[str, Any] | None:
        """Returns the counters of the newest checkpoint, or None for a new run."""
        checkpoint = CheckpointStore(self.path / "checkpoints").newest()
        return None if checkpoint is None else checkpoint.progress

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Replaces ``summary.json``."""
        write_whole(self.path / "summary.json", to_json(summary, indent=2) + "\n")

    def summary(self) -> dict[str, Any] | None:
        """Returns the content of ``summary.json``, or None if none has been written yet."""
        path = self.path / "summary.json"
        return dict(json.loads(path.read_text())) if path.exists() else None

    def add_evaluation(self, evaluation: dict[str, Any]) -> None:
        """Adds a line to ``evaluations.jsonl``."""
        append_whole(self.path / "evaluations.jsonl", to_json(evaluation))

    def evaluations(self) -> list[dict[str, Any]]:
        """Returns the evaluations of all invocations, oldest first."""
        path = self.path / "evaluations.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def _prepare(self, config: Config, track: Track) -> Config:
        if self.resumed:
            self._check_same(config, track)
        self.set_aside = CheckpointStore(self.path / "checkpoints").set_unreadable_aside()
        """New paths of checkpoints that were damaged."""
        for name in ("checkpoints", "policies", "tensorboard", "logs"):
            (self.path / name).mkdir(exist_ok=True)
        if config.simulator.track not in shipped_tracks():
            kept = dataclasses.replace(config.simulator, track=str(keep_track(self.path, track)))
            config = dataclasses.replace(config, simulator=kept)
        save_config(config, self.path / "config.yaml")
        if not has_hard_links(self.path / "checkpoints"):
            self.notes.append(
                f"{self.path} has no hard links: each checkpoint holds a copy of the replay, which takes more time and room"
            )
        return config

    def _move_aside(self) -> None:
        """Moves the earlier run to ``PATH.old-N``, or into ``PATH/old-N`` if the directory itself cannot be moved.

        A mounted directory cannot be moved, nor one in a directory that this user may not change.
        """
        try:
            self.path.rename(_free_name(self.path, f"{self.path.name}.old"))
        except OSError as error:
            aside = _free_name(self.path / "old", "old")
            try:
                aside.mkdir()
                for entry in self.path.iterdir():
                    if entry.name != LOCK and not re.fullmatch(r"old-\d+", entry.name):
                        entry.rename(aside / entry.name)
            except OSError as other:
                raise _cannot_be(self.path, other) from other
            self.notes.append(f"{self.path} itself cannot be moved ({error.strerror}): the earlier run is now in {aside}")

    def _locked(self) -> IO[str]:
        """Makes the directory and locks it; the lock holds while the returned file is open, until the process ends.

        A file system without locks is noted.

        Raises:
            ConfigError: The directory cannot be made, or another process has locked it.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / LOCK).open("w")
        except OSError as error:
            raise _cannot_be(self.path, error) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise ConfigError(f"{self.path} is in use by another training; give another --run-dir") from None
        except OSError as error:
            note = f"{self.path} cannot be locked ({error.strerror}): start no second training in it"
            self.notes += [note] if note not in self.notes else []
        return lock

    def _check_same(self, config: Config, track: Track) -> None:
        before = load_saved_config(self.path / "config.yaml")
        self._check_track(before.simulator.track, track)
        for section in FIXED_SECTIONS:
            old, new = getattr(before, section), getattr(config, section)
            for field in dataclasses.fields(old):
                was, now = getattr(old, field.name), getattr(new, field.name)
                if was != now:
                    raise ConfigError(
                        f"{section}.{field.name} is {now!r}, but the run in {self.path} was made with {was!r}; "
                        "--fresh moves that run aside, --run-dir takes another directory"
                    )

    def _check_track(self, before: str, track: Track) -> None:
        copy = kept_track(self.path, Path(before).name)
        try:
            earlier = load_track(str(copy) if copy.exists() else before)
        except TrackError:  # a run from before there were copies, whose track file is gone: there is nothing to compare with
            return
        if earlier.name == track.name and not earlier.has_line_of(track):
            raise ConfigError(
                f"simulator.track is {track.path}, which has another line than {earlier.path}, the track of that name of the "
                f"run in {self.path}: give it another name, or --fresh, which moves that run aside"
            )


def _free_name(path: Path, name: str) -> Path:
    number = 1
    while (moved := path.with_name(f"{name}-{number}")).exists():
        number += 1
    return moved


def _cannot_be(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"{path} cannot be a run directory: {error.strerror}; give another --run-dir")
