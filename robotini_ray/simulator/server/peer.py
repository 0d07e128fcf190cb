"""One connected client: a socket that never blocks, what it has still to be sent, and what it is."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from robotini_ray.simulator.server.wire import LINE_LIMIT_BYTES, LOGIN_LIMIT_BYTES, LineBuffer, Login, WireError

RECEIVE_BYTES = 65_536
# Beyond the kernel's own buffers, so much may wait for a client; one that lets more pile up does not read.
CAR_BACKLOG_BYTES = 256 * 1024
SPECTATOR_BACKLOG_BYTES = 4 * 1024 * 1024
KERNEL_BUFFER_BYTES = 256 * 1024


class Peer:
    """The common part of all clients. Errors of the socket and broken rules are raised, for the server to drop it."""

    def __init__(self, connection: socket.socket, line_limit_bytes: int, backlog_bytes: int) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BUFFER_BYTES)
        self.socket = connection
        self.closed = False
        self.lines = LineBuffer(line_limit_bytes)
        self._backlog_bytes = backlog_bytes
        self._backlog = bytearray()

    def close(self) -> None:
        self.closed = True
        self.socket.close()

    @property
    def has_backlog(self) -> bool:
        return bool(self._backlog)

    def receive(self) -> bytes | None:
        """What has arrived, empty if the client has closed, None if it was a false alarm. Raises OSError."""
        try:
            return self.socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return None

    def send(self, data: bytes) -> None:
        """Send now what fits, keep the rest. Raises OSError, or WireError if too much waits already."""
        if not self._backlog:
            try:
                sent = self.socket.send(data)
            except BlockingIOError:
                sent = 0
            if sent == len(data):
                return
            data = data[sent:]
        if len(self._backlog) + len(data) > self._backlog_bytes:
            raise WireError("it does not read")
        self._backlog += data

    def flush(self) -> None:
        """Send some more of what waits. Raises OSError."""
        try:
            del self._backlog[: self.socket.send(self._backlog)]
        except BlockingIOError:
            return


class SpectatorPeer(Peer):
    """A client of the log port."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection, LINE_LIMIT_BYTES, SPECTATOR_BACKLOG_BYTES)


class CarPeer(Peer):
    """A client of the car port; `driver` is None until it has logged in."""

    def __init__(self, connection: socket.socket, connected_s: float) -> None:
        super().__init__(connection, LOGIN_LIMIT_BYTES, CAR_BACKLOG_BYTES)
        self.connected_s = connected_s
        self.driver: Driver | None = None


@dataclass(eq=False)
class Driver:
    """Who drives a car: its client after the login. Times are of the monotonic clock."""

    peer: CarPeer
    login: Login
    slot: int
    wants_frame: bool = True  # login asks for the first one
    frames_sent: int = 0
    frame_sent_s: float = 0.0
    answer_due: bool = False
    silent: bool = False  # let an answer time out, and is not waited for until it says something
