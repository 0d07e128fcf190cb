"""Draws the learning curves of trainings: ``python -m robotini_ray.benchmarks.learning_curves RUN ... -o FILE.png``.

The upper plot is the average return of each evaluation, the lower one its median lap, both over the wall time of the run.
Horizontal lines mark the track's limit and the laps of the best hand-made bot and of the original trainer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from robotini_ray.config import ConfigError
from robotini_ray.run.directory import RunDirectory
from robotini_ray.track.reference_laps import ReferenceLaps

SECONDS_PER_MINUTE = 60.0
SIZE_INCHES = (8.0, 6.5)
PIXELS_PER_INCH = 100
LINES = {"limit_s": "the track's limit", "best_bot_s": "best hand-made bot", "original_s": "original trainer (20 h)"}
"""The label of each horizontal line, by field of ``ReferenceLaps``."""


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Picture to write.")
def main(runs: tuple[Path, ...], output: Path) -> None:
    """Draws the evaluations of RUNS, each a run directory, into one picture."""
    try:
        draw(runs, output)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error


def draw(runs: Sequence[Path], output: Path) -> None:
    """Writes one picture of the curves of all runs, in the format that the file name of ``output`` says.

    Raises:
        ConfigError: A run has no evaluation, or the runs are of tracks with different limits.
    """
    from matplotlib.figure import Figure  # only installed with the extra ``dev``; training does without it

    curves = {run: _evaluations(run) for run in runs}
    limits = {evaluations[0]["limit_s"] for evaluations in curves.values()}
    if len(limits) > 1:
        raise ConfigError(f"the runs are of tracks with different limits ({sorted(limits)} s): draw one picture for each track")
    figure = Figure(SIZE_INCHES, layout="constrained")
    returns, laps = figure.subplots(2, 1, sharex=True)
    for run, evaluations in curves.items():
        _draw_curve(returns, evaluations, "average_return", run.name)
        _draw_curve(laps, evaluations, "median_lap_s", run.name)
    returns.set_ylabel("return of an evaluation")
    returns.legend(loc="lower right", fontsize="small")
    _draw_references(laps, ReferenceLaps.of(limits.pop()))
    laps.set_ylabel("median lap of the evaluation, s")
    laps.set_xlabel("wall time, minutes")
    for axes in (returns, laps):
        axes.grid(alpha=0.3)
    output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output, dpi=PIXELS_PER_INCH)


def _evaluations(run: Path) -> list[dict[str, Any]]:
    evaluations = RunDirectory(run, fresh=False).evaluations()
    if not evaluations:
        raise ConfigError(f"{run} holds no evaluations: give run directories with at least one, such as runs/quickstart")
    return evaluations


def _draw_curve(axes: Any, evaluations: Sequence[dict[str, Any]], key: str, label: str) -> None:
    points = [(one["wall_s"] / SECONDS_PER_MINUTE, one[key]) for one in evaluations if one[key] is not None]
    axes.plot(*zip(*points, strict=True) if points else ([], []), marker=".", linewidth=1.0, label=label)


def _draw_references(axes: Any, references: ReferenceLaps) -> None:
    axes.set_ylim(0.0, 1.25 * references.original_s)
    for field, name in LINES.items():
        lap_s = getattr(references, field)
        axes.axhline(lap_s, color="0.4", linewidth=0.8, linestyle="--")
        axes.annotate(
            f"{name}, {lap_s:.2f} s",
            (1.0, lap_s),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            fontsize="small",
            color="0.3",
        )


if __name__ == "__main__":
    main()
