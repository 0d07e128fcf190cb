"""``evaluate``: a trained policy, greedy, in figures.

What pulls in TensorFlow is imported when everything else is in order: a wrong line is refused at once, and an embedded
simulator starts meanwhile.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robotini_ray.acting import NumpyPolicy, load_policy
from robotini_ray.car.connection import Login
from robotini_ray.car.spectator import Spectator
from robotini_ray.commands.driving import car_name, drive_site
from robotini_ray.config import FRAMES_PER_SECOND, NO_RANDOMISATION, ConfigError, RandomisationConfig, SimulatorConfig
from robotini_ray.limit import lap_limit_s
from robotini_ray.policy_origin import origin_warning
from robotini_ray.reports import EvaluationResult
from robotini_ray.track import Track, load_track

if TYPE_CHECKING:
    from robotini_ray.environment.race_environment import RaceEnvironment

DEFAULT_LAPS = 10
SECONDS_PER_LAP = 120.0
"""Game time after which an evaluation by laps gives up, for each lap asked for."""

PROGRESS_INTERVAL_S = 2.0


def run(
    policy: Path,
    track: str | None,
    simulator: str | None,
    wait: bool,
    laps: int | None,
    seconds: float | None,
    seed: int,
    print_json: bool,
    json_file: Path | None,
    randomisation: RandomisationConfig,
) -> int:
    """Evaluates and prints; returns the exit code."""
    if simulator is not None and randomisation != NO_RANDOMISATION:
        raise ConfigError(f"--randomisation.* needs an embedded simulator; the cars of {simulator} are as they are")
    warning = origin_warning(policy)
    if warning is not None:
        print(warning, file=sys.stderr)
    driver, _ = load_policy(policy)
    if laps is None and seconds is None:
        laps = DEFAULT_LAPS
    config = SimulatorConfig(address=simulator, track=track or driver.spec.track, pace="max")
    known_track = load_track(config.track)
    limit_s = lap_limit_s(known_track)
    result = _drive(driver, config, known_track, laps, seconds, seed, randomisation, wait)
    row = {"policy": str(policy), "track": config.track, **result.to_json(limit_s)}
    line = json.dumps({"results": [row]}, allow_nan=False)
    if json_file is not None:
        json_file.write_text(line + "\n")
    if print_json:
        print(line)
    else:
        _print(row)
    return 0


def _drive(
    policy: NumpyPolicy,
    config: SimulatorConfig,
    track: Track,
    laps: int | None,
    seconds: float | None,
    seed: int,
    randomisation: RandomisationConfig,
    wait: bool,
) -> EvaluationResult:
    environment_config = dataclasses.replace(policy.spec.environment(), episode_laps=1000, episode_frames=100_000)
    limit_s = seconds if seconds is not None else SECONDS_PER_LAP * (laps or 1)
    with drive_site(config, seed, randomisation, wait) as site:
        from robotini_ray.environment.race_environment import RaceEnvironment
        from robotini_ray.evaluation import evaluate

        spectator = Spectator(site.address.host, site.address.log_port, track=track)
        login = Login(car_name("evaluate"), "evaluate", "#f5c211", policy.spec.image_width, site.lockstep)
        environment = RaceEnvironment(environment_config, track, site.address, login, spectator)
        try:
            return evaluate(environment, policy, laps, limit_s, _Progress(laps, limit_s))
        finally:
            environment.close()
            spectator.close()


class _Progress:
    """Says on stderr how far an evaluation is, every two seconds."""

    def __init__(self, laps: int | None, seconds: float) -> None:
        self._goal = f"{laps} laps" if laps is not None else f"{seconds:g} s"
        self._next_at = time.monotonic() + PROGRESS_INTERVAL_S

    def __call__(self, environment: RaceEnvironment) -> bool:
        if time.monotonic() >= self._next_at:
            self._next_at = time.monotonic() + PROGRESS_INTERVAL_S
            score = environment.score
            print(
                f"{score.frames / FRAMES_PER_SECOND:.0f} s of game time, {len(score.laps)} laps, {score.crashes} crashes "
                f"(of {self._goal})",
                file=sys.stderr,
            )
        return True


def _print(row: dict[str, Any]) -> None:
    def text(key: str, form: str) -> str:
        return "-" if row[key] is None else form.format(row[key])

    print(f"policy         {row['policy']}")
    print(f"track          {row['track']}, limit {row['limit_s']:.2f} s")
    print(f"laps           {len(row['laps'])}, {row['clean_laps']} clean, {row['crashes']} crashes")
    print(f"best lap       {text('best_lap_s', '{:.2f} s')}")
    print(f"median lap     {text('median_lap_s', '{:.2f} s')}, {text('ratio_to_limit', '{:.2f}')} times the limit")
    print(f"average speed  {text('average_speed_m_s', '{:.2f} m/s')}")
    print(f"average return {text('average_return', '{:.1f}')} over {row['episodes']} episodes")
