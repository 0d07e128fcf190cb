"""The connections of one collector's cars: what is done when one breaks or falls silent, without holding up the others."""

from __future__ import annotations

import collections
import logging
import time
from collections.abc import Iterator
from statistics import fmean

from robotini_ray.car.errors import (
    CarError,
    FrameTimeout,
    LoginRefused,
    SimulatorUnreachable,
    SpectatorError,
    SpectatorLost,
    StateTimeout,
)
from robotini_ray.car.reconnection import Reconnection, SpectatorLink
from robotini_ray.car.spectator import STALE_S, Spectator
from robotini_ray.environment.race_environment import RaceEnvironment, with_frames
from robotini_ray.parts.collecting_car import CollectingCar
from robotini_ray.run.reports import ConnectionState
from robotini_ray.simulator_address import SimulatorAddress
from robotini_ray.track.track import Track

LOG = logging.getLogger(__name__)

BLIND_LIMIT_S = 10.0
"""A spectator that has not told where a car is for so long, though the car's frames come, is replaced."""

_COUNTED_BEFORE = {FrameTimeout: "stalled", LoginRefused: "login_refused"}
"""Causes of lost connections that were counted as faults before they were lost."""


class CarConnections:
    """The connections of a collector's cars. A car whose connection is lost comes back by itself, and so does the spectator.

    Where only the spectator is lost, all cars drive on "blind" (see ``RaceEnvironment.drive_blind``).

    Args:
        address: The simulator of all cars.
        track: The track that it drives on.
        lockstep: Whether the simulator's world waits for the cars.
    """

    def __init__(self, address: SimulatorAddress, track: Track, lockstep: bool) -> None:
        self.cars: list[CollectingCar] = []
        """All cars, connected or not."""
        self._address = address
        self._lockstep = lockstep
        self._spectator_link = SpectatorLink(address.host, address.log_port, track)
        self._connected: dict[RaceEnvironment, CollectingCar] = {}
        self._faults: collections.Counter[str] = collections.Counter()
        self._reconnects: collections.Counter[str] = collections.Counter()
        self._blind_since = time.monotonic()

    def watch(self) -> Spectator:
        """Connects to the simulator's event stream, which all cars share; blocks until that is done.

        Raises:
            SimulatorUnreachable: The simulator does not answer.
        """
        return self._spectator_link.connect()

    def add(self, car: CollectingCar) -> None:
        """Looks after one more car, which is connected."""
        self.cars.append(car)
        self._connected[car.environment] = car

    def ready(self, timeout_s: float) -> Iterator[CollectingCar]:
        """The cars that have something to read, while they are connected; waits for a first one."""
        for environment in with_frames(list(self._connected), timeout_s):
            car = self._connected.get(environment)
            if car is not None:  # it may have been lost with the one before
                yield car

    def look_around(self, standing: bool) -> None:
        """Sees to what no frame tells; to be called a few times a second.

        Args:
            standing: whether the world may be standing still because some car does not answer on purpose.
        """
        for car in self.cars:
            meter = car.environment.link.meter
            if car.environment not in self._connected:
                self._try_to_rejoin(car)
            elif standing:
                meter.excuse_silence()
            else:
                self._check_silence(car)
            meter.measure()
        self._look_for_spectator(standing)

    def handle(self, car: CollectingCar, error: CarError) -> None:
        """Does what is due when a car's connection, or the spectator, has failed.

        Raises:
            CarError: the error itself, when the car (of the spectator: any car) has never driven: then its cause will not
                go away.
        """
        if isinstance(error, SpectatorError):
            self._lose_sight(error)
        else:
            self._leave(car, error)

    def status(self, car: CollectingCar) -> ConnectionState:
        """What a car is doing, as far as its connection tells."""
        if car.reconnection is not None:
            return "reconnecting"
        return "stalled" if car.environment.link.stalled else "driving"

    def stale(self, car: CollectingCar) -> bool:
        """Whether the newest state of a car says nothing about now."""
        spectator = self._spectator_link.spectator
        if spectator is None or car.environment.blind:
            return True
        return not self._lockstep and spectator.status_age_s > STALE_S

    def frames_per_s(self) -> float:
        """Of one car, the mean of those connected."""
        return fmean([environment.link.meter.per_s for environment in self._connected] or [0.0])

    def late_share(self) -> float:
        """Share of late frames, likewise."""
        return fmean([environment.link.meter.late_share for environment in self._connected] or [0.0])

    def take_faults(self) -> dict[str, int]:
        """Counts by cause since the last call, see ``car.errors.FAULTS``."""
        faults, self._faults = self._faults, collections.Counter()
        faults["bad_line"] += self._spectator_link.take_bad_lines()
        for car in self.cars:
            faults.update(car.environment.link.take_faults())
        return dict(faults)

    def take_reconnects(self) -> dict[str, int]:
        """Connections of cars that were given up since the last call, by cause, see ``car.errors.FAULTS``."""
        taken, self._reconnects = self._reconnects, collections.Counter()
        return dict(taken)

    def take_frames(self) -> tuple[int, int]:
        """Camera frames of all cars since the last call, and how many of them came late."""
        frames, late = zip(*(car.environment.link.meter.take_counts() for car in self.cars), strict=True)
        return sum(frames), sum(late)

    def frame_age_s(self) -> float:
        """Age of the newest frame of the car that has waited longest, of those connected."""
        return max((environment.link.meter.silence_s() for environment in self._connected), default=0.0)

    def close(self) -> None:
        """Takes all cars off the track."""
        for car in self.cars:
            car.close()
        self._spectator_link.close()

    def _check_silence(self, car: CollectingCar) -> None:
        try:
            if car.environment.check_silence():
                car.truncate()
        except CarError as error:
            self._leave(car, error)

    def _leave(self, car: CollectingCar, error: CarError) -> None:
        """Ends the car's episode as truncated; ``_try_to_rejoin`` brings it back."""
        if not car.has_driven:
            raise error
        LOG.warning("%s", error)
        self._count(error)
        self._reconnects[error.fault or _COUNTED_BEFORE[type(error)]] += 1
        car.truncate()
        car.environment.close()
        del self._connected[car.environment]
        if car.reconnection is None:
            car.reconnection = Reconnection(self._address.host, self._address.car_port)
        else:
            car.reconnection.retry()

    def _try_to_rejoin(self, car: CollectingCar) -> None:
        """Joins the track again when a connection has come about; never waits for one."""
        assert car.reconnection is not None
        spectator = self._spectator_link.spectator
        if spectator is None:
            return  # it must follow the car from its first frame on
        try:
            sock = car.reconnection.take_socket()
            if sock is not None:
                car.environment.connect(spectator, sock)
                self._connected[car.environment] = car
        except SpectatorError as error:
            car.reconnection.retry()
            self._lose_sight(error)
        except SimulatorUnreachable as error:
            self._count(error)
        except CarError as error:
            self._count(error)
            car.reconnection.retry()

    def _look_for_spectator(self, standing: bool) -> None:
        """Keeps the spectator stream read, and replaces it when it is lost or has long been useless."""
        link = self._spectator_link
        try:
            if link.spectator is not None:
                link.spectator.drain()
            elif link.regain() is not None:
                self._drive_blind()
        except SpectatorError as error:
            self._lose_sight(error)
        except SimulatorUnreachable as error:
            self._count(error)
        now = time.monotonic()
        if standing or not any(environment.blind for environment in self._connected):
            self._blind_since = now
        elif link.spectator is not None and now - self._blind_since > BLIND_LIMIT_S:
            self._lose_sight(SpectatorLost(f"no states from {self._address} in {BLIND_LIMIT_S:g} s"))

    def _lose_sight(self, error: SpectatorError) -> None:
        """Every car's episode ends as truncated; they drive on, and nothing is written, until the states are back."""
        if not any(car.has_driven for car in self.cars):
            raise error
        LOG.warning("%s", error)
        self._count(error)
        if not isinstance(error, StateTimeout):
            self._spectator_link.lose()
        self._blind_since = time.monotonic()
        self._drive_blind()

    def _drive_blind(self) -> None:
        for car in list(self._connected.values()):
            car.truncate()
            try:
                car.environment.drive_blind(self._spectator_link.spectator)
            except CarError as error:
                self._leave(car, error)

    def _count(self, error: CarError) -> None:
        if error.fault:
            self._faults[error.fault] += 1
