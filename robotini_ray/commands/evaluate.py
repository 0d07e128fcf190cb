"""Implements ``evaluate``, which drives trained policies greedily, each on each track, and reports their laps.

Modules that import TensorFlow are imported only after everything else has been checked, so that an error in the command
line is reported at once; an embedded simulator starts during the import.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robotini_ray.car.connection import Login
from robotini_ray.car.spectator import Spectator
from robotini_ray.commands.drive_site import car_name, check_randomisation, drive_site
from robotini_ray.commands.output import written
from robotini_ray.config import (
    FRAMES_PER_SECOND,
    ConfigError,
    RandomisationConfig,
    SimulatorConfig,
    load_config,
)
from robotini_ray.machine.terminal_text import printable
from robotini_ray.machine.text_table import format_table, number
from robotini_ray.machine.whole_files import write_whole
from robotini_ray.policy.hand_written import THROTTLE_HIGH, THROTTLE_LOW, driving_policy
from robotini_ray.policy.named_policy import load_named_policy
from robotini_ray.policy.numpy_policy import NumpyPolicy
from robotini_ray.run.reports import EvaluationResult
from robotini_ray.track.lap_limit import lap_limit_s
from robotini_ray.track.track import Track, load_track

if TYPE_CHECKING:
    from robotini_ray.environment.race_environment import RaceEnvironment
    from robotini_ray.environment.score import RaceScore

DEFAULT_LAPS = 10
SECONDS_PER_LAP = 120.0
"""Seconds of game time per requested lap after which an evaluation by laps gives up."""

PROGRESS_INTERVAL_S = 2.0
HAND_WRITTEN = "hand-written"
HEADER = ("policy", "track", "laps", "clean", "crashes", "best s", "median s", "x limit", "m/s")


@dataclasses.dataclass(frozen=True)
class Task:
    """The conditions under which every policy is driven.

    Attributes:
        simulator: The address of a running simulator, or None to start an embedded one for each policy and track.
        wait: Whether to wait until the running simulator can be reached.
        laps: Flying laps to drive, or None for no number.
        seconds: Game time to drive, or None if ``laps`` is the limit.
        seed: The seed of the embedded simulators.
        randomisation: How the cars of the embedded simulators differ.
    """

    simulator: str | None
    wait: bool
    laps: int | None
    seconds: float | None
    seed: int
    randomisation: RandomisationConfig

    @property
    def limit_s(self) -> float:
        """Seconds of game time after which an evaluation ends in any case."""
        return self.seconds if self.seconds is not None else SECONDS_PER_LAP * (self.laps or 1)


Pair = tuple[str, NumpyPolicy, str]
"""One evaluation: the policy's name, the policy, and the track."""


def run(
    policy: tuple[Path, ...],
    track: tuple[str, ...],
    simulator: str | None,
    wait: bool,
    laps: int | None,
    seconds: float | None,
    seed: int,
    hand_written: bool | None,
    print_json: bool,
    json_file: Path | None,
    randomisation: RandomisationConfig,
) -> int:
    """Evaluates every policy on every track and prints the results; returns the exit code, always 0.

    Args:
        policy: Directories or shipped names of the policies.
        track: Names or files of the tracks; none means the track that each policy was trained on.
        simulator: The address of a running simulator, or None to start embedded ones.
        wait: Whether to wait until that simulator can be reached.
        laps: Flying laps to drive; ``DEFAULT_LAPS`` if ``seconds`` is None too.
        seconds: Game time to drive. With both, the limit that is reached first ends an evaluation.
        seed: The seed of the embedded simulators.
        hand_written: Whether the hand-written policy drives as well; None means if there are several evaluations.
        print_json: Whether to print one line of JSON instead of text.
        json_file: The file that the results are also written to as JSON, or None.
        randomisation: How the cars of the embedded simulators differ.

    Raises:
        ConfigError: Several tracks or a randomisation are given with a running simulator.
        PolicyError: A policy cannot be loaded.
        TrackError: A track cannot be loaded.
        SimulatorUnreachable: The simulator cannot be reached, and ``wait`` is False.
        OutputError: ``json_file`` cannot be written; the results have been printed.
    """
    check_randomisation(simulator, randomisation)
    if simulator is not None and len(track) > 1:
        raise ConfigError(f"--track is given {len(track)} times, but {simulator} drives on one track: name that one")
    if laps is None and seconds is None:
        laps = DEFAULT_LAPS
    task = Task(simulator, wait, laps, seconds, seed, randomisation)
    pairs = _pairs(policy, track)
    several = len(pairs) > 1
    others: list[Pair] = []
    if several if hand_written is None else hand_written:
        others = [(HAND_WRITTEN, _hand_written_policy(), place) for place in dict.fromkeys(place for _, _, place in pairs)]
    whole = len(pairs) + len(others)
    rows = [_evaluate(pair, task, _Progress(number, whole, pair, task)) for number, pair in enumerate([*pairs, *others])]
    results, references = rows[: len(pairs)], rows[len(pairs) :]
    line = json.dumps({"results": results, **({"references": references} if references else {})}, allow_nan=False)
    if print_json:
        print(line)
    elif several or references:
        print(format_table(HEADER, [_cells(row) for row in [*results, *references]] + _limit_lines(results)))
    else:
        _print(results[0])
    if json_file is not None:
        with written(json_file, "the results are those printed"):
            write_whole(json_file, line + "\n")
    return 0


