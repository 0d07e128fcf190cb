"""Reconnects to a simulator without ever blocking, because other cars of the same thread go on driving."""

from __future__ import annotations

import socket
import threading
import time

from robotini_ray.car.connection import backoff_delays, open_socket
from robotini_ray.car.errors import SimulatorUnreachable, SpectatorError
from robotini_ray.car.spectator import Spectator
from robotini_ray.track.track import Track

CONNECT_TIMEOUT_S = 5.0
PARAMETERS_TIMEOUT_S = 5.0


class Reconnection:
    """Tries repeatedly to open a socket to one port, each time in a new thread.

    A wait comes before every attempt, the first one included. The waits grow from 0.5 to 10 s, with jitter (see
    ``backoff_delays``). The owner discards this object when it has a socket that works.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._delays = backoff_delays()
        self._attempt: _Attempt | None = None
        self._next_at = 0.0
        self.retry()

    def retry(self) -> None:
        """Schedules the next attempt, after a longer wait; call it if the last socket turned out to be unusable."""
        self._next_at = time.monotonic() + next(self._delays)

    def take_socket(self) -> socket.socket | None:
        """Returns a connected socket once an attempt has succeeded, else None. Never blocks; call it a few times per second.

        It also starts the attempts that are due. Each socket is returned once and then belongs to the caller.

        Raises:
            SimulatorUnreachable: An attempt has failed; the next one is already scheduled.
        """
        if self._attempt is None:
            if time.monotonic() >= self._next_at:
                self._attempt = _Attempt(self._host, self._port)
                self._attempt.start()
            return None
        if self._attempt.is_alive():
            return None
        attempt, self._attempt = self._attempt, None
        if attempt.opened is None:  # never another attempt without a wait, whatever has ended this one
            self.retry()
        if attempt.error is not None:
            raise attempt.error
        return attempt.opened

    def close(self) -> None:
        """Abandons the attempt in progress, if there is one, without waiting for it."""
        if self._attempt is not None:
            self._attempt.abandon()
            self._attempt = None


class _Attempt(threading.Thread):
    """A thread that opens one socket; name resolution and connecting may take seconds each."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(name=f"reconnect-{host}:{port}", daemon=True)
        self.error: SimulatorUnreachable | None = None
        self._host, self._port = host, port
        self.opened: socket.socket | None = None
        self._abandoned = False
        self._lock = threading.Lock()

    def run(self) -> None:
        try:
            opened = open_socket(self._host, self._port, CONNECT_TIMEOUT_S)
        except SimulatorUnreachable as error:
            self.error = error
            return
        with self._lock:
            self.opened = opened
            if self._abandoned:
                opened.close()

    def abandon(self) -> None:
        with self._lock:
            self._abandoned = True
            if self.opened is not None:
                self.opened.close()


class SpectatorLink:
    """Keeps a spectator connected: replaces it by a new one after its connection was lost.

    Args:
        host: The simulator's host name or IP address.
        port: The simulator's spectator port.
        track: The track that spectators are created with; see ``Spectator``.
    """

    def __init__(self, host: str, port: int, track: Track) -> None:
        self.spectator: Spectator | None = None
        """The connected spectator; None before ``connect`` and while the connection is lost."""
        self._host, self._port, self._track = host, port, track
        self._reconnection: Reconnection | None = None
        self._arriving: Spectator | None = None
        self._arriving_until_s = 0.0
        self._bad_lines = 0

    def connect(self) -> Spectator:
        """Connects the first spectator and returns it.

        Raises:
            SimulatorUnreachable: The simulator does not answer.
        """
        self.spectator = Spectator(self._host, self._port, track=self._track)
        return self.spectator

    def take_bad_lines(self) -> int:
        """Returns the number of invalid lines and events since the last call, over all spectators."""
        if self.spectator is not None:
            self._bad_lines += self.spectator.take_bad_lines()
        taken, self._bad_lines = self._bad_lines, 0
        return taken

    def lose(self) -> None:
        """Closes the spectator and schedules the reconnection; ``regain`` returns the next spectator."""
        if self.spectator is not None:
            self._bad_lines += self.spectator.take_bad_lines()
            self.spectator.close()
        self.spectator = None
        self._reconnection = Reconnection(self._host, self._port)

    def regain(self) -> Spectator | None:
        """Returns the new spectator once it has received its ``RaceParameters``, else None. Never blocks.

        Call it only while the spectator is lost, a few times per second.

        Raises:
            SimulatorUnreachable: An attempt has failed; the next one is already scheduled.
        """
        assert self._reconnection is not None
        if self._arriving is None:
            sock = self._reconnection.take_socket()
            if sock is None:
                return None
            self._arriving = Spectator(self._host, self._port, track=self._track, sock=sock)
            self._arriving_until_s = time.monotonic() + PARAMETERS_TIMEOUT_S
        try:
            self._arriving.drain()
        except SpectatorError:
            self._forget_arriving()
            return None
        if self._arriving.parameters is None:
            if time.monotonic() > self._arriving_until_s:
                self._forget_arriving()
            return None
        self.spectator, self._arriving, self._reconnection = self._arriving, None, None
        return self.spectator

    def close(self) -> None:
        """Closes the spectators and abandons a reconnection in progress."""
        for spectator in (self.spectator, self._arriving):
            if spectator is not None:
                spectator.close()
        if self._reconnection is not None:
            self._reconnection.close()

    def _forget_arriving(self) -> None:
        assert self._arriving is not None and self._reconnection is not None
        self._bad_lines += self._arriving.take_bad_lines()
        self._arriving.close()
        self._arriving = None
        self._reconnection.retry()
