"""Formats text for a terminal: foreign text as one harmless line, the program's own text wrapped into lines."""

from __future__ import annotations

import shlex
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

LONGEST = 60
WIDTH = 80
PROGRAM = "robotini"
"""The name of the program's command, which its error messages begin with too."""


def printable(text: str) -> str:
    """Returns foreign text as one harmless line.

    Control characters, which could move the cursor or change the window's title, are shown by their hexadecimal code, and so
    are all others that do not print. Every line and table that shows text from elsewhere (a policy's files, a simulator, other
    processes) goes through this function.
    """
    return "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in text)


def printable_lines(text: str) -> str:
    """Returns the text with each of its lines made ``printable``, for messages that have several lines of their own."""
    return "\n".join(map(printable, text.split("\n")))


def one_line(text: str, longest: int = LONGEST) -> str:
    """Returns foreign text as one ``printable`` line, cut to at most ``longest`` characters."""
    shown = printable(text)
    return shown if len(shown) <= longest else f"{shown[: longest - 3]}..."


def near(path: Path) -> str:
    """Returns a path relative to the working directory if it lies below it, otherwise the path itself."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def launch_command(*words: object) -> str:
    """Returns a command line of this program for the user to copy, in lines of its own; see ``command_text``."""
    return command_text([*_program_words(), *map(str, words)])


def launch_line(*words: object) -> str:
    """Returns a command line of this program for the user to copy, as one line for use within a sentence."""
    return shlex.join([*_program_words(), *map(str, words)])


def _program_words() -> list[str]:
    """Returns the words that start this program: the command ``robotini`` if it lies beside this Python, else ``python -m``."""
    python = Path(sys.executable)
    script = python.with_name(PROGRAM)
    return [near(script)] if script.is_file() else [near(python), "-m", "robotini_ray.launch"]


def command_text(words: Sequence[str], indent: str = "  ", width: int = WIDTH) -> str:
    """Returns a shell command to copy, in lines that a terminal does not break; all but the last end with a backslash.

    A line is longer than ``width`` only if a single word is.

    Args:
        words: The words of the command, unquoted.
        indent: The blanks in front of each line; lines after the first get two more blanks.
        width: The largest number of columns of a line.
    """
    lines: list[str] = []
    line = indent.removesuffix(" ")
    for word in map(shlex.quote, words):
        if line.strip() and len(line) + len(f" {word} \\") > width:
            lines.append(f"{line} \\")
            line = f"{indent} "
        line += f" {word}"
    return "\n".join([*lines, line])


def wrapped(text: str, width: int = WIDTH) -> str:
    """Returns the text wrapped to a width between words; indented lines are commands and stay as they are."""
    return "\n".join(line if line.startswith(" ") else _fill(line, width) for line in text.splitlines())


def _fill(line: str, width: int) -> str:
    return textwrap.fill(line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
