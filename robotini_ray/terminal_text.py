"""Other people's text on a terminal: names and messages as one line that can do nothing but be read."""

from __future__ import annotations

LONGEST = 60


def one_line(text: str, longest: int = LONGEST) -> str:
    """The text without control characters (which could move the cursor or change the window's title), cut if it is long."""
    shown = "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in text)
    return shown if len(shown) <= longest else f"{shown[: longest - 3]}..."
