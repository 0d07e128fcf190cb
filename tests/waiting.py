"""Waiting for conditions, with a deadline that only a broken program meets."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from robotini_ray.car.state_store import CarStateStore, StoredCar, StoreUnavailable

LONG_S = 300.0
POLL_S = 0.02

Found = TypeVar("Found")


def eventually(find: Callable[[], Found], what: str, timeout_s: float = LONG_S) -> Found:
    """What ``find`` returns, once that is true."""
    deadline_s = time.monotonic() + timeout_s
    while not (found := find()):
        assert time.monotonic() < deadline_s, f"waited {timeout_s:g} s in vain: {what}"
        time.sleep(POLL_S)
    return found


def stored_cars(store: CarStateStore) -> list[StoredCar]:
    """The cars of a store; none while it does not answer, as on a busy machine it may for a moment."""
    try:
        return store.read_cars()
    except StoreUnavailable:
        return []
