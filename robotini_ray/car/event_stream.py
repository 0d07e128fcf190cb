"""Reads events from a simulator's spectator port as they arrive."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

from robotini_ray.car.connection import open_socket
from robotini_ray.car.errors import SpectatorLost
from robotini_ray.car.protocol import EventDecoder
from robotini_ray.simulator_address import host_and_port

_RECEIVE_BYTES = 1 << 16
_MAX_READS = 256


class EventStream:
    """Connects to a spectator port and reads its events. Only the constructor blocks, up to ``timeout_s``.

    Args:
        host: The simulator's host name or IP address.
        port: The simulator's spectator port.
        timeout_s: The longest wait for the TCP connection, in seconds.
        sock: A socket that ``open_socket`` returned; it is taken over, and no new connection is made.

    Raises:
        SimulatorUnreachable: No TCP connection could be made.
    """

    def __init__(self, host: str, port: int, timeout_s: float, sock: socket.socket | None = None) -> None:
        self.address = host_and_port(host, port)
        self._socket = sock or open_socket(host, port, timeout_s)
        self._decoder = EventDecoder()
        self._buffer = bytearray(_RECEIVE_BYTES)
        self._view = memoryview(self._buffer)

    @property
    def bad_lines(self) -> int:
        """The number of lines, so far, that were not events."""
        return self._decoder.bad_lines

    def fileno(self) -> int:
        """Returns the socket's file descriptor for ``select`` and ``poll``."""
        return self._socket.fileno()

    def read(self) -> Iterator[dict[str, Any]]:
        """Yields the events that have arrived, at most 16 MiB of them, without waiting.

        Raises:
            SpectatorLost: The connection has ended.
        """
        for _ in range(_MAX_READS):
            try:
                count = self._socket.recv_into(self._buffer)
            except BlockingIOError:
                return
            except OSError as error:
                raise self._lost(error.strerror or str(error)) from error
            if count == 0:
                raise self._lost("closed by the simulator")
            yield from self._decoder.feed(self._view[:count])
            if count < _RECEIVE_BYTES:
                return

    def close(self) -> None:
        """Closes the connection."""
        self._socket.close()

    def _lost(self, reason: str) -> SpectatorLost:
        return SpectatorLost(f"spectator connection to {self.address} lost: {reason}")
