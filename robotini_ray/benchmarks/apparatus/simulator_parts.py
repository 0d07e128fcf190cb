"""What a frame of the embedded simulator costs, part by part: the server's own objects, without its sockets."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robotini_ray.benchmarks.apparatus.fleet import COLOR, LOOK_EVERY_FRAMES, THROTTLE, turn_by_colour
from robotini_ray.simulator.camera.camera_for_track import make_camera
from robotini_ray.simulator.server.png_writer import encode_png
from robotini_ray.simulator.world.race import Race
from robotini_ray.simulator.world.race_parameters import RaceParameters
from robotini_ray.track.track import Track

STEPS_PER_PICTURE = 4
"""What a picture costs depends on the place. Fewer of them let a measurement see more of the track."""


class PartTimes(NamedTuple):
    """Processor time of one frame of one car. Physics is all of `Race.step`; the camera includes what it needs to see."""

    physics_s: float
    camera_s: float
    png_s: float


class Workbench:
    """A world with cars that drive as the client's do (see `fleet`), each part of it under a stop-watch.

    Args:
        track: to drive on.
        cars: that are on it.
        widths: of the pictures that will be measured; each is made once, which compiles what needs compiling.
    """

    def __init__(self, track: Track, cars: int, widths: Sequence[int]) -> None:
        self._race = Race(track, RaceParameters(num_segments=30))
        self._camera = make_camera(track)
        self._slots = [self._race.join("fleet", f"fleet-{number}", COLOR) for number in range(cars)]
        for slot in self._slots:
            self._race.command(slot, "forward", THROTTLE)
        for width in widths:
            self.measure(width, seconds=0.0)

    def measure(self, width: int, seconds: float) -> PartTimes:
        """Drives for so long, at least to the next picture, which is so many pixels wide."""
        clock = time.thread_time
        physics_s = camera_s = png_s = 0.0
        pictures, ends_s = 0, time.perf_counter() + seconds
        while pictures == 0 or time.perf_counter() < ends_s:
            physics_s += self._step()
            began_s = clock()
            images = self._camera.render(width, self._slots, *self._race.views(self._slots), self._race.frame)
            rendered_s = clock()
            for image in images:
                encode_png(image)
            png_s += clock() - rendered_s
            camera_s += rendered_s - began_s
            pictures += len(images)
            self._steer(images)
        return PartTimes(physics_s / (pictures * STEPS_PER_PICTURE), camera_s / pictures, png_s / pictures)

    def _step(self) -> float:
        """Drives to the next picture; returns the processor time of that."""
        for slot in self._slots:
            self._race.heard_from(slot)
        began_s = time.thread_time()
        for _ in range(STEPS_PER_PICTURE):
            self._race.step()
        spent_s = time.thread_time() - began_s
        self._race.take_events()
        return spent_s

    def _steer(self, images: NDArray[np.uint8]) -> None:
        """The cars take turns at looking at their pictures."""
        turn = self._race.frame // STEPS_PER_PICTURE
        for slot, image in zip(self._slots, images, strict=True):
            if (turn + slot) % (LOOK_EVERY_FRAMES // STEPS_PER_PICTURE) == 0:
                self._race.command(slot, "turn", turn_by_colour(image))
