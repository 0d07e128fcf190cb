"""Drives a policy in a race: joins, drives, reconnects, and stops the car at the end.

The module needs no Ray, Redis or TensorFlow.
"""

from __future__ import annotations

import dataclasses
import statistics
import threading
from collections.abc import Callable, Iterator

from robotini_ray.car.connection import CarConnection, Login, backoff_delays
from robotini_ray.car.errors import CarError, SimulatorUnreachable, SpectatorLost
from robotini_ray.car.race_events import RaceEvents
from robotini_ray.environment.decision_cycle import NEUTRAL
from robotini_ray.policy.numpy_policy import NumpyPolicy
from robotini_ray.racing.pilot import Pilot
from robotini_ray.simulator_address import SimulatorAddress

CONNECT_TIMEOUT_S = 2.0
SILENCE_S = 1.0
"""The time without a frame after which a neutral command requests one.

The simulator sends a frame only after a command, and in the lobby it sends none.
"""


@dataclasses.dataclass
class BotRecord:
    """The laps, crashes, put-backs and frames of the car so far, over all connections."""

    lap_times_s: list[float] = dataclasses.field(default_factory=list)
    crashes: int = 0
    returns: int = 0
    frames: int = 0

    def text(self) -> str:
        """Returns the record as one line of text."""
        laps = self.lap_times_s
        times = f", best {min(laps):.2f} s, median {statistics.median(laps):.2f} s" if laps else ""
        counted = f"{len(laps)} lap{'s' * (len(laps) != 1)}"
        return f"{counted}{times}, {self.crashes} crashes, {self.returns} put-backs, {self.frames} frames"


class Bot:
    """Drives one car with one policy.

    Args:
        policy: The policy that drives.
        address: The simulator's address.
        login: The car's login; its image width must be the policy's.
        laps: The number of laps after which the bot stops; None to drive until ``stopped`` is set.
        stopped: The event that ends ``drive`` once it is set.
        say: Called with each progress line.
    """

    def __init__(
        self,
        policy: NumpyPolicy,
        address: SimulatorAddress,
        login: Login,
        laps: int | None,
        stopped: threading.Event,
        say: Callable[[str], None],
    ) -> None:
        self.record = BotRecord()
        self._pilot = Pilot(policy)
        self._address = address
        self._login = login
        self._laps = laps
        self._stopped = stopped
        self._say = say

    @property
    def _is_done(self) -> bool:
        return self._stopped.is_set() or (self._laps is not None and len(self.record.lap_times_s) >= self._laps)

    def drive(self, wait: bool) -> None:
        """Drives until the laps are done or ``stopped`` is set, and blocks until then.

        A lost connection is made again after a pause of 0.5 to 10 s, without a limit on the number of attempts.

        Args:
            wait: Whether to retry also before the car has received its first frame.

        Raises:
            CarError: An attempt failed before the car had received its first frame, and ``wait`` is False.
        """
        delays: Iterator[float] = backoff_delays()
        while not self._is_done:
            frames_before = self.record.frames
            try:
                self._drive_until_lost()
            except CarError as error:
                if self.record.frames == 0 and not wait:
                    raise
                if self.record.frames > frames_before:
                    delays = backoff_delays()
                delay_s = next(delays)
                self._say(f"{error}; trying again in {delay_s:.1f} s")
                self._stopped.wait(delay_s)

    def _drive_until_lost(self) -> None:
        events = self._open_events()
        try:
            connection = CarConnection.connect(self._address.host, self._address.car_port, self._login, CONNECT_TIMEOUT_S)
            try:
                if events is None:
                    where = f"{self._address.host}:{self._address.log_port}"
                    self._say(f"no spectator port at {where}: driving on, but laps and put-backs go unnoticed")
                self._pilot.begin()
                self._drive(connection, events)
            finally:
                connection.close()  # also sends zero throttle
        finally:
            if events is not None:
                events.close()

    def _open_events(self) -> RaceEvents | None:
        """Opens the spectator stream; returns None if it cannot be reached and no laps have to be counted."""
        host, port = self._address.host, self._address.log_port
        try:
            return RaceEvents(host, port, self._login.name, self._login.team_id, CONNECT_TIMEOUT_S)
        except SimulatorUnreachable:
            if self._laps is not None:
                raise
            return None

    def _drive(self, connection: CarConnection, events: RaceEvents | None) -> None:
        silent = True
        while not self._is_done:
            pngs = connection.receive(SILENCE_S)
            if not pngs:
                self._pilot.begin()
                connection.send(*NEUTRAL)
                silent = True
                continue
            if silent:
                silent = False
                self._say(f"{self._login.name} drives on {self._address.host}:{self._address.car_port}")
            self.record.frames += 1
            events = self._hear(events)
            connection.send(*self._pilot.answer(pngs))

    def _hear(self, events: RaceEvents | None) -> RaceEvents | None:
        if events is None:
            return None
        try:
            news = events.take()
        except SpectatorLost as error:
            if self._laps is not None:
                raise  # without the stream the last lap would never be noticed
            self._say(f"{error}; driving on without it")
            return None
        for lap_s in news.lap_times_s:
            self.record.lap_times_s.append(lap_s)
            self._say(f"lap {len(self.record.lap_times_s)}: {lap_s:.2f} s")
        self.record.crashes += news.crashes
        self.record.returns += news.returns
        if news.returns:
            self._pilot.put_back()
        return events
