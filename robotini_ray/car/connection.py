"""Connects one car to the simulator: sends its commands and receives its camera frames."""

from __future__ import annotations

import dataclasses
import random
import select
import socket
import time
from collections.abc import Iterator
from typing import Protocol

from robotini_ray.car.errors import ConnectionLost, LoginRefused, SimulatorUnreachable
from robotini_ray.car.protocol import FrameDecoder, command_lines, image_height, login_line
from robotini_ray.machine.terminal_text import launch_line
from robotini_ray.simulator_address import SimulatorAddress, host_and_port

MAX_CONSECUTIVE_BAD_FRAMES = 20
FRAMES_KEPT = 2
REACH_TIMEOUT_S = 2.0
_RECEIVE_BYTES = 1 << 16
_MAX_READS = 64


@dataclasses.dataclass(frozen=True)
class Login:
    """The fields of the login line with which a car connects; see ``robotini_ray.car.protocol.login_line``."""

    name: str
    team_id: str
    color: str = "#1f77b4"
    image_width: int = 128
    lockstep: bool = False

    def line(self) -> bytes:
        """Returns the encoded login line.

        Raises:
            ValueError: A field has a value that the simulator would refuse or misread.
        """
        return login_line(self.name, self.team_id, self.color, self.image_width, self.lockstep)


def open_socket(host: str, port: int, timeout_s: float) -> socket.socket:
    """Returns a connected, non-blocking TCP socket with ``TCP_NODELAY``.

    Blocks for at most ``timeout_s`` while it connects.

    Raises:
        SimulatorUnreachable: The connection was refused, or was not made in time.
    """
    try:
        sock = socket.create_connection((host, port), timeout=timeout_s)
    except (OSError, ValueError) as error:  # ValueError: text that cannot be a host's name
        reason = getattr(error, "strerror", None) or error
        raise SimulatorUnreachable(
            f"no simulator at {host_and_port(host, port)} ({reason}); start one with `{launch_line('simulate')}`"
        ) from error
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setblocking(False)
    return sock


class HasFileno(Protocol):
    """An object that ``select`` and ``poll`` can wait for: a socket, a ``CarConnection``, a ``Spectator``."""

    def fileno(self) -> int:
        """Returns the file descriptor of the socket."""
        ...


def reachable(address: str) -> SimulatorAddress:
    """Returns the parsed address of a simulator after a test connection to each of its two ports.

    Blocks for at most ``REACH_TIMEOUT_S`` for each port.

    Raises:
        AddressError: The text is not a simulator address.
        SimulatorUnreachable: One of the two ports does not accept a connection.
    """
    parsed = SimulatorAddress.parse(address)
    for port in (parsed.car_port, parsed.log_port):
        open_socket(parsed.host, port, REACH_TIMEOUT_S).close()
    return parsed


def wait_readable(source: HasFileno, deadline_s: float) -> bool:
    """Blocks until ``source`` is readable (True) or ``time.monotonic()`` has reached ``deadline_s`` (False)."""
    remaining_s = deadline_s - time.monotonic()
    if remaining_s <= 0:
        return False  # Even if data is waiting: a loop that reads a flood of data must still end at its deadline.
    poll = select.poll()
    poll.register(source, select.POLLIN)
    return bool(poll.poll(remaining_s * 1000))


def backoff_delays(rng: random.Random | None = None) -> Iterator[float]:
    """Yields an endless series of waits between attempts to reconnect, in seconds: 0.5 to 10, doubling, with jitter.

    Each wait is drawn from the upper half of its step. This jitter keeps many cars that lost the same simulator from
    reconnecting all at once.
    """
    rng = rng or random.Random()
    longest_s = 1.0
    while True:
        yield rng.uniform(longest_s / 2, longest_s)
        longest_s = min(10.0, longest_s * 2)


