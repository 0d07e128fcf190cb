"""Reads a run directory for the page: the config, the summary, the evaluations and TensorBoard's curves."""

from __future__ import annotations

import math
import statistics
from pathlib import Path
from typing import Any

import msgspec

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


class DamagedFile(ValueError):
    """A file of the run directory cannot be used; the message is one line for a person."""


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

        A missing file is not an error. A file that cannot be used is named in the message's ``problem``, and what was in it
        before is kept.
        """
        changed = [self._read_config(), self._read_summary(), self._read_evaluations(), self._read_scalars()]
        return any(changed)

    @property
    def problem(self) -> str:
        """The files that cannot be used, each with its reason; empty if there are none."""
        return "; ".join(self._problems.values())

    def redis_url(self) -> str | None:
        """Returns the URL of the Redis server with the cars' live state, from ``program.json``; None if it is not there."""
        path = self.directory / PROGRAM_FILE_NAME
        self._problems.pop(path.name, None)
        try:
            url = _read_object(path).get("redis_url")
        except FileNotFoundError:
            return None
        except DamagedFile as error:
            self._problems[path.name] = str(error)
            return None
        return url if isinstance(url, str) and url else None

    def message(self) -> dict[str, Any]:
        """Returns the page's message about the run, without the cars' state, in JSON types."""
        config = self.config
        return {
            "name": self.directory.name,
            "directory": str(self.directory),
            "exists": self.directory.exists(),
            "problem": self.problem,
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
        try:
            self.summary, self.summary_at = _read_object(path), path.stat().st_mtime
            self._problems.pop(path.name, None)
        except (DamagedFile, FileNotFoundError) as error:
            self._problems[path.name] = str(error)
        return True

    def _read_evaluations(self) -> bool:
        path = self.directory / "evaluations.jsonl"
        if not self._is_new(path):
            return False
        try:
            whole, _, _ = path.read_bytes().rpartition(b"\n")  # the last line may still be being written
        except OSError as error:
            self._problems[path.name] = f"{path} cannot be read: {error.strerror}"
            return True
        self.evaluations = []
        self._problems.pop(path.name, None)
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                self.evaluations.append(_evaluation(msgspec.json.decode(line)))
            except (ValueError, RecursionError):  # such as a line that a training was writing when it was killed
                self._problems[path.name] = f"line {number} of {path} is not an evaluation in JSON and is left out"
        return True

    def _read_scalars(self) -> bool:
        try:
            return self._scalars.read_on()
        except (EventFileError, OSError) as error:
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


def _read_object(path: Path) -> dict[str, Any]:
    """Returns the JSON object in a file.

    Raises:
        FileNotFoundError: There is no such file.
        DamagedFile: The file cannot be read or holds something else.
    """
    try:
        content = msgspec.json.decode(path.read_bytes())
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DamagedFile(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DamagedFile(f"{path} is empty or damaged ({error}); the next write of a training replaces it") from error
    if not isinstance(content, dict):
        raise DamagedFile(f"{path} is damaged: it holds no JSON object; the next write of a training replaces it")
    return content


def _evaluation(line: Any) -> dict[str, Any]:
    """Returns an evaluation as the page shows it, from a line of ``evaluations.jsonl``.

    Raises:
        ValueError: The line holds something else.
    """
    if not isinstance(line, dict):
        raise ValueError("not a JSON object")
    laps = line.get("laps") or []
    fields = {name: line.get(name) for name in EVALUATION_FIELDS}
    numbers = [value for value in fields.values() if value is not None]
    if not isinstance(laps, list) or not all(map(_is_finite, (*laps, *numbers))):
        raise ValueError("not the numbers of an evaluation")
    return {**fields, "laps": len(laps), "mean_lap_s": round(statistics.fmean(laps), 4) if laps else None}


def _is_finite(value: Any) -> bool:
    """Returns whether a value is a number, or a truth value, that a float can hold."""
    try:
        return isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:
        return False


def _shown(curve: Curve) -> dict[str, list[Any]]:
    return {"steps": _thinned(curve.steps), "values": [float(f"{value:.5g}") for value in _thinned(curve.values)]}


def _thinned(points: list[Any]) -> list[Any]:
    """Returns at most ``POINTS_SHOWN`` of the points, evenly spaced, the newest one included."""
    stride = -(-len(points) // POINTS_SHOWN) or 1
    return points[::-1][::stride][::-1]
