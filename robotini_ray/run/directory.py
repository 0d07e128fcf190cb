"""Makes, resumes or moves aside the directory of a run, and reads and writes its small files."""

from __future__ import annotations

import dataclasses
import fcntl
import json
from pathlib import Path
from typing import IO, Any

from robotini_ray.config import Config, ConfigError, load_saved_config, save_config
from robotini_ray.machine.whole_files import append_whole, write_whole
from robotini_ray.run.checkpoints import CheckpointStore

FIXED_SECTIONS = ("environment", "agent", "replay")
"""Config sections that a resumed run may not change, because its weights and its replay were made with them."""


class RunDirectory:
    """The directory of a run.

    It holds ``RUN/{config.yaml, checkpoints/, policies/, tensorboard/, logs/, summary.json, evaluations.jsonl}``.

    Args:
        path: Path of the directory.
        fresh: Whether to move an earlier run at this path to ``PATH.old-N`` first.

    Raises:
        ConfigError: There is a run to move, and it is still in progress.
    """

    def __init__(self, path: Path, fresh: bool) -> None:
        self.path = path.resolve()
        if fresh and self.path.exists():
            with _lock(self.path):
                self.path.rename(_free_name(self.path))
        self.resumed = (self.path / "config.yaml").exists()

    def open(self, config: Config) -> None:
        """Makes the directory, locks it until this process ends and writes the resolved config.

        Raises:
            ConfigError: The directory cannot be made or written to, another program uses it, its config is damaged, or the
                run in it was made with another environment, agent or replay.
        """
        self._lock = _lock(self.path)
        try:
            self._prepare(config)
        except OSError as error:
            self._lock.close()
            raise _cannot_be(self.path, error) from error
        except BaseException:
            self._lock.close()
            raise

    def progress(self) -> dict[str, Any] | None:
        """Returns the counters of the newest checkpoint, or None for a new run."""
        checkpoint = CheckpointStore(self.path / "checkpoints").newest()
        return None if checkpoint is None else checkpoint.progress

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Replaces ``summary.json``."""
        write_whole(self.path / "summary.json", json.dumps(summary, indent=2, allow_nan=False) + "\n")

    def summary(self) -> dict[str, Any] | None:
        """Returns the content of ``summary.json``, or None if none has been written yet."""
        path = self.path / "summary.json"
        return dict(json.loads(path.read_text())) if path.exists() else None

    def add_evaluation(self, evaluation: dict[str, Any]) -> None:
        """Adds a line to ``evaluations.jsonl``."""
        append_whole(self.path / "evaluations.jsonl", json.dumps(evaluation, allow_nan=False))

    def evaluations(self) -> list[dict[str, Any]]:
        """Returns the evaluations of all invocations, oldest first."""
        path = self.path / "evaluations.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def _prepare(self, config: Config) -> None:
        if self.resumed:
            self._check_same(config)
        self.set_aside = CheckpointStore(self.path / "checkpoints").set_unreadable_aside()
        """New paths of checkpoints that were damaged."""
        for name in ("checkpoints", "policies", "tensorboard", "logs"):
            (self.path / name).mkdir(exist_ok=True)
        save_config(config, self.path / "config.yaml")

    def _check_same(self, config: Config) -> None:
        before = load_saved_config(self.path / "config.yaml")
        for section in FIXED_SECTIONS:
            old, new = getattr(before, section), getattr(config, section)
            for field in dataclasses.fields(old):
                was, now = getattr(old, field.name), getattr(new, field.name)
                if was != now:
                    raise ConfigError(
                        f"{section}.{field.name} is {now!r}, but the run in {self.path} was made with {was!r}; "
                        "--fresh moves that run aside, --run-dir takes another directory"
                    )


def _free_name(path: Path) -> Path:
    number = 1
    while (moved := path.with_name(f"{path.name}.old-{number}")).exists():
        number += 1
    return moved


def _cannot_be(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"{path} cannot be a run directory: {error.strerror}; give another --run-dir")


def _lock(path: Path) -> IO[str]:
    """Makes the directory and locks it; the lock holds while the returned file is open, at the latest until the process ends.

    Raises:
        ConfigError: The directory cannot be made, or another process has locked it.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = (path / ".lock").open("w")
    except OSError as error:
        raise _cannot_be(path, error) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise ConfigError(f"{path} is in use by another training; give another --run-dir") from None
    return lock
