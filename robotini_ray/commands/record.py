"""``record``: a lap of a policy as a picture or a film."""

from __future__ import annotations

import sys
from pathlib import Path

from robotini_ray.car.connection import Login
from robotini_ray.commands.drive_site import car_name, check_randomisation, drive_site
from robotini_ray.config import FRAMES_PER_SECOND, ConfigError, RandomisationConfig, SimulatorConfig
from robotini_ray.policy.named_policy import load_named_policy
from robotini_ray.racing.lap_picture import LapPicture
from robotini_ray.racing.lap_recording import record
from robotini_ray.racing.picture_files import write_gif, write_png, write_webm
from robotini_ray.track.lap_limit import lap_limit_s
from robotini_ray.track.track import load_track

KINDS = (".webm", ".gif", ".png")
FRAMES_PER_PICTURE = {".webm": 2, ".gif": 3}
"""Camera frames for each picture of a film, which plays in real time; a GIF's delays are whole hundredths of a second."""


def run(
    policy: Path,
    output: Path,
    track: str | None,
    simulator: str | None,
    laps: int,
    seconds: float | None,
    seed: int,
    randomisation: RandomisationConfig,
) -> int:
    """Drives, draws and writes; returns the exit code."""
    check_randomisation(simulator, randomisation)
    kind = output.suffix.lower()
    if kind not in KINDS:
        raise ConfigError(f"-o is {output}; allowed: a file that ends in {', '.join(KINDS)}")
    driver, facts = load_named_policy(policy)
    config = SimulatorConfig(address=simulator, track=track or driver.spec.track, pace="max")
    known_track = load_track(config.track)
    with drive_site(config, seed, randomisation, wait=False) as site:
        name = car_name("record")
        login = Login(name, "record", "#f5c211", driver.spec.image_width, site.lockstep)
        recording = record(driver, site.address, login, known_track, laps, seconds)
    title = policy.name if "train_step" not in facts else f"{driver.spec.algorithm}, step {facts['train_step']:,}"
    picture = LapPicture(recording, known_track, driver.spec.image_width, title, lap_limit_s(known_track))
    if kind == ".png":
        write_png(output, picture.whole())
    else:
        every = FRAMES_PER_PICTURE[kind]
        write = write_webm if kind == ".webm" else write_gif
        write(output, picture.frames(every), FRAMES_PER_SECOND / every)
    what = f"{seconds:g} s" if recording.lap_time_s is None else f"a lap of {recording.lap_time_s:.2f} s"
    print(f"{output}: {what}, {output.stat().st_size / 1e6:.1f} MB", file=sys.stderr)
    return 0
