"""Parses the command line ``robotini [VERB] [CONFIG] [--section.key value ...]``.

``python -m robotini_ray`` and ``python -m robotini_ray.launch`` are the same program. This module only parses; each verb
imports what it needs when it is called.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import NoReturn

import click
import gym_notices.notices as gym_notices

from robotini_ray import __version__
from robotini_ray.commands.options import (
    CONFIG_EPILOG,
    LINE,
    OVERRIDES,
    RANDOMISATION_EPILOG,
    Overrides,
)
from robotini_ray.commands.racing_verbs import RACING_VERBS
from robotini_ray.commands.training_verbs import TRAINING_VERBS
from robotini_ray.config import ConfigError, nearest
from robotini_ray.errors import RobotiniError
from robotini_ray.machine.terminal_text import PROGRAM, printable

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Errors of a write for which the disk is the cause, wherever in the program they appear."""


@click.group(help="Trains race cars for the Robotini Racing Simulator. The default verb is train.")
@click.version_option(__version__, prog_name=PROGRAM)
def cli() -> None:
    """Groups the verbs."""


for verb in (*TRAINING_VERBS, *RACING_VERBS):
    cli.add_command(verb)


def command_line() -> NoReturn:
    """Runs the command line of this process and exits with its code; the command ``robotini`` calls this function."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: list[str]) -> int:
    """Runs one command line and returns its exit code.

    An error of the command line, any ``RobotiniError``, and a disk that takes no more are printed to stderr as one line and
    give exit code 2.
    """
    _hush_imports()
    _replace_what_cannot_be_encoded()
    try:
        verb, rest = _verb(arguments)
        rest, overrides = _split_overrides(verb, rest)
        context = {LINE: arguments, OVERRIDES: overrides}
        return int(cli.main([verb, *rest], PROGRAM, standalone_mode=False, obj=context) or 0)
    except click.NoSuchOption as error:
        return _refuse(f"unknown flag {error.option_name} of {verb}; {nearest(error.option_name, _flags(verb))}")
    except click.ClickException as error:
        return _refuse(f"{verb}: {' '.join(error.format_message().split())}")
    except RobotiniError as error:
        return _refuse(str(error))
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        what = f"{error.filename} cannot" if error.filename else "a file could not"
        return _refuse(f"{verb}: {what} be written: {error.strerror}; free some space there, or choose another place")
    except click.Abort:
        return 130


def _hush_imports() -> None:
    """Suppresses the messages that TensorFlow and gym print on import (gym is an unused dependency of TF-Agents)."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    gym_notices.notices.clear()


def _replace_what_cannot_be_encoded() -> None:
    """Makes standard output write a question mark for a character that its encoding lacks, as in ASCII; stderr never fails."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _verb(arguments: list[str]) -> tuple[str, list[str]]:
    """Returns the verb and the remaining arguments; a line that starts with a config file or a flag means ``train``."""
    first = arguments[0] if arguments else "train"
    if first in ("--help", "--version", *cli.commands):
        return first, arguments[1:]
    if first.endswith((".yaml", ".yml")) or first.startswith("-"):
        return "train", arguments
    if not arguments:
        return "train", []
    raise ConfigError(f"unknown verb {first}; {nearest(first, cli.commands)}")


def _split_overrides(verb: str, arguments: list[str]) -> tuple[list[str], Overrides]:
    """Separates ``--section.key value`` and ``--section.key=value`` from the other arguments.

    Returns:
        The other arguments in order, and the config values as ``{"section.key": "value"}``.
    """
    rest: list[str] = []
    overrides: Overrides = {}
    words = iter(arguments)
    for word in words:
        key, equals, value = word[2:].partition("=")
        if not word.startswith("--") or "." not in key:
            rest.append(word)
            continue
        _check_takes(verb, key)
        if not equals:
            following = next(words, None)
            if following is None:
                raise ConfigError(f"--{key} has no value")
            value = following
        overrides[key] = value
    return rest, overrides


def _check_takes(verb: str, key: str) -> None:
    epilog = cli.commands[verb].epilog if verb in cli.commands else CONFIG_EPILOG
    if epilog is None:
        raise ConfigError(f"{verb} takes no config values: --{key}")
    if epilog is RANDOMISATION_EPILOG and not key.startswith("randomisation."):
        raise ConfigError(f"{verb} takes config values of section randomisation only: --{key}")


def _flags(verb: str) -> list[str]:
    return [name for parameter in cli.commands[verb].params for name in parameter.opts if name.startswith("--")]


def _refuse(line: str) -> int:
    print(f"{PROGRAM}: {printable(line)}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    command_line()
