"""Tries and writes the files that a verb is asked to write, and reports a failure in one line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import click

from robotini_ray.config import ConfigError
from robotini_ray.errors import RobotiniError
from robotini_ray.machine.whole_files import try_to_write


class OutputError(RobotiniError):
    """Raised if an output cannot be written; the message is one line for a person."""


def output_file(context: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    """Returns the path of an output file if it can be written (a click callback).

    The check comes before the work, because without it the result might be lost afterwards.

    Raises:
        ConfigError: It is a directory, or its directory does not exist.
        OutputError: Nothing can be written there.
    """
    if path is not None:
        if path.is_dir():
            raise ConfigError(f"{parameter.opts[0]} is {path}, which is a directory: give a file")
        _check(parameter.opts[0], path)
    return path


def output_directory(context: click.Context, parameter: click.Parameter, path: Path) -> Path:
    """Returns the path of an output directory if it does not exist and can be made (a click callback).

    Raises:
        ConfigError: The directory exists, or the one above it does not.
        OutputError: Nothing can be written there.
    """
    if path.exists():
        raise ConfigError(f"{parameter.opts[0]} is {path}, which exists: give a new directory")
    _check(parameter.opts[0], path)
    return path


@contextlib.contextmanager
def written(path: Path, consequence: str) -> Iterator[None]:
    """Turns an error of the disk in its block into an ``OutputError``.

    Args:
        path: The output, which the message names.
        consequence: What has become of the result, for the end of the message.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}; {consequence}") from error


def _check(option: str, path: Path) -> None:
    if not path.parent.is_dir():
        raise ConfigError(f"{option} is {path}, but there is no directory {path.parent}")
    try:
        try_to_write(path)
    except OSError as error:
        raise OutputError(f"{option} is {path}, which cannot be written: {error.strerror}; give another place") from error
