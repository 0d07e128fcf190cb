"""Measures ``lap_ratio``: lap times of a trained policy over the track's limit, on its own track and on an unseen one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from robotini_ray.benchmarks.apparatus.figure import Figure, Measurement, Say, Target
from robotini_ray.benchmarks.apparatus.pairs import Spread, spread
from robotini_ray.benchmarks.apparatus.training_run import new_folder, run_evaluation, run_training
from robotini_ray.shipped.files import RECIPES

MINUTES = 60.0
LAPS = 50
RECIPE = RECIPES / "fastest_lap.yaml"
TRACK, UNSEEN_TRACK = "default", "twisty"
NEVER = 100.0
"""Ratio that stands for a policy that finishes no lap."""

RATIO_TARGETS = {TRACK: Target("at most", 1.15), UNSEEN_TRACK: Target("at most", 1.25)}
CRASH_TARGET = Target("at most", 0.0)


def measure(say: Say, *, minutes: float = MINUTES, laps: int = LAPS, arguments: Sequence[str] = (str(RECIPE),)) -> list[Figure]:
    """Trains once and drives the best policy on both tracks.

    Args:
        say: Takes a line of progress at a time.
        minutes: Duration of the training.
        laps: Number of laps to drive on each track.
        arguments: Arguments of ``launch train``: the config file and, if wanted, flags.
    """
    run_dir = new_folder("lap_ratio") / "run"
    say(f"lap_ratio: {run_dir}, {minutes:g} minutes")
    run_training(run_dir, minutes, [*arguments, "--track", TRACK], lambda text: say(f"lap_ratio: {text}"))
    best = run_dir / "policies" / "best"
    rows = {}
    for track in RATIO_TARGETS:
        say(f"lap_ratio: {laps} laps on {track}")
        rows[track] = run_evaluation(best, laps, track)
    return [figure for track, row in rows.items() for figure in lap_figures(track, row)]


def lap_figures(track: str, row: dict[str, Any]) -> list[Figure]:
    """Computes the figures of one track from a result of ``launch evaluate``; extremes are those of single laps."""
    suffix = "" if track == TRACK else "_unseen"
    ratios = [lap_s / row["limit_s"] for lap_s in row["laps"]] or [NEVER]
    crashes = float(row["crashes"])
    return [
        Figure(f"lap_ratio{suffix}", spread(ratios), "x limit", RATIO_TARGETS[track], "max"),
        Figure(f"lap_ratio_crashes{suffix}", Spread(crashes, crashes, crashes, 1), "crashes", CRASH_TARGET, "max"),
    ]


MEASUREMENTS: tuple[Measurement, ...] = (measure,)
