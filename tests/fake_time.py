"""A clock that stands still until a test moves it on, in place of a module's ``time``."""

from __future__ import annotations

from types import ModuleType

import pytest


class FakeTime:
    """Stands for the time module in the module that it is put into."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> None:
        self.now_s = 1000.0
        monkeypatch.setattr(module, "time", self)

    def monotonic(self) -> float:
        return self.now_s
