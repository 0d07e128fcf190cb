"""What a check says."""

from __future__ import annotations

import dataclasses
from typing import Literal

Level = Literal["ok", "warning", "error"]


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that was looked at; ``cure`` says what to do, and is empty only where all is well."""

    check: str
    level: Level
    what: str
    cure: str = ""

    def __post_init__(self) -> None:
        assert bool(self.cure) == (self.level != "ok"), f"{self.check}: {self.level} and {self.cure!r}"
