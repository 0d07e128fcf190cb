"""Writes the files of a race: ``raceLogFile``, the spectator stream, and ``raceResultFile``, the final standings."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from typing import IO, Any

from robotini_ray.errors import RobotiniError
from robotini_ray.machine.whole_files import write_whole
from robotini_ray.simulator.world.entries import Event

LOG = logging.getLogger(__name__)


class ResultsError(RobotiniError):
    """Raised when a file of the race cannot be written; the message names the file."""


class RaceFiles:
    """Writes the race log and the race result; existing files are overwritten.

    If writing fails later, while cars drive, the file ends there but the race goes on; the error is logged.

    Args:
        log_file: The path of the race log, which is written without buffering; empty for none.
        result_file: The path of the race result; empty for none.
    """

    def __init__(self, log_file: str, result_file: str) -> None:
        """Opens the log and checks that the result can be written.

        Raises:
            ResultsError: One of the files cannot be written.
        """
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
        """True while a log file is being written."""
        return self._log is not None

    def log(self, line: bytes) -> None:
        """Writes one line of the spectator stream, unbuffered; does nothing without a log file."""
        if self._log is None:
            return
        try:
            self._log.write(line)
        except OSError as error:
            LOG.error("the race log %s cannot be continued: %s", self._log.name, error.strerror)
            self.close()

    def write_result(self, event: Event) -> None:
        """Writes the event ``RaceFinished`` as JSON, with null for a lap time that does not exist."""
        if not self._result_file:
            return
        try:
            write_whole(Path(self._result_file), json.dumps(_without_nan(event), indent=2) + "\n")
        except OSError as error:
            LOG.error("the race result %s cannot be written: %s", self._result_file, error.strerror)

    def close(self) -> None:
        """Closes the log."""
        if self._log is not None:
            self._log.close()
            self._log = None


def _try_to_write(key: str, path: str) -> None:
    """Raises ``ResultsError`` now if the file could not be written at the end of the race; a file made for it is deleted."""
    existed = Path(path).exists()
    _open(key, path, "ab").close()
    if not existed:
        Path(path).unlink()


def _open(key: str, path: str, mode: str) -> IO[bytes]:
    try:
        return open(path, mode, buffering=0)
    except (OSError, ValueError) as error:  # ValueError: the name contains a zero byte
        reason = getattr(error, "strerror", None) or error
        raise ResultsError(f"{key} {path!r} cannot be written ({reason}); choose another path or leave it out") from None


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
