"""Runs all compiled functions before a simulator serves clients, so that no client waits for a compilation.

``python -m robotini_ray.simulator.server.warm_up`` compiles everything ahead; ``make setup`` calls it.
"""

from __future__ import annotations

from collections.abc import Callable

from robotini_ray.config import NO_RANDOMISATION, RandomisationConfig
from robotini_ray.machine.compilation import compiling_once
from robotini_ray.simulator.camera.flat_camera import FlatCamera
from robotini_ray.simulator.camera.hilly_camera import HillyCamera
from robotini_ray.simulator.server.png_writer import encode_png
from robotini_ray.simulator.server.wire import MAX_WIDTH
from robotini_ray.simulator.world.race import Race
from robotini_ray.simulator.world.race_parameters import RaceParameters
from robotini_ray.simulator.world.randomisation import Look
from robotini_ray.track.track import Track, load_track

LOOKS = (Look(), Look(light=0.9, noise=1.0))
"""A standard look and one that needs the functions for light and noise."""


def warm_up(
    track: Track,
    camera: FlatCamera | HillyCamera,
    say: Callable[[str], None],
    randomisation: RandomisationConfig = NO_RANDOMISATION,
) -> None:
    """Moves two cars and takes their pictures; on a machine's first start this compiles for about 20 s.

    Args:
        track: The track that the simulator drives on.
        camera: The camera that it renders with.
        say: Shows a line to a person, if anything has to be compiled.
        randomisation: The ranges of the cars' properties.
    """
    with compiling_once(type(camera).__name__, say):
        scratch = Race(track, RaceParameters(), randomisation=randomisation)
        slots = [scratch.join("team", name) for name in ("ahead", "behind")]
        scratch.step()
        poses, colours, _ = scratch.views(slots)
        for look in LOOKS:
            for image in camera.render(MAX_WIDTH, slots, poses, colours, [look] * len(slots), scratch.frame):
                encode_png(image)


def main() -> None:
    """Compiles the world and both cameras."""
    track = load_track("default")
    cameras: tuple[FlatCamera | HillyCamera, ...] = (FlatCamera(track), HillyCamera(track))
    for camera in cameras:
        warm_up(track, camera, say=lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
