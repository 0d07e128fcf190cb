"""Formats tables as plain text, for terminals and files."""

from __future__ import annotations

from collections.abc import Sequence

from robotini_ray.machine.terminal_text import printable


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table as lines of text.

    The cells may hold foreign text, which is made harmless (``terminal_text.printable``). Columns whose cells are all numbers
    or ``-`` are aligned to the right, all others to the left.
    """
    rows = [list(map(printable, row)) for row in rows]
    columns = list(zip(header, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [all(_is_number(cell) for cell in column[1:]) for column in columns]
    lines = []
    for row in (header, ["-" * width for width in widths], *rows):
        cells = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def number(value: float | None) -> str:
    """Formats a number with two decimals, or None as a dash."""
    return "-" if value is None else f"{value:.2f}"


def _is_number(cell: str) -> bool:
    return not cell.strip("0123456789.,-")