class CarConnection:
    """The connection of a logged-in car. The owner answers each frame with ``send``; to reconnect it makes a new instance.

    Only ``connect`` blocks, and ``receive`` if it is given a timeout; both have a time limit. The class is not thread-safe:
    one thread at a time may use an instance.
    """

    def __init__(self, sock: socket.socket, host: str, port: int, login: Login) -> None:
        """Takes over a connected, non-blocking socket; ``connect`` and ``log_in`` call this and send the login."""
        self.login = login
        self._address = host_and_port(host, port)
        self._socket = sock
        self._decoder = FrameDecoder(login.image_width, image_height(login.image_width))
        self._buffer = bytearray(_RECEIVE_BYTES)
        self._view = memoryview(self._buffer)
        self._closed = False

    @classmethod
    def connect(cls, host: str, port: int, login: Login, timeout_s: float = 5.0) -> CarConnection:
        """Opens a socket to the simulator and logs in, without waiting for the first frame (see ``log_in``).

        Args:
            host: The simulator's host name or IP address.
            port: The simulator's car port.
            login: The car's login.
            timeout_s: The longest wait for the TCP connection, in seconds.

        Raises:
            ValueError: The login cannot be sent; no socket was opened.
            SimulatorUnreachable: No TCP connection could be made.
            LoginRefused: The simulator closed the connection at once.
        """
        login.line()  # Raises for an invalid login before a socket is opened.
        return cls.log_in(open_socket(host, port, timeout_s), host, port, login)

    @classmethod
    def log_in(cls, sock: socket.socket, host: str, port: int, login: Login) -> CarConnection:
        """Logs in on a connected, non-blocking socket that ``open_socket`` returned.

        Does not wait for the first frame: in lock-step that would hold up the other cars. A refused login mostly shows only
        in the first ``receive``, because the simulator closes the connection without an error message.

        Raises:
            ValueError: The login cannot be sent.
            LoginRefused: The simulator closed the connection at once.
        """
        connection = cls(sock, host, port, login)
        try:
            connection._write(login.line())
        except LoginRefused:
            connection.close()
            raise
        return connection

    @property
    def frames_received(self) -> int:
        """The number of frames that have arrived so far, whether refused, dropped or returned by ``receive``.

        It therefore equals ``frames_sent`` in the states of the embedded simulator.
        """
        return self._decoder.frames_seen

    @property
    def bad_frames(self) -> int:
        """The number of frames that were refused before decoding, so far."""
        return self._decoder.bad_frames

    def fileno(self) -> int:
        """Returns the socket's file descriptor for ``select`` and ``poll``: readable when ``receive`` has data to read."""
        return self._socket.fileno()

    def send(self, throttle: float, turn: float) -> None:
        """Sends both commands in one write, which also requests the next frame. Never blocks.

        Args:
            throttle: The throttle, clamped to [0, 1].
            turn: The steering, clamped to [-1, 1]; +1 is full left.

        Raises:
            ValueError: A value is not finite.
            ConnectionLost: The simulator has closed the connection or does not read from it.
            LoginRefused: The same happened before the first frame.
        """
        self._write(command_lines(throttle, turn, self.login.lockstep))

    def receive(self, timeout_s: float = 0.0) -> list[bytes]:
        """Returns the PNGs that have arrived since the last call, oldest first, at most the newest two.

        Waits up to ``timeout_s`` seconds for the first one; the list is empty if none arrived.

        Raises:
            LoginRefused: The simulator closed the connection before the first frame.
            ConnectionLost: The simulator closed the connection later, or sent 20 bad frames in a row.
        """
        deadline_s = time.monotonic() + timeout_s
        while not (frames := self._read_arrived()) and wait_readable(self._socket, deadline_s):
            pass
        return frames

    def close(self) -> None:
        """Sends zero throttle, if the simulator still reads, and closes the connection, which removes the car from the track.

        Never raises; a second call does nothing.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self._socket.send(command_lines(0.0, 0.0, self.login.lockstep))
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # The simulator has already closed the connection and removed the car.
        self._socket.close()

    def _read_arrived(self) -> list[bytes]:
        """Reads what has arrived, at most 4 MiB; only a read that fills the buffer may leave data in the socket."""
        frames: list[bytes] = []
        for _ in range(_MAX_READS):
            try:
                count = self._socket.recv_into(self._buffer)
            except BlockingIOError:
                break
            except OSError as error:
                raise self._lost(error.strerror or str(error)) from error
            if count == 0:
                raise self._lost("closed by the simulator")
            frames = (frames + self._decoder.feed(self._view[:count]))[-FRAMES_KEPT:]
            if self._decoder.consecutive_bad_frames >= MAX_CONSECUTIVE_BAD_FRAMES:
                raise self._lost(f"{MAX_CONSECUTIVE_BAD_FRAMES} bad frames in a row, the last: {self._decoder.last_fault}")
            if count < _RECEIVE_BYTES:
                break
        return frames

    def _write(self, data: bytes) -> None:
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise self._lost(error.strerror or str(error)) from error
        if sent < len(data):
            raise self._lost("the simulator has stopped reading commands")

    def _lost(self, reason: str) -> LoginRefused | ConnectionLost:
        name = self.login.name
        if self.frames_received == 0:
            return LoginRefused(
                f"the simulator at {self._address} closed the connection of car {name!r} before the first frame "
                f"({reason}): a car of that name may be on the track already, teamId {self.login.team_id!r} may be "
                "unlisted in a race, or the track is full"
            )
        return ConnectionLost(f"connection of car {name!r} to {self._address} lost: {reason}")
