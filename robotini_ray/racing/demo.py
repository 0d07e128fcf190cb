"""Races several cars with given policies against each other on one simulator, in one thread.

The simulator waits for all cars (lock-step), and the cars wait for the clock. The race is therefore never faster than real
time; on a busy machine it is slower, but the cars drive equally well.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Sequence

from robotini_ray.car.state_store import CarStateStore
from robotini_ray.config import FRAMES_PER_SECOND
from robotini_ray.machine.text_table import format_table, number
from robotini_ray.racing.policy_car import PolicyCar

STATE_INTERVAL_S = 0.05
"""The wall time between two states of a car that are stored for the monitor."""

SAY_INTERVAL_S = 10.0
FRAME_TIMEOUT_S = 60.0
HEADER = ("car", "policy", "laps", "clean", "crashes", "put back", "best s", "median s")


def race(
    cars: Sequence[PolicyCar],
    seconds: float | None,
    stopped: Callable[[], bool],
    store: CarStateStore | None,
    say: Callable[[str], None],
) -> None:
    """Drives all cars until the time is over or ``stopped`` returns True, and blocks until then.

    Args:
        cars: The cars, which have already joined, all in lock-step.
        seconds: The length of the race in game time, in seconds; None for no limit.
        stopped: Called before every frame; returns whether to end the race.
        store: The store for the cars' live state; None if no monitor shows the race.
        say: Called with a line of the standings every 10 s.

    Raises:
        CarError: The connection to the simulator was lost.
    """
    frame_at = state_at = time.monotonic()
    say_at = frame_at + SAY_INTERVAL_S
    for frame in itertools.count():
        if stopped() or (seconds is not None and frame >= seconds * FRAMES_PER_SECOND):
            return
        for car in cars:
            car.advance(FRAME_TIMEOUT_S)
        frame_at = max(frame_at + 1 / FRAMES_PER_SECOND, time.monotonic())
        time.sleep(max(0.0, frame_at - time.monotonic()))
        now = time.monotonic()
        if store is not None and now >= state_at:
            state_at = now + STATE_INTERVAL_S
            for car in cars:
                if car.newest is not None:
                    store.put(car.name, car.live_state(), car.newest.png)
        if now >= say_at:
            say_at = now + SAY_INTERVAL_S
            say(f"{frame / FRAMES_PER_SECOND:.0f} s: laps: " + ", ".join(_standing(car) for car in ranking(cars)))


def ranking(cars: Sequence[PolicyCar]) -> list[PolicyCar]:
    """Returns the cars in the order of their rank: by the number of laps, and then by the fastest lap."""
    return sorted(cars, key=lambda car: (-len(car.score.laps), min((lap.time_s for lap in car.score.laps), default=0.0)))


def result_table(cars: Sequence[PolicyCar], policies: dict[str, str]) -> str:
    """Returns the final standings as a table of text, the best car first.

    Args:
        cars: The cars.
        policies: The name of each car's policy, by the car's name.
    """
    return format_table(HEADER, [_cells(car, policies[car.name]) for car in ranking(cars)])


def _standing(car: PolicyCar) -> str:
    return f"{car.name} {len(car.score.laps)}"


def _cells(car: PolicyCar, policy: str) -> tuple[str, ...]:
    laps = car.score.laps
    times_s = [lap.time_s for lap in laps]
    return (
        car.name,
        policy,
        str(len(laps)),
        str(sum(lap.clean for lap in laps)),
        str(car.score.crashes),
        str(car.returns),
        number(min(times_s, default=None)),
        number(statistics.median(times_s) if times_s else None),
    )
