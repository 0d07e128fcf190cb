"""Measures how the learner spends its time, and names what it waits for."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

from robotini_ray.replay.gauge import ReplayGauge

SLOW_CALL_S = 5.0
"""A call of TF-Agents' learner that takes longer waits for replay, except the first, which builds its graph."""


class LearnerActivity:
    """The rates of a training loop since the last report, and its state now.

    Args:
        gauge: The learner's view of replay.
        train_step: The train step that the loop begins with.
    """

    def __init__(self, gauge: ReplayGauge, train_step: int) -> None:
        self._gauge = gauge
        self._reported_step = train_step
        self._reported_at = time.monotonic()
        self._waited_s = 0.0
        self._in_call_since: float | None = None
        self._has_trained = False
        self._waits = False

    @contextlib.contextmanager
    def training(self) -> Iterator[None]:
        """Returns a context manager that surrounds a call of TF-Agents' learner."""
        self._waits = False
        self._in_call_since = time.monotonic()
        try:
            yield
            self._has_trained = True
        finally:
            self._in_call_since = None

    def wait(self, stop: threading.Event, seconds: float) -> None:
        """Waits for data for ``seconds``, or until ``stop`` is set."""
        self._waits = True
        began = time.monotonic()
        stop.wait(seconds)
        self._waited_s += time.monotonic() - began

    def take_rates(self, train_step: int) -> tuple[float, float]:
        """Returns the train steps per second and the share of time, from 0 to 1, spent in ``wait`` since the last call."""
        now = time.monotonic()
        elapsed_s = max(now - self._reported_at, 1e-6)
        rate, waiting = (train_step - self._reported_step) / elapsed_s, min(1.0, self._waited_s / elapsed_s)
        self._reported_step, self._reported_at, self._waited_s = train_step, now, 0.0
        return rate, waiting

    def waiting_for(self) -> str:
        """Returns a description, for people, of what the loop waits for at present; empty while it trains."""
        began, state = self._in_call_since, self._gauge.state
        if began is not None and self._has_trained and time.monotonic() - began > SLOW_CALL_S:
            return f"replay, which has sent no batch for {time.monotonic() - began:.0f} s"
        if self._gauge.silent_since is not None:
            return f"replay, which has not answered for {time.monotonic() - self._gauge.silent_since:.0f} s"
        if not self._waits:
            return ""
        if state.items < state.min_items:
            return f"replay {100 * state.items / state.min_items:.0f} %, warming"
        return f"the cars: every replay item has been trained on {state.samples_per_item:g} times"
