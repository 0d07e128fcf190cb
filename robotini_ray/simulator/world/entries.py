"""Who takes part: the cars of a race, on the track or not, and how a new one gets its name and its slot."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from robotini_ray.simulator.world.laps import LapAccount
from robotini_ray.simulator.world.race_parameters import ListedCar
from robotini_ray.simulator.world.randomisation import STANDARD, Conditions

MAX_CARS = 32

Event = dict[str, Any]


class JoinError(Exception):
    """A car that cannot join; the message says why."""


@dataclass(eq=False)
class Car:
    """What a race knows about one car besides its motion. `random` is its own: no other car changes what it draws."""

    slot: int
    info: Event
    random: np.random.Generator
    conditions: Conditions = STANDARD
    laps: LapAccount = field(default_factory=LapAccount)
    started: bool = False
    standing_since_frame: int | None = None


class Entries:
    """All cars by slot: those `on_track` and those `waiting`; `retired` have gone but stay in the standings."""

    def __init__(self, listed: tuple[ListedCar, ...], seed: int) -> None:
        self.on_track: dict[int, Car] = {}
        self.waiting: dict[int, Car] = {}
        self.retired: list[Car] = []
        self.count = 0
        """How many have entered so far."""
        self._listed = {car.team_id: car for car in reversed(listed)}
        self._seed = seed

    def new_car(self, team_id: str, name: str, color: str, texture: str, time_s: float) -> Car:
        """A car in a slot of its own, with its listed name if its team has one; it has not entered yet.

        Raises:
          JoinError: the name is taken, or all slots are.
        """
        listed = self._listed.get(team_id)
        if listed is not None:
            name, color, texture = listed.name, listed.color or color, listed.texture or texture
        present = {**self.on_track, **self.waiting}
        if any(car.info["name"] == name for car in present.values()):
            raise JoinError(f"a car named {name!r} is on the track already")
        slot = next((slot for slot in range(MAX_CARS) if slot not in present), None)
        if slot is None:
            raise JoinError(f"there are {MAX_CARS} cars on the track already")
        info = {"teamId": team_id, "name": name, "color": color, "texture": texture, "type": "CarInfo", "timestamp": time_s}
        return Car(slot, info, np.random.default_rng([self._seed, self.count]))

    def enter(self, car: Car) -> None:
        """Take the car in; it waits for its start."""
        self.count += 1
        self.waiting[car.slot] = car

    def ranking(self, qualifying: bool) -> list[Car]:
        """The cars of the session, those that have gone included, the best first.

        In qualifying the best lap counts, else the laps completed and the time that they took.
        """
        cars = [*self.on_track.values(), *self.retired]
        return sorted(cars, key=lambda car: car.laps.best_lap_rank if qualifying else car.laps.race_rank)
