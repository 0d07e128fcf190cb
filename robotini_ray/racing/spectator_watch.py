"""Passes the states of all cars on a spectator stream to the monitor, without driving a car."""

from __future__ import annotations

import time
from collections.abc import Callable

from robotini_ray.car.connection import wait_readable
from robotini_ray.car.errors import SpectatorLost
from robotini_ray.car.spectator import Spectator
from robotini_ray.car.state_store import CarStateStore
from robotini_ray.environment.score import RaceScore, live_state
from robotini_ray.track.track import Track

STATE_INTERVAL_S = 0.05
PARAMETERS_TIMEOUT_S = 30.0


class SpectatorWatch:
    """Follows a spectator stream to its end and stores the cars' states; the stream has no pictures and no commands.

    Args:
        host: The host of the simulator or of the replay server.
        port: Its spectator port.
        track: The track that the cars drive on.
        store: The store for the cars' states.
        color_of: Returns the colour of a car by its name, as ``#rrggbb``; None if it is unknown.

    Raises:
        SimulatorUnreachable: No connection could be made.
    """

    def __init__(self, host: str, port: int, track: Track, store: CarStateStore, color_of: Callable[[str], str | None]) -> None:
        self._spectator = Spectator(host, port, track=track, follow_all=True)
        self._store = store
        self._color_of = color_of
        self._scores: dict[str, RaceScore] = {}

    @property
    def skipped(self) -> int:
        """The number of lines, events and entries of cars so far that could not be used."""
        return self._spectator.bad_lines + self._spectator.bad_events

    def run(self) -> None:
        """Reads until the stream ends.

        Raises:
            SpectatorLost: No RaceParameters event, with which every stream begins, arrived within ``PARAMETERS_TIMEOUT_S``.
            SpectatorError: The states cannot be used.
            TrackMismatch: The simulator uses another track than the one given.
        """
        try:
            parameters = self._spectator.wait_for_parameters(PARAMETERS_TIMEOUT_S)
            while True:
                wait_readable(self._spectator, time.monotonic() + STATE_INTERVAL_S)
                try:
                    self._spectator.drain()
                except SpectatorLost:
                    return
                if self._spectator.parameters is not parameters:  # another session has begun: no lap continues into it
                    parameters = self._spectator.parameters or parameters
                    self._scores.clear()
                self._store_states(int(parameters["numSegments"]))
        finally:
            self._spectator.close()

    def _store_states(self, num_segments: int) -> None:
        for name in self._spectator.followed:
            score = self._scores.setdefault(name, RaceScore(num_segments))
            states = self._spectator.take_states(name)
            score.update(states)
            if states:
                fields = live_state(states[-1], None, score)
                more = {"role": "racer", "status": "driving", "color": self._color_of(name)}
                self._store.put(name, {**fields, **more}, None)
