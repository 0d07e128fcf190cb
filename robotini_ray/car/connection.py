"""One car's connection to the simulator: commands out, camera frames in."""

from __future__ import annotations

import dataclasses
import random
import select
import socket
import time
from collections.abc import Iterator
from typing import Protocol

from robotini_ray.car.errors import SIMULATE_COMMAND, ConnectionLost, LoginRefused, SimulatorUnreachable
from robotini_ray.car.protocol import FrameDecoder, command_lines, image_height, login_line
from robotini_ray.simulator_address import SimulatorAddress

MAX_CONSECUTIVE_BAD_FRAMES = 20
FRAMES_KEPT = 2
REACH_TIMEOUT_S = 2.0
_RECEIVE_BYTES = 1 << 16
_MAX_READS = 64


@dataclasses.dataclass(frozen=True)
class Login:
    """What a car says about itself when it connects; see `protocol.login_line`."""

    name: str
    team_id: str
    color: str = "#1f77b4"
    image_width: int = 128
    lockstep: bool = False

    def line(self) -> bytes:
        """What is sent; raises ValueError for what cannot be."""
        return login_line(self.name, self.team_id, self.color, self.image_width, self.lockstep)


def open_socket(host: str, port: int, timeout_s: float) -> socket.socket:
    """A connected, non-blocking TCP socket with TCP_NODELAY. Raises SimulatorUnreachable after at most `timeout_s`."""
    try:
        sock = socket.create_connection((host, port), timeout=timeout_s)
    except OSError as error:
        raise SimulatorUnreachable(
            f"no simulator at {host}:{port} ({error.strerror or error}); start one with `{SIMULATE_COMMAND}`"
        ) from error
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setblocking(False)
    return sock


class HasFileno(Protocol):
    """Whatever can be waited for: a socket, a CarConnection, a Spectator."""

    def fileno(self) -> int: ...


def reachable(address: str) -> SimulatorAddress:
    """The address of a simulator that is there.

    Raises:
        AddressError: the text is no address.
        SimulatorUnreachable: nobody listens on one of its two ports, within 5 s.
    """
    parsed = SimulatorAddress.parse(address)
    for port in (parsed.car_port, parsed.log_port):
        open_socket(parsed.host, port, REACH_TIMEOUT_S).close()
    return parsed


def wait_readable(source: HasFileno, deadline_s: float) -> bool:
    """Blocks until `source` has something to read (True) or `time.monotonic()` has reached `deadline_s` (False)."""
    remaining_s = deadline_s - time.monotonic()
    if remaining_s <= 0:
        return False  # even if there is something: whoever reads a flood in a loop must come to an end
    poll = select.poll()
    poll.register(source, select.POLLIN)
    return bool(poll.poll(remaining_s * 1000))


def backoff_delays(rng: random.Random | None = None) -> Iterator[float]:
    """Endless waits between attempts to reconnect, in seconds: 0.5 to 10, doubling, with jitter.

    The jitter (the upper half of each step) keeps many cars that lost one simulator from coming back all at once.
    """
    rng = rng or random.Random()
    longest_s = 1.0
    while True:
        yield rng.uniform(longest_s / 2, longest_s)
        longest_s = min(10.0, longest_s * 2)


class CarConnection:
    """A logged-in car. The owner answers each frame with `send` and reconnects by making a new one.

    Blocking: only `connect` waits, and `receive` where it is asked to, each with a limit. Threads: one at a time.
    `frames_received` counts every frame that came, whether bad, dropped or handed out, and so equals the `frames_sent`
    of the embedded simulator's states.
    """

    def __init__(self, sock: socket.socket, host: str, port: int, login: Login) -> None:
        """Takes over a connected, non-blocking socket whose login was sent; use `connect` or `log_in`."""
        self.login = login
        self._address = f"{host}:{port}"
        self._socket = sock
        self._decoder = FrameDecoder(login.image_width, image_height(login.image_width))
        self._buffer = bytearray(_RECEIVE_BYTES)
        self._view = memoryview(self._buffer)
        self._closed = False

    @classmethod
    def connect(cls, host: str, port: int, login: Login, timeout_s: float = 5.0) -> CarConnection:
        """Opens a socket to the simulator and logs in; raises SimulatorUnreachable, and what `log_in` raises."""
        login.line()  # what is wrong with it is said before a socket is opened
        return cls.log_in(open_socket(host, port, timeout_s), host, port, login)

    @classmethod
    def log_in(cls, sock: socket.socket, host: str, port: int, login: Login) -> CarConnection:
        """Logs in on a connected, non-blocking socket of `open_socket`.

        The first frame is not waited for: in lock-step that would hold up the other cars. A refused login is mostly seen
        only by the first `receive`, because the simulator closes the connection without a word.

        Raises ValueError for a login that cannot be sent, LoginRefused.
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
        return self._decoder.frames_seen

    @property
    def bad_frames(self) -> int:
        """Frames that were refused before decoding, so far."""
        return self._decoder.bad_frames

    def fileno(self) -> int:
        """For select and poll: readable when `receive` has something to do."""
        return self._socket.fileno()

    def send(self, throttle: float, turn: float) -> None:
        """Sends both commands in one write, which also asks for the next frame. Never blocks.

        Raises ValueError for a value that is not finite, ConnectionLost when the simulator is gone or does not read.
        """
        self._write(command_lines(throttle, turn, self.login.lockstep))

    def receive(self, timeout_s: float = 0.0) -> list[bytes]:
        """The PNGs that arrived since the last call, oldest first; of several the newest two.

        Waits up to `timeout_s` for a first one; empty if none came. Raises LoginRefused when the simulator hung up before
        the first frame, ConnectionLost when it did later or sent 20 bad frames in a row.
        """
        deadline_s = time.monotonic() + timeout_s
        while not (frames := self._read_arrived()) and wait_readable(self._socket, deadline_s):
            pass
        return frames

    def close(self) -> None:
        """Stops the car (zero throttle, as far as the simulator still listens) and leaves the track. Never raises."""
        if self._closed:
            return
        self._closed = True
        try:
            self._socket.send(command_lines(0.0, 0.0, self.login.lockstep))
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # The simulator is gone already, and its car with it.
        self._socket.close()

    def _read_arrived(self) -> list[bytes]:
        """Reads until the socket has no more for now, or 4 MiB; a read that fills the buffer may have left something."""
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
