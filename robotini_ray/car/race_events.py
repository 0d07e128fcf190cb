"""What a racing bot hears of its own car on the spectator stream: laps, crashes, put-backs. Needs no track."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from robotini_ray.car.event_stream import EventStream


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
        self._name = name
        self._team_id = team_id
        self._stream = EventStream(host, port, timeout_s)

    def take(self) -> RaceNews:
        """What has arrived since the last call, without waiting.

        Raises:
            SpectatorLost: the connection has ended.
        """
        news = RaceNews()
        for event in self._stream.read():
            self._apply(event, news)
        return news

    def close(self) -> None:
        """Ends the connection."""
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
            # The first crossing of the line completes no lap: its count is 0 and its time a NaN.
            if isinstance(lap_s, int | float) and isinstance(count, int) and count > 0 and math.isfinite(lap_s):
                news.lap_times_s.append(float(lap_s))

    def _take_listed_name(self, cars: Any) -> None:
        for car in cars if isinstance(cars, list) else []:
            if isinstance(car, dict) and car.get("teamId") == self._team_id and isinstance(car.get("name"), str):
                self._name = car["name"]
