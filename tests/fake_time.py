"""A clock that stands still until a test moves it on, in place of a module's ``time``."""

from __future__ import annotations

import time
from types import ModuleType
from typing import Any

import pytest


class FakeTime:
    """Stands for the time module in the module that it is put into; dates are written as usual."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: ModuleType, now_s: float = 1000.0) -> None:
        self.now_s = now_s
        monkeypatch.setattr(module, "time", self)

    def monotonic(self) -> float:
        return self.now_s

    def time(self) -> float:
        return self.now_s

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)
