"""Tells the learner how much data replay has to train on, and whether the cars are too far ahead of training."""

from __future__ import annotations

import math
import time

import reverb

from robotini_ray.config import Config
from robotini_ray.replay.table import WindowLayout, replay_state
from robotini_ray.run.reports import ReplayState

ASK_INTERVAL_S = 0.05
"""Least wall time between two requests to replay while there is nothing to train on: one costs as much as a train step."""

REFRESH_INTERVAL_S = 0.5
"""Longest age of the known state of replay while there is data to train on."""

ANSWER_TIMEOUT_S = 1
"""Longest wait for replay's answer; cars and the launcher's requests must not wait for a server that has ended."""


class ReplayGauge:
    """Estimates the state of replay without a request to the server before every train step.

    Between two answers of the server it counts the items that training takes, so that it never overestimates the data left.

    Args:
        client: A client of the Reverb server.
        config: The config of the run.

    Raises:
        reverb.errors.ReverbError: The server does not answer the first request.
        RuntimeError: The server cannot be reached.
    """

    def __init__(self, client: reverb.Client, config: Config) -> None:
        self._client = client
        self._config = config
        self._layout = WindowLayout.from_config(config)
        self._items_trained = 0
        self.state: ReplayState = replay_state(client, self._layout)
        """State of replay in the server's last answer."""
        self.silent_since: float | None = None
        """``time.monotonic()`` of the first request without an answer; None while the server answers."""
        self._asked_at = time.monotonic()
        self._sampled_at_start = self.state.sampled
        self._taken = 0

    def allows(self, steps: int) -> bool:
        """Returns whether ``steps`` train steps can be done without waiting for data.

        It asks the server if the known state is too old, see ``ask``.
        """
        age_s = time.monotonic() - self._asked_at
        allowed = self.silent_since is None and self._is_enough_for(steps)
        if age_s >= (REFRESH_INTERVAL_S if allowed else ASK_INTERVAL_S):
            self.ask()
            allowed = self.silent_since is None and self._is_enough_for(steps)
        return allowed

    def ask(self) -> None:
        """Asks the server for its state now and waits at most ``ANSWER_TIMEOUT_S``.

        If the server does not answer, ``state`` stays as it is and ``silent_since`` is set.
        """
        try:
            state = replay_state(self._client, self._layout, ANSWER_TIMEOUT_S)
        except (reverb.errors.ReverbError, RuntimeError):
            self.silent_since = self.silent_since or time.monotonic()
            return
        finally:
            self._asked_at = time.monotonic()
        if state.sampled < self.state.sampled:  # the server was started again
            self._sampled_at_start, self._items_trained = state.sampled, 0
        self.state, self.silent_since, self._taken = state, None, 0

    def trained(self, steps: int) -> None:
        """Counts ``steps`` train steps that have been done since the last call of ``allows``."""
        self._taken += self._items_for(steps)
        self._items_trained += steps * self._config.agent.batch_size

    def pauses(self, steps: int) -> bool:
        """Returns whether replay is so far ahead of training that lock-step cars may pause.

        This is never the case while a call of ``steps`` train steps would have to wait for data.
        """
        ahead = self.state.inserted - (self.state.sampled + self._taken) / self.state.samples_per_item
        return self.silent_since is None and ahead > 2 * self._config.replay.min_items and self._is_enough_for(steps)

    def _is_enough_for(self, steps: int) -> bool:
        drawn_ahead = self._config.agent.batch_size * self._layout.items
        return self.state.allows(self._taken + self._items_for(steps) + drawn_ahead)

    def _items_for(self, steps: int) -> int:
        """Returns the number of items, padding included, that are sampled for ``steps`` train steps."""
        return math.ceil(steps * self._config.agent.batch_size / self._filled_share())

    def _filled_share(self) -> float:
        """Returns the share of sampled items that were not padding; the least possible share while none was sampled yet."""
        sampled = self.state.sampled - self._sampled_at_start
        least = 1 / self._layout.items
        return min(1.0, max(least, self._items_trained / sampled)) if sampled else least
