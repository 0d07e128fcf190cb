"""Keeps one car connected to the simulator across all its connections.

It tries other names after a refused login, detects silence and bad frames, and counts these faults.
"""

from __future__ import annotations

import collections
import dataclasses
import math
import socket

from robotini_ray.car.connection import MAX_CONSECUTIVE_BAD_FRAMES, CarConnection, Login, open_socket
from robotini_ray.car.errors import ConnectionLost, FrameTimeout, LoginRefused
from robotini_ray.car.frame_meter import FrameMeter
from robotini_ray.car.spectator import Spectator
from robotini_ray.simulator_address import SimulatorAddress, host_and_port

MAX_LOGINS = 3
CONNECT_TIMEOUT_S = 2.0


@dataclasses.dataclass(frozen=True)
class SilenceLimits:
    """The times without a frame, in seconds, after which a ``CarLink`` acts."""

    ask_again_s: float
    """The time to each neutral command: the simulator sends a frame only after a command, so a command requests one.

    It is repeated at this interval as long as no frame arrives.
    """
    stalled_s: float
    """The time after which the car counts as stalled."""
    lost_s: float
    """The time after which the connection is given up."""


REALTIME_SILENCE = SilenceLimits(1.0, 2.0, 10.0)
LOCKSTEP_SILENCE = SilenceLimits(math.inf, 60.0, 120.0)
"""Limits in lock-step: the world may be waiting for other cars, and a command sent before they answer does not help."""


