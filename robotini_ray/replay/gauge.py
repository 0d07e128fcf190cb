"""How much there is to train on, and whether the cars are too far ahead: what the learner knows of replay."""

from __future__ import annotations

import math
import time

import reverb

from robotini_ray.config import Config
from robotini_ray.replay.table import WindowLayout, replay_state
from robotini_ray.run.reports import ReplayState

ASK_INTERVAL_S = 0.05
"""Least wall time between two questions to replay while there is nothing to train on: one costs as much as a train step."""

REFRESH_INTERVAL_S = 0.5
"""Longest age of what is known of replay while there is."""

ANSWER_TIMEOUT_S = 1
"""Longest wait for replay's answer; cars and the launcher's requests must not wait for a server that is gone."""


class ReplayGauge:
    """What the learner knows of replay without asking all the time.

    Between two answers it counts what training takes, so that what it believes is never more than there is.

    Args:
        client: of the Reverb server.
        config: of the run.
    """

    def __init__(self, client: reverb.Client, config: Config) -> None:
        self._client = client
        self._config = config
        self._layout = WindowLayout.from_config(config)
        self._items_trained = 0
        self.state: ReplayState = replay_state(client, self._layout)
        """As the server last told."""
        self.silent_since: float | None = None
        """When the server was first asked in vain, None while it answers."""
        self._asked_at = time.monotonic()
        self._sampled_at_start = self.state.sampled
        self._taken = 0

    def allows(self, steps: int) -> bool:
        """Whether so many train steps can be done without waiting for data; asks the server when it is time to."""
        age_s = time.monotonic() - self._asked_at
        allowed = self.silent_since is None and self._is_enough_for(steps)
        if age_s >= (REFRESH_INTERVAL_S if allowed else ASK_INTERVAL_S):
            self.ask()
            allowed = self.silent_since is None and self._is_enough_for(steps)
        return allowed

    def ask(self) -> None:
        """Asks the server now, for a second at most; what it last told stays where it does not answer."""
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
        """Tells that so many train steps have been done since the last call of ``allows``."""
        self._taken += self._items_for(steps)
        self._items_trained += steps * self._config.agent.batch_size

    def pauses(self, steps: int) -> bool:
        """Whether replay is so far ahead that lock-step cars may pause: never while a call of ``steps`` has to wait."""
        ahead = self.state.inserted - (self.state.sampled + self._taken) / self.state.samples_per_item
        return self.silent_since is None and ahead > 2 * self._config.replay.min_items and self._is_enough_for(steps)

    def _is_enough_for(self, steps: int) -> bool:
        drawn_ahead = self._config.agent.batch_size * self._layout.items
        return self.state.allows(self._taken + self._items_for(steps) + drawn_ahead)

    def _items_for(self, steps: int) -> int:
        """Items that are sampled for so many train steps, padding among them."""
        return math.ceil(steps * self._config.agent.batch_size / self._filled_share())

    def _filled_share(self) -> float:
        """Share of the sampled items that were no padding, or the least possible one before there was anything to see."""
        sampled = self.state.sampled - self._sampled_at_start
        least = 1 / self._layout.items
        return min(1.0, max(least, self._items_trained / sampled)) if sampled else least
