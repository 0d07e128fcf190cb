"""Implements ``record``, which draws a lap of a policy as a picture or a film."""

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
"""Camera frames per picture of a film that plays in real time; the delays of a GIF are whole hundredths of a second."""


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
    """Drives, draws the recording and writes it to a file; returns the exit code, always 0.

    Args:
        policy: The directory of the policy, or the name of a shipped one.
        output: The file to write; its suffix, one of ``KINDS``, selects the format.
        track: The track to drive on, or None for the one that the policy was trained on.
        simulator: The address of a running simulator, or None to start an embedded one.
        laps: Flying laps to drive; the fastest is recorded.
        seconds: Game time to record from the start, or None to record a lap.
        seed: The seed of the embedded simulator.
        randomisation: How the car of the embedded simulator differs from the standard one.

    Raises:
        ConfigError: The suffix is not one of ``KINDS``, or a randomisation is given with a running simulator.
        RecordingError: The policy finished no lap.
    """
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
        latency_frames = randomisation.largest_latency_frames
        recording = record(driver, site.address, login, known_track, laps, seconds, latency_frames)
    step = facts.get("train_step")
    title = f"{driver.spec.algorithm}, step {step:,}" if isinstance(step, int) else policy.name
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
