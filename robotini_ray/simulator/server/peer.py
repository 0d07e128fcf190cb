"""Holds the server's side of one connected client: its non-blocking socket, its send backlog and its role."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from robotini_ray.simulator.server.wire import LINE_LIMIT_BYTES, LOGIN_LIMIT_BYTES, LineBuffer, Login, WireError

RECEIVE_BYTES = 65_536
# The most that may wait for a client in our memory, beyond the kernel's own buffers. A client that lets more pile up
# does not read and is dropped.
CAR_BACKLOG_BYTES = 256 * 1024
SPECTATOR_BACKLOG_BYTES = 4 * 1024 * 1024
KERNEL_BUFFER_BYTES = 256 * 1024


class Peer:
    """The part that all clients have in common: the socket, the received lines and the send backlog.

    Socket errors and violations of the protocol are raised; the server then drops the client.

    Args:
        connection: The accepted socket; it is made non-blocking.
        line_limit_bytes: The longest line that the client may send.
        backlog_bytes: The most unsent data to keep for the client.
    """

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
        """Closes the socket, and with it the connection."""
        self.closed = True
        self.socket.close()

    @property
    def has_backlog(self) -> bool:
        """True while some data waits to be sent."""
        return bool(self._backlog)

    def receive(self) -> bytes | None:
        """Reads what has arrived, without blocking.

        Returns:
            The data, at most ``RECEIVE_BYTES``; empty if the client has closed the connection; None if nothing was there.

        Raises:
            OSError: The connection has failed.
        """
        try:
            return self.socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return None

    def send(self, data: bytes) -> None:
        """Sends as much as the socket takes without blocking and keeps the rest for ``flush``.

        Raises:
            OSError: The connection has failed.
            WireError: The backlog would exceed its limit, since the client does not read.
        """
        if not self._backlog:
            try:
                sent = self.socket.send(data)
            except BlockingIOError:
                sent = 0
            if sent == len(data):
                return
            data = data[sent:]
        if len(self._backlog) + len(data) > self._backlog_bytes:
            raise WireError("it does not read what it is sent")
        self._backlog += data

    def flush(self) -> None:
        """Sends as much of the backlog as the socket takes without blocking.

        Raises:
            OSError: The connection has failed.
        """
        try:
            del self._backlog[: self.socket.send(self._backlog)]
        except BlockingIOError:
            return


class SpectatorPeer(Peer):
    """A client of the log port."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection, LINE_LIMIT_BYTES, SPECTATOR_BACKLOG_BYTES)


class CarPeer(Peer):
    """A client of the car port.

    Attributes:
        connected_s: The time at which the connection was accepted, in seconds of the monotonic clock.
        driver: The car's driver, None until the client has logged in.
    """

    def __init__(self, connection: socket.socket, connected_s: float) -> None:
        super().__init__(connection, LOGIN_LIMIT_BYTES, CAR_BACKLOG_BYTES)
        self.connected_s = connected_s
        self.driver: Driver | None = None


@dataclass(eq=False)
class Driver:
    """A client that has logged in and drives a car.

    Attributes:
        peer: The connection of the client.
        login: The first line that the client sent.
        slot: The slot of its car in the race.
        wants_frame: True if the client has requested a frame that has not been sent yet.
        frames_sent: The number of frames sent so far.
        frame_sent_s: The time at which the last frame was sent, in seconds of the monotonic clock.
        answer_due: True while the last frame is not answered.
        silent: True after an answer of the client has timed out; lock-step does not wait for it until it answers again.
    """

    peer: CarPeer
    login: Login
    slot: int
    wants_frame: bool = True  # the login requests the first frame
    frames_sent: int = 0
    frame_sent_s: float = 0.0
    answer_due: bool = False
    silent: bool = False
