"""Collects the laps, crashes and put-backs of a racing bot's own car from the spectator stream. Needs no track file."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from robotini_ray.car.event_stream import EventStream


@dataclasses.dataclass
class RaceNews:
    """The events of one car since the last ``RaceEvents.take``."""

    lap_times_s: list[float] = dataclasses.field(default_factory=list)
    """Lap times in seconds as the simulator counts laps, which includes laps in which the car was put back."""
    crashes: int = 0
    returns: int = 0
    """The number of times that the car was put back."""


class RaceEvents:
    """Reads the events of one car. Only the constructor blocks, up to ``timeout_s``.

    Args:
        host: The simulator's host name or IP address.
        port: The simulator's spectator port.
        name: The car's name; if ``RaceParameters`` lists its team, the simulator uses the name listed there instead.
        team_id: The car's ``teamId``.
        timeout_s: The longest wait for the TCP connection, in seconds.

    Raises:
        SimulatorUnreachable: No TCP connection could be made.
    """

    def __init__(self, host: str, port: int, name: str, team_id: str, timeout_s: float) -> None:
        self._name = name
        self._team_id = team_id
        self._stream = EventStream(host, port, timeout_s)

    def take(self) -> RaceNews:
        """Returns the car's events that have arrived since the last call, without waiting.

        Raises:
            SpectatorLost: The connection has ended.
        """
        news = RaceNews()
        for event in self._stream.read():
            self._apply(event, news)
        return news

    def close(self) -> None:
        """Closes the connection."""
        self._stream.close()

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
            # The first crossing of the line completes no lap: its count is 0 and its time is NaN.
            if isinstance(lap_s, int | float) and isinstance(count, int) and count > 0 and math.isfinite(lap_s):
                news.lap_times_s.append(float(lap_s))

    def _take_listed_name(self, cars: Any) -> None:
        for car in cars if isinstance(cars, list) else []:
            if isinstance(car, dict) and car.get("teamId") == self._team_id and isinstance(car.get("name"), str):
                self._name = car["name"]
