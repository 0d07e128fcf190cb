"""Measures ``time_to_race``: how long a training of ``launch/quickstart.yaml`` takes to drive well, from its process's start.

Several seeds are trained one after the other; the value is their median, the maximum is the worst run. A milestone that a
run has not reached counts as ``NEVER_FACTOR`` times the run's length, or times the target if that is longer; the share of
runs that have reached it is a figure of its own (``_reached``). Ten clean laps are ten in a row over consecutive
evaluations, so that the runs evaluate as usual. The runs stay under ``runs/``;
``python -m robotini_ray.benchmarks.learning_curves`` draws them.
"""

from __future__ import annotations

from collections.abc import Sequence

from robotini_ray.benchmarks.apparatus.figure import Figure, Measurement, Say, Target
from robotini_ray.benchmarks.apparatus.pairs import spread
from robotini_ray.benchmarks.apparatus.training_run import SECONDS_PER_HOUR, Milestones, milestones, new_folder, run_training

SEEDS = 5
MINUTES = 10.0
NEVER_FACTOR = 10.0
CARS = 6
TARGETS = {
    "first_lap_s": ("time_to_race", "s", Target("at most", 60.0)),
    "clean_laps_s": ("time_to_race_clean_laps", "s", Target("at most", 180.0)),
    "bot_lap_s": ("time_to_race_bot_lap", "s", Target("at most", 600.0)),
    "car_hours": ("time_to_race_car_hours", "h", Target("at most", 3.0)),
    "worst_after": ("time_to_race_worst_after", "of best", Target("at least", 0.9)),
}
"""Name, unit and target of each figure, by field of ``Milestones``."""


def measure(say: Say, *, seeds: int = SEEDS, minutes: float = MINUTES, arguments: Sequence[str] = ()) -> list[Figure]:
    """Trains once with each seed from 0 to ``seeds - 1``.

    Args:
        say: Takes a line of progress at a time.
        seeds: Number of trainings, one after the other.
        minutes: Duration of each training.
        arguments: Further arguments of ``launch train``.
    """
    reached, folder = [], new_folder("time_to_race")
    for seed in range(seeds):
        run_dir = folder / f"seed-{seed}"
        say(f"time_to_race: {run_dir}, {minutes:g} minutes")
        line = [*arguments, "--seed", str(seed)]
        evaluations, began_at = run_training(run_dir, minutes, line, lambda text: say(f"time_to_race: {text}"))
        reached.append(milestones(evaluations, began_at))
        say(f"time_to_race: {reached[-1]}")
    return race_figures(reached, minutes)


def race_figures(reached: Sequence[Milestones], minutes: float) -> list[Figure]:
    """Computes the figures: each milestone, and the share of runs that have reached it.

    Args:
        reached: The milestones of each run.
        minutes: Duration of each run.
    """
    length = {"car_hours": CARS * minutes * 60 / SECONDS_PER_HOUR}
    figures = []
    for field, (name, unit, target) in TARGETS.items():
        found = [getattr(run, field) for run in reached]
        longest = max(target.value, length.get(field, minutes * 60))
        never = NEVER_FACTOR * longest if target.bound == "at most" else 0.0
        values = [never if value is None else value for value in found]
        figures.append(Figure(name, spread(values), unit, target, "max"))
        count = sum(value is not None for value in found)
        figures.append(Figure(f"{name}_reached", spread([count / len(reached)]), "of runs", None, "max"))
    return figures


MEASUREMENTS: tuple[Measurement, ...] = (measure,)