def _pairs(policies: tuple[Path, ...], tracks: tuple[str, ...]) -> list[Pair]:
    """Returns name, policy and track of every evaluation, after having loaded each of them to check that it exists."""
    drivers = [(str(name), load_named_policy(name)[0]) for name in policies]
    pairs = [(name, driver, track) for name, driver in drivers for track in tracks or (driver.spec.track,)]
    for _, _, track in pairs:
        load_track(track)
    return pairs


def _hand_written_policy() -> NumpyPolicy:
    """Returns the hand-written policy, which follows the road by its colours at a steady 1.7 m/s."""
    settings = {"image_width": 64, "throttle_low": THROTTLE_LOW, "throttle_high": THROTTLE_HIGH}
    return driving_policy(load_config(None, {f"environment.{name}": value for name, value in settings.items()}))


class _Progress:
    """Prints the progress of an evaluation, and of all of them, to standard error every two seconds.

    Args:
        done: The number of evaluations before this one.
        whole: The number of all evaluations.
        pair: What is evaluated.
        task: The conditions, which tell when it ends.
    """

    def __init__(self, done: int, whole: int, pair: Pair, task: Task) -> None:
        name, _, track = pair
        self._done, self._whole, self._task = done, whole, task
        number = f"evaluation {done + 1} of {whole}: " if whole > 1 else ""
        self._what = printable(f"{number}{name} on {track}")
        self._goal = f"{task.laps} lap{'s' * (task.laps != 1)}" if task.laps is not None else f"{task.limit_s:g} s"
        self._next_at = time.monotonic() + PROGRESS_INTERVAL_S

    def __call__(self, environment: RaceEnvironment) -> bool:
        if time.monotonic() >= self._next_at:
            self._next_at = time.monotonic() + PROGRESS_INTERVAL_S
            score = environment.score
            share = (self._done + self._share(score)) / self._whole
            print(
                f"{share:4.0%}  {self._what}: {score.frames / FRAMES_PER_SECOND:.0f} s of game time, {len(score.laps)} laps, "
                f"{score.crashes} crashes (of {self._goal})",
                file=sys.stderr,
            )
        return True

    def _share(self, score: RaceScore) -> float:
        """Returns how much of this evaluation is done, from 0 to 1, by the limit that is nearer."""
        shares = [score.frames / FRAMES_PER_SECOND / self._task.limit_s]
        if self._task.laps is not None:
            shares.append(len(score.laps) / self._task.laps)
        return min(1.0, max(shares))


def _evaluate(pair: Pair, task: Task, watch: _Progress) -> dict[str, Any]:
    name, policy, track = pair
    config = SimulatorConfig(address=task.simulator, track=track, pace="max")
    known_track = load_track(track)
    result = _drive(policy, config, known_track, task, watch)
    return {"policy": name, "track": track, **result.to_json(lap_limit_s(known_track))}


def _drive(policy: NumpyPolicy, config: SimulatorConfig, track: Track, task: Task, watch: _Progress) -> EvaluationResult:
    environment_config = dataclasses.replace(policy.spec.environment(), episode_laps=1000, episode_frames=100_000)
    with drive_site(config, task.seed, task.randomisation, task.wait) as site:
        from robotini_ray.environment.race_environment import RaceEnvironment
        from robotini_ray.parts.evaluation import evaluate

        spectator = Spectator(site.address.host, site.address.log_port, track=track)
        login = Login(car_name("evaluate"), "evaluate", "#f5c211", policy.spec.image_width, site.lockstep)
        latency_frames = task.randomisation.largest_latency_frames
        environment = RaceEnvironment(environment_config, track, site.address, login, spectator, latency_frames)
        try:
            return evaluate(environment, policy, task.laps, task.limit_s, watch)
        finally:
            environment.close()
            spectator.close()


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["policy"],
        row["track"],
        str(len(row["laps"])),
        str(row["clean_laps"]),
        str(row["crashes"]),
        number(row["best_lap_s"]),
        number(row["median_lap_s"]),
        number(row["ratio_to_limit"]),
        number(row["average_speed_m_s"]),
    )


def _limit_lines(results: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Returns table rows with the limit (the lap time of a point mass on the racing line), one for each track."""
    limits = {row["track"]: row["limit_s"] for row in results}
    return [("limit", track, "", "", "", *[number(limit_s)] * 2, number(1.0), "") for track, limit_s in limits.items()]


def _print(row: dict[str, Any]) -> None:
    def text(key: str, form: str) -> str:
        return "-" if row[key] is None else form.format(row[key])

    print(f"policy         {printable(row['policy'])}")
    print(f"track          {printable(row['track'])}, limit {row['limit_s']:.2f} s")
    print(f"laps           {len(row['laps'])}, {row['clean_laps']} clean, {row['crashes']} crashes")
    print(f"best lap       {text('best_lap_s', '{:.2f} s')}")
    print(f"median lap     {text('median_lap_s', '{:.2f} s')}, {text('ratio_to_limit', '{:.2f}')} times the limit")
    print(f"average speed  {text('average_speed_m_s', '{:.2f} m/s')}")
    print(f"average return {text('average_return', '{:.1f}')} over {row['episodes']} episodes")
