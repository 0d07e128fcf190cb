"""Writes JSON that every program can read: numbers that are not finite, for which JSON has no form, become ``null``."""

from __future__ import annotations

import json
import math
from typing import Any


def to_json(content: Any, indent: int | None = None) -> str:
    """Returns the content as JSON text.

    A number that is not finite never ends the program that writes it: its place in the file is ``null``.

    Args:
        content: Dictionaries, lists and tuples of strings, numbers, truth values and None.
        indent: The blanks of each level; None writes one line.
    """
    return json.dumps(_finite(content), indent=indent, allow_nan=False)


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