class CarLink:
    """A car's connection to the simulator, which is replaced by a new one when necessary.

    A refused login is repeated at once under another name: ``NAME-2``, then ``NAME-3``. Refused frames are answered like any
    other, because the simulator sends no further frame without an answer. Only ``join`` without a socket and a login after a
    refused one block, each for at most 2 s.

    Attributes:
        faults: The number of faults by cause since ``take_faults`` last cleared them; see ``robotini_ray.car.errors.FAULTS``.
        meter: Measures the frames of all connections.
        stalled: Whether no frame has arrived for ``SilenceLimits.stalled_s``.
    """

    _connection: CarConnection

    def __init__(self, address: SimulatorAddress, login: Login) -> None:
        self.faults: collections.Counter[str] = collections.Counter()
        self.meter = FrameMeter()
        self.stalled = False
        self._address = address
        self._first_login = self._login = login
        self._limits = LOCKSTEP_SILENCE if login.lockstep else REALTIME_SILENCE

    @property
    def name(self) -> str:
        """The car's name on the track. A refused login changes it, in any method that uses the connection."""
        return self._login.name

    @property
    def frames_received(self) -> int:
        """The number of frames received on the current connection; see ``CarConnection.frames_received``."""
        return self._frames_received

    def fileno(self) -> int:
        """Returns the socket's file descriptor for ``select`` and ``poll``."""
        return self._connection.fileno()

    def join(self, spectator: Spectator, sock: socket.socket | None = None) -> None:
        """Logs in.

        Args:
            spectator: Follows the car from its first frame on.
            sock: A socket that ``open_socket`` returned; by default the method opens one.

        Raises:
            SimulatorUnreachable: No TCP connection could be made.
            LoginRefused: The simulator refused the login under all three names.
        """
        self._spectator = spectator
        self._login = self._first_login
        self._refused_logins = 0
        self._log_in(sock)

    def follow_with(self, spectator: Spectator) -> None:
        """Replaces the spectator that follows the car.

        Args:
            spectator: The spectator that keeps the car's states from now on.
        """
        self._spectator = spectator
        spectator.follow(self.name)

    def receive(self) -> list[bytes]:
        """Returns the PNGs that have arrived, at most the newest two, without waiting for one.

        Raises:
            LoginRefused: The simulator refused the login under all three names.
            SimulatorUnreachable: No TCP connection could be made for a login under another name.
            ConnectionLost: The simulator has closed the connection, or sends only bad frames.
        """
        try:
            pngs = self._connection.receive()
        except LoginRefused as error:
            self._log_in_again(error)
            return []
        count = self._connection.frames_received - self._frames_received
        if count:
            self._frames_received += count
            self.meter.take(count)
            self.stalled = False
            self._ask_again_at_s = self._limits.ask_again_s
            if not pngs:
                self.repeat()
        return pngs

    def note_undecodable(self) -> None:
        """Counts a frame that passed the check of its structure but could not be decoded.

        Raises:
            ConnectionLost: It was the 20th such frame in a row.
        """
        self.faults["bad_frame"] += 1
        self._undecodable += 1
        if self._undecodable >= MAX_CONSECUTIVE_BAD_FRAMES:
            raise ConnectionLost(
                f"connection of car {self.name!r} to {self._where} given up: "
                f"{self._undecodable} frames in a row could not be decoded"
            )

    def note_decoded(self) -> None:
        """Resets the count of consecutive undecodable frames, because a frame was decoded."""
        self._undecodable = 0

    def send(self, throttle: float, turn: float) -> None:
        """Answers a frame with a throttle in [0, 1] and a turn in [-1, 1], where +1 is full left.

        Blocks only if the login turns out to be refused and has to be repeated.

        Raises:
            ConnectionLost: The simulator has closed the connection or does not read from it.
            LoginRefused: The simulator refused the login under all three names.
            SimulatorUnreachable: No TCP connection could be made for a login under another name.
        """
        self._last_command = throttle, turn
        try:
            self._connection.send(throttle, turn)
        except LoginRefused as error:
            self._log_in_again(error)

    def repeat(self) -> None:
        """Answers a frame with the same command as the previous one; raises the errors of ``send``."""
        self.send(*self._last_command)

    def check_silence(self) -> bool:
        """Applies the ``SilenceLimits`` if no frame arrives; call it a few times per second.

        Returns:
            Whether a neutral command was sent, so that the car no longer carries out its last command.

        Raises:
            FrameTimeout: No frame has arrived for so long that only a new connection may help.
            ConnectionLost: The simulator has closed the connection or does not read from it.
            LoginRefused: The simulator refused the login under all three names.
            SimulatorUnreachable: No TCP connection could be made for a login under another name.
        """
        silence_s = self.meter.silence_s()
        if silence_s >= self._limits.lost_s:
            raise FrameTimeout(f"no camera frame for car {self.name!r} from {self._where} in {silence_s:.0f} s")
        if silence_s >= self._limits.stalled_s and not self.stalled:
            self.stalled = True
            self.faults["stalled"] += 1
        if silence_s < self._ask_again_at_s:
            return False
        self._ask_again_at_s = silence_s + self._limits.ask_again_s
        self.send(0.0, 0.0)
        return True

    def take_faults(self) -> dict[str, int]:
        """Returns the number of faults by cause since the last call."""
        self._note_bad_frames()
        taken = dict(self.faults)
        self.faults.clear()
        return taken

    def close(self) -> None:
        """Stops the car and closes the connection, which removes the car from the track."""
        self._note_bad_frames()
        self._connection.close()

    @property
    def _where(self) -> str:
        return host_and_port(self._address.host, self._address.car_port)

    def _log_in(self, sock: socket.socket | None) -> None:
        host, port = self._address.host, self._address.car_port
        self._frames_received = self._bad_frames_noted = self._undecodable = 0
        self._last_command = 0.0, 0.0
        self._ask_again_at_s = self._limits.ask_again_s
        self.stalled = False
        self.meter.excuse_silence()
        self._spectator.follow(self.name)
        while True:
            sock = sock or open_socket(host, port, CONNECT_TIMEOUT_S)
            try:
                self._connection = CarConnection.log_in(sock, host, port, self._login)
                return
            except LoginRefused as error:
                sock = None
                self._take_next_name(error)

    def _log_in_again(self, error: LoginRefused) -> None:
        self._connection.close()
        self._take_next_name(error)
        self._log_in(None)

    def _take_next_name(self, error: LoginRefused) -> None:
        self.faults["login_refused"] += 1
        self._refused_logins += 1
        self._spectator.unfollow(self.name)
        name = self._first_login.name
        if self._refused_logins == MAX_LOGINS:
            others = " and ".join(repr(f"{name}-{number}") for number in range(2, MAX_LOGINS + 1))
            raise LoginRefused(f"{error}; also tried under the names {others}") from error
        self._login = dataclasses.replace(self._first_login, name=f"{name}-{self._refused_logins + 1}")
        self._spectator.follow(self.name)

    def _note_bad_frames(self) -> None:
        bad_frames = self._connection.bad_frames
        if bad_frames > self._bad_frames_noted:
            self.faults["bad_frame"] += bad_frames - self._bad_frames_noted
            self._bad_frames_noted = bad_frames
