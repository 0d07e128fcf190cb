"""What a racing bot hears of its own car on the spectator stream: laps, crashes, put-backs. Needs no track."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from robotini_ray.car.connection import open_socket
from robotini_ray.car.errors import SpectatorLost
from robotini_ray.car.protocol import EventDecoder

_RECEIVE_BYTES = 1 << 16
_MAX_READS = 64


@dataclasses.dataclass
class RaceNews:
    """Of one car, since the last time."""

    lap_times_s: list[float] = dataclasses.field(default_factory=list)
    """As the simulator counts laps, those after a put-back included."""
    crashes: int = 0
    returns: int = 0


class RaceEvents:
    """Reads the events of one car. Blocking: only the constructor, up to ``timeout_s``.

    Args:
        host: of the simulator.
        port: its spectator port.
        name: of the car; where RaceParameters lists its team, the simulator calls it by the name listed there.
        team_id: of the car.
        timeout_s: of connecting.

    Raises:
        SimulatorUnreachable: nobody listens there.
    """

    def __init__(self, host: str, port: int, name: str, team_id: str, timeout_s: float) -> None:
        self._address = f"{host}:{port}"
        self._name = name
        self._team_id = team_id
        self._socket = open_socket(host, port, timeout_s)
        self._decoder = EventDecoder()

    def take(self) -> RaceNews:
        """What has arrived since the last call, without waiting.

        Raises:
            SpectatorLost: the connection has ended.
        """
        news = RaceNews()
        for _ in range(_MAX_READS):
            try:
                data = self._socket.recv(_RECEIVE_BYTES)
            except BlockingIOError:
                break
            except OSError as error:
                raise SpectatorLost(f"spectator connection to {self._address} lost: {error.strerror}") from error
            if not data:
                raise SpectatorLost(f"spectator connection to {self._address} lost: closed by the simulator")
            for event in self._decoder.feed(data):
                self._apply(event, news)
        return news

    def close(self) -> None:
        """Ends the connection."""
        self._socket.close()

    def _apply(self, event: dict[str, Any], news: RaceNews) -> None:
        kind = event["type"]
        if kind == "RaceParameters":
            self._take_listed_name(event.get("cars"))
            return
        car = event.get("car")
        if not isinstance(car, dict) or car.get("name") != self._name:
            return
        if kind == "CarCrashed":
            news.crashes += 1
        elif kind == "CarReturnedToTrack":
            news.returns += 1
        elif kind == "LapCompleted":
            lap_s, count = event.get("lastLap"), event.get("lapCount")
            # The first crossing of the line completes no lap: its count is 0 and its time a NaN.
            if isinstance(lap_s, int | float) and isinstance(count, int) and count > 0 and math.isfinite(lap_s):
                news.lap_times_s.append(float(lap_s))

    def _take_listed_name(self, cars: Any) -> None:
        for car in cars if isinstance(cars, list) else []:
            if isinstance(car, dict) and car.get("teamId") == self._team_id and isinstance(car.get("name"), str):
                self._name = car["name"]
