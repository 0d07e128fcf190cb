"""Keeps the cars of a collector connected: handles lost and silent connections without delaying the other cars."""

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
"""The seconds without states of a car whose frames do arrive, after which the spectator is replaced."""

_COUNTED_BEFORE = {FrameTimeout: "stalled", LoginRefused: "login_refused"}
"""The causes of errors that are already counted as faults when the connection is given up."""


class CarConnections:
    """The connections of a collector's cars and of the spectator that they share; lost ones are re-established.

    If only the spectator is lost, all cars drive on "blind" (see ``RaceEnvironment.drive_blind``).

    Args:
        address: The address of the simulator that all cars use.
        track: The track that the simulator uses.
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
        """Connects to the simulator's event stream, which all cars share; blocks until it is connected.

        Raises:
            SimulatorUnreachable: The simulator does not answer.
        """
        return self._spectator_link.connect()

    def add(self, car: CollectingCar) -> None:
        """Adds a car that is connected; its connection is maintained from now on."""
        self.cars.append(car)
        self._connected[car.environment] = car

    def ready(self, timeout_s: float) -> Iterator[CollectingCar]:
        """Yields the connected cars that have data to read; waits for the first one.

        A car that the caller loses during the iteration is skipped.

        Args:
            timeout_s: The longest wait in seconds, after which nothing is yielded.
        """
        for environment in with_frames(list(self._connected), timeout_s):
            car = self._connected.get(environment)
            if car is not None:  # handling the previous car may have lost this one too
                yield car

    def look_around(self, standing: bool) -> None:
        """Handles everything that no frame reports: silent cars, lost connections and the spectator.

        Call it a few times per second; it does not wait for a connection.

        Args:
            standing: Whether the world may be standing still because some car deliberately does not answer.

        Raises:
            CarError: A connection has failed, and the car (for the spectator: any car) has never driven; see ``handle``.
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
        """Handles the failure of a car's connection or of the spectator.

        Args:
            car: The car during whose work the error occurred.
            error: The error.

        Raises:
            CarError: The given error, if the car (for the spectator: any car) has never driven. Its cause will then not go
                away by itself.
        """
        if isinstance(error, SpectatorError):
            self._lose_sight(error)
        else:
            self._leave(car, error)

    def status(self, car: CollectingCar) -> ConnectionState:
        """Returns the state of a car's connection."""
        if car.reconnection is not None:
            return "reconnecting"
        return "stalled" if car.environment.link.stalled else "driving"

    def stale(self, car: CollectingCar) -> bool:
        """Returns whether the newest state of a car is too old to count as its present state."""
        spectator = self._spectator_link.spectator
        if spectator is None or car.environment.blind:
            return True
        return not self._lockstep and spectator.status_age_s > STALE_S

    def frames_per_s(self) -> float:
        """Returns the camera frames per second and car, averaged over the connected cars; 0 without any."""
        return fmean([environment.link.meter.per_s for environment in self._connected] or [0.0])

    def late_share(self) -> float:
        """Returns the share of late frames, from 0 to 1, averaged over the connected cars; 0 without any."""
        return fmean([environment.link.meter.late_share for environment in self._connected] or [0.0])

    def take_faults(self) -> dict[str, int]:
        """Returns the number of faults since the last call by cause, see ``car.errors.FAULTS``."""
        faults, self._faults = self._faults, collections.Counter()
        faults["bad_line"] += self._spectator_link.take_bad_lines()
        for car in self.cars:
            faults.update(car.environment.link.take_faults())
        return dict(faults)

    def take_reconnects(self) -> dict[str, int]:
        """Returns the number of cars' connections given up since the last call by cause, see ``car.errors.FAULTS``."""
        taken, self._reconnects = self._reconnects, collections.Counter()
        return dict(taken)

    def take_frames(self) -> tuple[int, int]:
        """Returns the number of camera frames of all cars since the last call, and the number of late ones among them."""
        frames, late = zip(*(car.environment.link.meter.take_counts() for car in self.cars), strict=True)
        return sum(frames), sum(late)

    def frame_age_s(self) -> float:
        """Returns the seconds since the last frame of the connected car that has waited longest; 0 without any."""
        return max((environment.link.meter.silence_s() for environment in self._connected), default=0.0)

    def close(self) -> None:
        """Closes the connections of all cars, which removes them from the track, and that of the spectator."""
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
        """Truncates the car's episode and closes its connection; ``_try_to_rejoin`` connects it again."""
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
        """Lets a car join the track again once a socket has been opened; never waits for one."""
        assert car.reconnection is not None
        spectator = self._spectator_link.spectator
        if spectator is None:
            return  # a spectator must follow the car from its first frame on
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
        """Reads the spectator stream, and replaces a spectator that is lost or has sent no usable states for too long."""
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
        """Truncates every car's episode; the cars drive on, and nothing is written to replay, until their states are back."""
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
