"""One car's way to the simulator over all its connections: other names, silence, bad frames, and the count of all that."""

from __future__ import annotations

import collections
import dataclasses
import math
import socket

from robotini_ray.car.connection import MAX_CONSECUTIVE_BAD_FRAMES, CarConnection, Login, open_socket
from robotini_ray.car.errors import ConnectionLost, FrameTimeout, LoginRefused
from robotini_ray.car.frame_meter import FrameMeter
from robotini_ray.car.spectator import Spectator
from robotini_ray.simulator_address import SimulatorAddress

MAX_LOGINS = 3
CONNECT_TIMEOUT_S = 2.0


@dataclasses.dataclass(frozen=True)
class SilenceLimits:
    """After how many seconds without a frame what is done."""

    ask_again_s: float
    """A neutral command: frames come only after commands. Then again every second."""
    stalled_s: float
    """The car counts as stalled."""
    lost_s: float
    """The connection is given up."""


REALTIME_SILENCE = SilenceLimits(1.0, 2.0, 10.0)
LOCKSTEP_SILENCE = SilenceLimits(math.inf, 60.0, 120.0)
"""In lock-step the world may stand still for other cars, and a command sooner than they answer is no cure."""


class CarLink:
    """A car's connection, replaced by a new one where that is needed.

    A login that is refused is tried again at once under another name: NAME-2, then NAME-3. Frames that are refused are
    answered like any other, because no other would follow them. Blocking: only ``join`` without a socket, and a login after
    a refused one, at most 2 s.

    Attributes:
        faults: counts by cause since they were last cleared; see ``errors.FAULTS``.
        meter: of the frames of all connections.
        stalled: whether no frame has come for a while.
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
        """The car's name on the track; it may change in ``receive``."""
        return self._login.name

    @property
    def frames_received(self) -> int:
        """By this connection, see ``CarConnection``."""
        return self._frames_received

    def fileno(self) -> int:
        """For select and poll."""
        return self._connection.fileno()

    def join(self, spectator: Spectator, sock: socket.socket | None = None) -> None:
        """Logs in, on a socket of ``open_socket`` or one of its own; ``spectator`` follows the car from its first frame on.

        Raises:
            SimulatorUnreachable: nobody listens there.
            LoginRefused: three times.
        """
        self._spectator = spectator
        self._login = self._first_login
        self._refused_logins = 0
        self._log_in(sock)

    def follow_with(self, spectator: Spectator) -> None:
        """Another spectator has the car's states from now on."""
        self._spectator = spectator
        spectator.follow(self.name)

    def receive(self) -> list[bytes]:
        """The PNGs that have arrived, at most the newest two, perhaps none. Never waits for one.

        Raises:
            LoginRefused: three times.
            ConnectionLost: the simulator is gone, or sends no sound frames.
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
        """A frame that looked sound could not be unpacked.

        Raises:
            ConnectionLost: it was the 20th in a row.
        """
        self.faults["bad_frame"] += 1
        self._undecodable += 1
        if self._undecodable >= MAX_CONSECUTIVE_BAD_FRAMES:
            raise ConnectionLost(
                f"connection of car {self.name!r} to {self._where} given up: "
                f"{self._undecodable} frames in a row that cannot be unpacked"
            )

    def note_decoded(self) -> None:
        """A frame could be unpacked."""
        self._undecodable = 0

    def send(self, throttle: float, turn: float) -> None:
        """Answers a frame; never blocks.

        Raises:
            ConnectionLost: the simulator is gone or does not read.
            LoginRefused: three times.
        """
        self._last_command = throttle, turn
        try:
            self._connection.send(throttle, turn)
        except LoginRefused as error:
            self._log_in_again(error)

    def repeat(self) -> None:
        """Answers a frame like the one before it."""
        self.send(*self._last_command)

    def check_silence(self) -> bool:
        """Does what is due when no frame comes; to be called a few times a second.

        Returns:
            Whether it has sent a neutral command, so that the car does not do what it was last told.

        Raises:
            FrameTimeout: no frame for so long that only a new connection may help.
            ConnectionLost: the simulator is gone or does not read.
            LoginRefused: three times.
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
        """Counts by cause since the last call."""
        self._note_bad_frames()
        taken = dict(self.faults)
        self.faults.clear()
        return taken

    def close(self) -> None:
        """Stops the car and leaves the track."""
        self._note_bad_frames()
        self._connection.close()

    @property
    def _where(self) -> str:
        return f"{self._address.host}:{self._address.car_port}"

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
            raise LoginRefused(f"{error}; tried as {others} too") from error
        self._login = dataclasses.replace(self._first_login, name=f"{name}-{self._refused_logins + 1}")
        self._spectator.follow(self.name)

    def _note_bad_frames(self) -> None:
        bad_frames = self._connection.bad_frames
        if bad_frames > self._bad_frames_noted:
            self.faults["bad_frame"] += bad_frames - self._bad_frames_noted
            self._bad_frames_noted = bad_frames
