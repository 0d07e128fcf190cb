"""Text on a terminal: other people's as one line that can do nothing but be read, our own broken into lines."""

from __future__ import annotations

import shlex
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

LONGEST = 60
WIDTH = 80


def one_line(text: str, longest: int = LONGEST) -> str:
    """The text without control characters (which could move the cursor or change the window's title), cut if it is long."""
    shown = "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in text)
    return shown if len(shown) <= longest else f"{shown[: longest - 3]}..."


def near(path: Path) -> str:
    """A path from where we are if it is below, else as it is."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def launch_command(*words: object) -> str:
    """A command line of this program, to copy; see ``command_text``."""
    return command_text([near(Path(sys.executable)), "-m", "robotini_ray.launch", *map(str, words)])


def command_text(words: Sequence[str], indent: str = "  ", width: int = WIDTH) -> str:
    """A command to copy into a shell, in lines that a terminal does not break: each but the last ends with a backslash.

    Only a word that is longer than a line makes a longer line.
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
    """The text in lines of a width, broken between words; lines that are indented are commands and stay as they are."""
    return "\n".join(line if line.startswith(" ") else _fill(line, width) for line in text.splitlines())


def _fill(line: str, width: int) -> str:
    return textwrap.fill(line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
