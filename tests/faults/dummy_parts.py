"""Parts that do nothing but live, for tests of the supervisor: Ray is real, what runs in it is light."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from robotini_ray.parts.interfaces import RunCannotGoOn


class Car:
    """Needs weights before its loop starts; writes down whether it had them."""

    def __init__(self, diary: Path) -> None:
        self._diary = diary
        self._weights = "none"
        self._steps = 0
        self._stop = threading.Event()

    def run(self) -> None:
        with self._diary.open("a") as file:
            file.write(f"{os.getpid()} drives with weights {self._weights}\n")
        while not self._stop.wait(0.01):
            self._steps += 1

    def set_weights(self, weights: str) -> None:
        self._weights = weights

    def report(self) -> tuple[int, int]:
        return os.getpid(), self._steps

    def stop(self) -> None:
        self._stop.set()


class Giver:
    """Stands for the learner."""

    def __init__(self, version: str) -> None:
        self._version = version
        self._stop = threading.Event()

    def run(self) -> None:
        self._stop.wait()

    def add_receivers(self, handles: list[Any]) -> None:
        import ray

        ray.get([handle.tell(Car.set_weights, self._version) for handle in handles])

    def report(self) -> tuple[int, int]:
        return os.getpid(), 1

    def stop(self) -> None:
        self._stop.set()


class Broken:
    """Cannot be made."""

    def __init__(self, message: str) -> None:
        raise ValueError(message)


class Waiting:
    """Is never made, because something that it waits for does not come."""

    def __init__(self) -> None:
        threading.Event().wait()


class Hopeless:
    """Its loop ends for a reason that starting it again does not cure."""

    def run(self) -> None:
        raise RunCannotGoOn("there is no road left: build one")

    def report(self) -> int:
        return os.getpid()

    def stop(self) -> None:
        pass
