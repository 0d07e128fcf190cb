"""Reads a run directory for the page: the config, the summary, the evaluations and TensorBoard's curves."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

from robotini_ray.config import Config, ConfigError, load_config
from robotini_ray.monitor.event_files import Curve, EventFileError, ScalarReader
from robotini_ray.run.program_file import NAME as PROGRAM_FILE_NAME
from robotini_ray.track.track import Track, TrackError, load_track

POINTS_SHOWN = 400
"""Greatest number of points of a curve that the page gets; a chart has no pixels for more."""

CURVES = (
    "training/losses/critic", "training/losses/actor", "training/rates/train_steps_per_s", "training/replay/items",
    "training/rates/waiting_share", "collection/rates/env_steps_per_s", "collection/driving/average_return",
    "collection/driving/crashes", "collection/driving/episodes",
)  # fmt: skip
EVALUATION_FIELDS = (
    "train_step", "wall_s", "env_steps", "average_return", "average_episode_length", "best_lap_s", "median_lap_s",
    "clean_laps", "crashes", "best",
)  # fmt: skip


class RunFiles:
    """Reads a run directory repeatedly, each time only the files that have changed.

    Args:
        directory: The run directory; it need not exist yet.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config: Config | None = None
        self.track: Track | None = None
        self.summary: dict[str, Any] | None = None
        self.summary_at: float | None = None
        self.evaluations: list[dict[str, Any]] = []
        self._problems: dict[str, str] = {}
        self._scalars = ScalarReader(directory / "tensorboard")
        self._versions: dict[str, tuple[int, int]] = {}

    def read_on(self) -> bool:
        """Reads the files that have changed since the last call; returns whether there were any.

        A missing file is not an error. A file that cannot be used is named in the message's ``problem``.
        """
        changed = [self._read_config(), self._read_summary(), self._read_evaluations(), self._read_scalars()]
        return any(changed)

    def redis_url(self) -> str | None:
        """Returns the URL of the Redis server with the cars' live state, from ``program.json``; None if it is not there."""
        try:
            url = json.loads((self.directory / PROGRAM_FILE_NAME).read_text()).get("redis_url")
        except OSError:
            return None
        return str(url) if url else None

    def message(self) -> dict[str, Any]:
        """Returns the page's message about the run, without the cars' state, in JSON types."""
        config = self.config
        return {
            "name": self.directory.name,
            "directory": str(self.directory),
            "exists": self.directory.exists(),
            "problem": "; ".join(self._problems.values()),
            "algorithm": config.agent.algorithm if config else None,
            "track": config.simulator.track if config else None,
            "cars": config.collection.cars if config else None,
            "throttle_high": config.environment.throttle_high if config else None,
            "turn_limit": config.environment.turn_limit if config else None,
            "minutes": config.run.minutes if config else None,
            "replay_capacity": config.replay.capacity if config else None,
            "replay_min_items": config.replay.min_items if config else None,
            "summary": self.summary,
            "summary_at": self.summary_at,
            "evaluations": _thinned(self.evaluations),
            "curves": {name: _shown(curve) for name, curve in self._scalars.curves.items() if name in CURVES},
        }

    def track_message(self) -> dict[str, Any] | None:
        """Returns the page's message about the track: its centre line in metres; None while no config was read."""
        if self.track is None:
            return None
        return {
            "name": self.track.name,
            "length_m": round(self.track.length_m, 2),
            "points": self.track.points.round(4).tolist(),
            "headings_rad": self.track.headings_rad.round(4).tolist(),
            "heights_m": [] if self.track.is_flat else self.track.heights_m.round(3).tolist(),
        }

    def _read_config(self) -> bool:
        path = self.directory / "config.yaml"
        if not self._is_new(path):
            return False
        try:
            self.config = load_config(path, {})
            self.track = load_track(self.config.simulator.track)
            self._problems.pop(path.name, None)
        except (ConfigError, TrackError) as error:
            self._problems[path.name] = str(error)
        return True

    def _read_summary(self) -> bool:
        path = self.directory / "summary.json"
        if not self._is_new(path):
            return False
        self.summary = json.loads(path.read_text())
        self.summary_at = path.stat().st_mtime
        return True

    def _read_evaluations(self) -> bool:
        path = self.directory / "evaluations.jsonl"
        if not self._is_new(path):
            return False
        whole, _, _ = path.read_text().rpartition("\n")  # the last line may still be being written
        self.evaluations = []
        self._problems.pop(path.name, None)
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                self.evaluations.append(_evaluation(json.loads(line)))
            except ValueError:  # a line that a training was writing when it was killed
                self._problems[path.name] = f"line {number} of {path} is not valid JSON and is left out"
        return True

    def _read_scalars(self) -> bool:
        try:
            return self._scalars.read_on()
        except EventFileError as error:
            self._problems["tensorboard"] = str(error)
            return False

    def _is_new(self, path: Path) -> bool:
        try:
            status = path.stat()
        except OSError:
            return False
        version = (status.st_mtime_ns, status.st_size)
        is_new = self._versions.get(path.name) != version
        self._versions[path.name] = version
        return is_new


def _evaluation(line: dict[str, Any]) -> dict[str, Any]:
    laps = line.get("laps") or []
    return {
        **{name: line.get(name) for name in EVALUATION_FIELDS},
        "laps": len(laps),
        "mean_lap_s": round(statistics.fmean(laps), 4) if laps else None,
    }


def _shown(curve: Curve) -> dict[str, list[Any]]:
    return {"steps": _thinned(curve.steps), "values": [float(f"{value:.5g}") for value in _thinned(curve.values)]}


def _thinned(points: list[Any]) -> list[Any]:
    """Returns at most ``POINTS_SHOWN`` of the points, evenly spaced, the newest one included."""
    stride = -(-len(points) // POINTS_SHOWN) or 1
    return points[::-1][::stride][::-1]
