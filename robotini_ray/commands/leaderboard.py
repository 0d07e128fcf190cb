"""Implements ``leaderboard``, which compares the best policies of all runs."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from pathlib import Path
from typing import Any

from robotini_ray.config import ConfigError
from robotini_ray.machine.terminal_text import printable
from robotini_ray.machine.text_table import format_table, number
from robotini_ray.policy.policy_files import load_policy
from robotini_ray.policy.policy_spec import PolicyError

HEADER = ("run", "algorithm", "track", "laps", "clean", "crashes", "best s", "median s", "x limit", "train steps")


@dataclasses.dataclass(frozen=True)
class Entry:
    """The best policy of a run and its evaluation, in the form of ``EvaluationResult.to_json``."""

    run: str
    algorithm: str
    track: str
    train_step: int
    evaluation: dict[str, Any]

    def rank(self) -> tuple[float, ...]:
        """Returns a sort key, smaller is better: the crashes, then the median lap as a multiple of the track's limit."""
        ratio = self.evaluation["ratio_to_limit"]
        return (self.evaluation["crashes"], math.inf if ratio is None else ratio)

    def to_json(self) -> dict[str, Any]:
        """Returns the entry as a dictionary of JSON values."""
        return {
            "run": self.run,
            "algorithm": self.algorithm,
            "track": self.track,
            "train_step": self.train_step,
            **self.evaluation,
        }


def run(runs: Path, track: str | None, print_json: bool) -> int:
    """Prints the entries of all runs, best first, as a table or as one line of JSON; returns the exit code, always 0.

    Runs without an evaluated policy are left out and named on standard error.

    Args:
        runs: The directory of the run directories.
        track: The name of the only track to show, or None for all.
        print_json: Whether to print JSON instead of the table.

    Raises:
        ConfigError: There is no such directory.
    """
    if not runs.is_dir():
        raise ConfigError(f"there is no directory {runs}: name the directory that holds the runs with --runs")
    entries = []
    for directory in sorted(path for path in runs.iterdir() if (path / "policies").is_dir()):
        try:
            entry = read_entry(directory)
        except PolicyError as error:
            print(f"left out: {printable(str(error))}", file=sys.stderr)
            continue
        if track in (None, entry.track):
            entries.append(entry)
    entries.sort(key=Entry.rank)
    if print_json:
        print(json.dumps({"results": [entry.to_json() for entry in entries]}, allow_nan=False))
    elif entries:
        print(format_table(HEADER, [_cells(entry) for entry in entries]))
    else:
        print(f"no run in {runs} has an evaluated policy yet")
    return 0


def read_entry(run_dir: Path) -> Entry:
    """Returns the entry of a run: its best policy with the evaluation stored beside it.

    Raises:
        PolicyError: The run has no best policy, or the policy's facts contain no evaluation.
    """
    policy, facts = load_policy(run_dir / "policies" / "best")
    try:
        evaluation = {key: facts["evaluation"][key] for key in _KEYS}
        _check_numbers(evaluation)
        return Entry(run_dir.name, policy.spec.algorithm, policy.spec.track, int(facts["train_step"]), evaluation)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise PolicyError(
            f"{run_dir}/policies/best has no usable evaluation in its facts ({error}): it was not made by a run"
        ) from error


_KEYS = ("laps", "clean_laps", "crashes", "best_lap_s", "median_lap_s", "limit_s", "ratio_to_limit", "average_return")


def _check_numbers(evaluation: dict[str, Any]) -> None:
    """Raises ``TypeError``, ``ValueError`` or ``OverflowError`` if a value is no number, as in a file from elsewhere."""
    if not isinstance(evaluation["laps"], list):
        raise TypeError("laps is not a list")
    may_be_none = ("best_lap_s", "median_lap_s", "ratio_to_limit", "average_return")
    for key, value in evaluation.items():
        for each in value if key == "laps" else [value]:
            if not (each is None and key in may_be_none) and not math.isfinite(each):
                raise ValueError(f"{key} is {each}")


def _cells(entry: Entry) -> tuple[str, ...]:
    found = entry.evaluation
    return (
        entry.run,
        entry.algorithm,
        entry.track,
        str(len(found["laps"])),
        str(found["clean_laps"]),
        str(found["crashes"]),
        number(found["best_lap_s"]),
        number(found["median_lap_s"]),
        number(found["ratio_to_limit"]),
        f"{entry.train_step:,}",
    )
