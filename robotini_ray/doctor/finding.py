"""Defines the result of a check."""

from __future__ import annotations

import dataclasses
from typing import Literal

Level = Literal["ok", "warning", "error"]


@dataclasses.dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        check: The name of the check.
        level: ``ok``, ``warning`` (a run works, but less well or less safely than it could) or ``error`` (a run would fail).
        what: The state that was found, in one line.
        cure: The remedy in one line; empty if and only if the level is ``ok``.
    """

    check: str
    level: Level
    what: str
    cure: str = ""

    def __post_init__(self) -> None:
        assert bool(self.cure) == (self.level != "ok"), f"{self.check}: {self.level} and {self.cure!r}"
