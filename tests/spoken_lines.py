"""Tells the program's own lines from those of the libraries below it."""

from __future__ import annotations

import re

OWN = re.compile(r"$|  |[a-z]|TensorBoard: |Ray [a-z]")
"""The program's lines begin with a small letter, with a name that is written large, or go on after two blanks."""

FOREIGN = re.compile(r"\(raylet\)|\bdied\b|Traceback|\x1b|\b(ERROR|WARNING|FATAL)\b|\w(Error|Warning): ")


def foreign_lines(lines: list[str]) -> list[str]:
    """The lines that the program has not written itself."""
    return [line for line in lines if FOREIGN.search(line) or not OWN.match(line)]
