"""Reads text and JSON files that people write, with any editor.

Editors on Windows put a byte-order mark in front of a text, and some write UTF-16. All files that a user may have written are
read here, so that they are accepted everywhere or nowhere.
"""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import Any

MOST_DIGITS = 20
"""Digits of the longest whole number that is read; 64 bits fill 20. Longer ones overflow floats, and Python refuses 4300."""

_ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is the beginning of this one
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte-order marks and the encodings that they stand for; a text without one is UTF-8."""


def read_text(path: Path) -> str:
    """Returns the content of a text file in UTF-8, or in the encoding of its byte-order mark.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file is not text; the message is one line without the file's name.
    """
    content = path.read_bytes()
    encoding = next((name for mark, name in _ENCODINGS if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(f"not a text file: byte {error.start} is not {encoding.removesuffix('-sig').upper()}") from None


def read_json(path: Path) -> Any:
    """Returns the decoded content of a JSON file; see ``read_text`` for its encoding.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file is not JSON, or has too long a number; the message is one line without the file's name.
    """
    text = read_text(path)
    try:
        return json.loads(text, parse_int=whole_number)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON ({error})") from None
    except RecursionError:
        raise ValueError("not JSON that is in use (it is nested too deeply)") from None


def whole_number(text: str) -> int:
    """Returns a whole number in decimal digits.

    Raises:
        ValueError: The number has more than ``MOST_DIGITS`` digits; the message shows its beginning.
    """
    digits = len(text.lstrip("+-"))
    if digits > MOST_DIGITS:
        raise ValueError(f"the number {text[:8]}... has {digits} digits; at most {MOST_DIGITS} are allowed")
    return int(text)
