"""The files of a race: `raceLogFile`, the spectator stream as it happens, and `raceResultFile`, the final standings."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from typing import IO, Any

from robotini_ray.errors import RobotiniError
from robotini_ray.simulator.world.entries import Event

LOG = logging.getLogger(__name__)


class ResultsError(RobotiniError):
    """A file that cannot be written; the message names it."""


class RaceFiles:
    """Writes both files; an empty name writes none. Existing files are overwritten.

    A disk that fails later, while cars drive, ends the file and not the race: the log says so.
    """

    def __init__(self, log_file: str, result_file: str) -> None:
        """Raises ResultsError if one of the files cannot be written."""
        if result_file:
            _try_to_write("raceResultFile", result_file)
        self._result_file = result_file
        self._log: IO[bytes] | None = _open("raceLogFile", log_file, "wb") if log_file else None

    def __enter__(self) -> RaceFiles:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def has_log(self) -> bool:
        return self._log is not None

    def log(self, line: bytes) -> None:
        """Write one line of the spectator stream, at once; without a log file nothing happens."""
        if self._log is None:
            return
        try:
            self._log.write(line)
        except OSError as error:
            LOG.error("the race log %s ends here: %s", self._log.name, error.strerror)
            self.close()

    def write_result(self, event: Event) -> None:
        """Write the event RaceFinished as JSON; a lap time that does not exist is null there."""
        if not self._result_file:
            return
        try:
            Path(self._result_file).write_text(json.dumps(_without_nan(event), indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            LOG.error("the race result %s cannot be written: %s", self._result_file, error.strerror)

    def close(self) -> None:
        """Close the log."""
        if self._log is not None:
            self._log.close()
            self._log = None


def _try_to_write(key: str, path: str) -> None:
    """The file is due only when the race is over: refuse now what would fail then, and leave no trace."""
    existed = Path(path).exists()
    _open(key, path, "ab").close()
    if not existed:
        Path(path).unlink()


def _open(key: str, path: str, mode: str) -> IO[bytes]:
    try:
        return open(path, mode, buffering=0)
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        reason = getattr(error, "strerror", None) or error
        raise ResultsError(f"{key} {path!r} cannot be written ({reason}); choose another path or leave it out") from None


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
