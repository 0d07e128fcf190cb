"""Implements ``debug-policy``, which drives cars with the hand-written policy through the whole car side.

Modules that import TensorFlow are imported only after the simulator has been found, so that an error in the command line
is reported at once.
"""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

from robotini_ray.car.connection import Login
from robotini_ray.car.spectator import Spectator
from robotini_ray.commands.drive_site import car_name, drive_site
from robotini_ray.config import FRAMES_PER_SECOND, Config
from robotini_ray.policy.hand_written import THROTTLE_HIGH, THROTTLE_LOW, color_balance_action
from robotini_ray.simulator_address import Site
from robotini_ray.track.track import Track, load_track
from robotini_ray.watch.live_table import Display

if TYPE_CHECKING:
    from robotini_ray.environment.race_environment import RaceEnvironment

COLOR = "#2ca02c"


def run(config: Config, seconds: float, wait: bool) -> int:
    """Drives for ``seconds`` of game time and shows laps, crashes and frames per second; returns the exit code, 0 or 130."""
    place = drive_site(config.simulator, config.run.seed, config.randomisation, wait)
    with place as site, Display("debug-policy") as display:
        track = load_track(config.simulator.track)
        spectator = Spectator(site.address.host, site.address.log_port, track=track)
        environments = [_join(config, track, site, spectator) for _ in range(config.collection.cars)]
        try:
            _drive(environments, seconds, display)
        except KeyboardInterrupt:
            return 130
        finally:
            for environment in environments:
                environment.close()
            spectator.close()
    return 0


def _join(config: Config, track: Track, site: Site, spectator: Spectator) -> RaceEnvironment:
    from robotini_ray.environment.race_environment import RaceEnvironment

    login = Login(car_name("debug"), "debug", COLOR, config.environment.image_width, site.lockstep)
    # The throttle range of a recipe may be too fast for the hand-written policy.
    environment = dataclasses.replace(config.environment, throttle_low=THROTTLE_LOW, throttle_high=THROTTLE_HIGH)
    latency_frames = config.randomisation.largest_latency_frames
    return RaceEnvironment(environment, track, site.address, login, spectator, latency_frames)


def _drive(environments: list[RaceEnvironment], seconds: float, display: Display) -> None:
    from robotini_ray.environment.race_environment import with_frames

    began = time.monotonic()
    for environment in environments:
        environment.begin_episode()
    while min(environment.score.frames for environment in environments) < seconds * FRAMES_PER_SECOND:
        for environment in with_frames(environments, timeout_s=1.0):
            step = environment.advance()
            if step is not None and step.is_last():
                step = environment.begin_episode()
            if step is not None:
                environment.begin_decision(color_balance_action(step.observation))
        for environment in environments:
            environment.check_silence()
        display.show(_rows(environments, time.monotonic() - began))
    display.say(", ".join(f"{name} {value}" for name, value in _rows(environments, time.monotonic() - began).items()))


def _rows(environments: list[RaceEnvironment], wall_s: float) -> dict[str, str]:
    scores = [environment.score for environment in environments]
    laps = [lap.time_s for score in scores for lap in score.laps]
    frames = sum(score.frames for score in scores)
    return {
        "cars": str(len(scores)),
        "game time": f"{min(score.frames for score in scores) / FRAMES_PER_SECOND:.1f} s",
        "laps": str(len(laps)),
        "best lap": f"{min(laps):.2f} s" if laps else "-",
        "crashes": str(sum(score.crashes for score in scores)),
        "frames/s": f"{frames / wall_s:,.0f}",
    }
