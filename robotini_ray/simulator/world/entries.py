"""Holds the cars of a race, on the track or not, and gives a new car its name and its slot."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from robotini_ray.config import MAX_CARS
from robotini_ray.simulator.world.laps import LapAccount
from robotini_ray.simulator.world.race_parameters import ListedCar
from robotini_ray.simulator.world.randomisation import STANDARD, Conditions

Event = dict[str, Any]


class JoinError(Exception):
    """Raised when a car cannot join; the message gives the reason."""


@dataclass(eq=False)
class Car:
    """The state of one car in a race, except its motion.

    Attributes:
        slot: The index of the car in all arrays of the race.
        info: The event ``CarInfo`` that identifies the car to spectators.
        random: The car's own random generator, so that no other car changes its draws.
        conditions: The properties drawn when the car was last started or put back.
        laps: The laps and segments of the current session.
        started: True once the car has moved since it was last placed.
        standing_since_frame: The frame since which a started car has stood still; None while it moves.
    """

    slot: int
    info: Event
    random: np.random.Generator
    conditions: Conditions = STANDARD
    laps: LapAccount = field(default_factory=LapAccount)
    started: bool = False
    standing_since_frame: int | None = None


class Entries:
    """All cars of a race.

    Args:
        listed: The cars of the race parameters, whose names, colours and textures are given to their teams.
        seed: Seeds the random generators of the cars.

    Attributes:
        on_track: The cars on the track, by slot.
        waiting: The cars that have entered but are not on the track, by slot.
        retired: Cars whose clients have disconnected and that stay in the standings.
        count: The number of cars that have entered so far.
    """

    def __init__(self, listed: tuple[ListedCar, ...], seed: int) -> None:
        self.on_track: dict[int, Car] = {}
        self.waiting: dict[int, Car] = {}
        self.retired: list[Car] = []
        self.count = 0
        self._listed = {car.team_id: car for car in reversed(listed)}
        self._seed = seed

    def new_car(self, team_id: str, name: str, color: str, texture: str, time_s: float) -> Car:
        """Creates a car in a free slot, with the listed name, colour and texture of its team if there are any.

        The car has not entered yet: call ``enter`` with it.

        Raises:
            JoinError: The name is taken, or there is no free slot.
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
        """Adds the car to those that wait for their start."""
        self.count += 1
        self.waiting[car.slot] = car

    def ranking(self, qualifying: bool) -> list[Car]:
        """Returns the cars of the session, including the retired ones, the best first.

        Args:
            qualifying: True to rank by the best lap, False by the laps completed and then by the time they took.
        """
        cars = [*self.on_track.values(), *self.retired]
        return sorted(cars, key=lambda car: car.laps.best_lap_rank if qualifying else car.laps.race_rank)
