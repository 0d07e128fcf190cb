"""Times a frame of the embedded simulator part by part, with the server's own objects but without its sockets."""

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
"""Steps of the world for each picture.

The cost of a picture depends on the place; fewer pictures let a measurement cover more of the track.
"""


class PartTimes(NamedTuple):
    """Processor time of one frame of one car.

    Attributes:
        physics_s: All of ``Race.step``.
        camera_s: Rendering, including the views of the cars that it needs.
        png_s: Encoding as PNG.
    """

    physics_s: float
    camera_s: float
    png_s: float


class Workbench:
    """A simulated world whose cars drive like those of the client (``fleet``), with a stop-watch on each part.

    Args:
        track: The track to drive on.
        cars: Number of cars on it.
        widths: Widths of the pictures to be measured, in pixels; each is rendered once, which compiles the code for it.
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
        """Drives for ``seconds`` of wall time, at least to the next picture, with pictures ``width`` pixels wide."""
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
        """Drives to the next picture; returns the processor time of the physics."""
        for slot in self._slots:
            self._race.heard_from(slot)
        began_s = time.thread_time()
        for _ in range(STEPS_PER_PICTURE):
            self._race.step()
        spent_s = time.thread_time() - began_s
        self._race.take_events()
        return spent_s

    def _steer(self, images: NDArray[np.uint8]) -> None:
        """Steers the cars whose turn it is by their pictures."""
        turn = self._race.frame // STEPS_PER_PICTURE
        for slot, image in zip(self._slots, images, strict=True):
            if (turn + slot) % (LOOK_EVERY_FRAMES // STEPS_PER_PICTURE) == 0:
                self._race.command(slot, "turn", turn_by_colour(image))
