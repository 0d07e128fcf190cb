"""What the parts of a run tell each other and the launcher: plain data, importable without TensorFlow."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterable
from typing import Any, Literal

from robotini_ray.car.errors import FAULTS
from robotini_ray.car.laps import Lap
from robotini_ray.config import ACTION_SIZE, FRAMES_PER_SECOND
from robotini_ray.environment.score import OriginalEpisode

ConnectionState = Literal["driving", "stalled", "reconnecting"]
"""What a car is doing, as far as its connection tells."""
LIFE = 10**10
"""Versions of the weights in one life of the learner: more than a run has train steps."""

ACTION_BINS = 20
"""Bins that actions in [-1, 1] are counted in."""


def weights_version(life: int, train_step: int) -> int:
    """The version of the weights of a train step; a learner that has gone back to its checkpoint begins another life.

    So versions never go down, though train steps may.
    """
    return life * LIFE + train_step


def train_step_of(version: int) -> int:
    """The train step that a version of the weights is of; -1, for no weights yet, stays."""
    return version % LIFE if version >= 0 else version


@dataclasses.dataclass(frozen=True)
class CarSeat:
    """One car of a collector."""

    name: str
    color: str
    noise_stddev: float
    seed: int


@dataclasses.dataclass
class CollectorReport:
    """What has happened since the last report."""

    env_steps: int = 0
    decisions: int = 0
    items: int = 0
    crashes: int = 0
    reconnect_causes: dict[str, int] = dataclasses.field(default_factory=dict)
    """Connections of cars that were given up, counted by cause like the faults."""
    faults: dict[str, int] = dataclasses.field(default_factory=lambda: dict.fromkeys(FAULTS, 0))
    """Counts by cause, see ``car.errors.FAULTS``."""
    frames_per_s: float = 0.0
    """Camera frames of one car a second of wall time, the mean of those connected."""
    late_share: float = 0.0
    """Share of frames that came late, see ``car.frame_meter``."""
    frames: int = 0
    """Camera frames that have come."""
    late_frames: int = 0
    frame_age_s: float = 0.0
    """Age of the newest camera frame of the car that has waited longest for the next one."""
    actions: list[list[int]] = dataclasses.field(default_factory=lambda: no_actions())
    """How often throttle and turn were in each of ``ACTION_BINS``, noise included."""
    laps: list[Lap] = dataclasses.field(default_factory=list)
    episodes: list[OriginalEpisode] = dataclasses.field(default_factory=list)
    weights_version: int = -1
    weights_age_s: float = 0.0
    """Wall time since the weights that are driven with came."""
    paused: bool = False

    @property
    def reconnects(self) -> int:
        """Connections of cars that were given up."""
        return sum(self.reconnect_causes.values())

    def add_action(self, action: Iterable[float]) -> None:
        """Counts one action in [-1, 1]."""
        for counts, value in zip(self.actions, action, strict=True):
            counts[min(int((value + 1.0) * (0.5 * ACTION_BINS)), ACTION_BINS - 1)] += 1


def no_actions() -> list[list[int]]:
    """Counts of actions before there were any."""
    return [[0] * ACTION_BINS for _ in range(ACTION_SIZE)]


@dataclasses.dataclass(frozen=True)
class ReplayState:
    """What the table holds, and what its limiter allows."""

    items: int
    inserted: int
    sampled: int
    capacity: int
    min_items: int
    samples_per_item: float

    @property
    def ratio(self) -> float:
        """How often an item has been trained on so far, on average: ``samples_per_item`` or less."""
        return self.sampled / self.inserted if self.inserted else 0.0

    def allows(self, samples: int) -> bool:
        """Whether so many more samples can be drawn without waiting."""
        return self.items >= self.min_items and self.sampled + samples <= self.inserted * self.samples_per_item


@dataclasses.dataclass(frozen=True)
class ReplayReport:
    """Where the replay server listens, and what was wrong with the checkpoints that it started from."""

    address: str
    warnings: list[str]

    @property
    def port(self) -> int:
        """The port of the address."""
        return int(self.address.rpartition(":")[2])


@dataclasses.dataclass(frozen=True)
class LearnerReport:
    """Where the learner is; ``waiting_share`` is the share of wall time without data to train on.

    ``waiting_for`` says for what it waits right now; it is empty while it trains. One that is ``leaving`` has been sent SIGTERM
    and ends after its next checkpoint.
    """

    train_step: int
    train_steps_per_s: float
    replay: ReplayState
    waiting_share: float
    losses: dict[str, float]
    waiting_for: str = ""
    leaving: bool = False


@dataclasses.dataclass(frozen=True)
class EvaluationResult:
    """What one car did in one evaluation.

    Attributes:
        laps: flying laps in the order driven.
        crashes: walls touched.
        episodes: one-lap episodes as the original trainer counted them; the first, which began on the grid and so is part
            of a lap, only where there is no other.
        env_steps: camera frames.
        distance_m: way driven.
    """

    laps: list[Lap]
    crashes: int
    episodes: list[OriginalEpisode]
    env_steps: int
    distance_m: float

    @property
    def clean_laps(self) -> int:
        """Laps without a touch of the wall."""
        return sum(lap.clean for lap in self.laps)

    @property
    def best_lap_s(self) -> float | None:
        """The fastest lap."""
        return min((lap.time_s for lap in self.laps), default=None)

    @property
    def median_lap_s(self) -> float | None:
        """The median lap."""
        return statistics.median(lap.time_s for lap in self.laps) if self.laps else None

    @property
    def returns(self) -> list[float]:
        """Undiscounted original return of each episode."""
        return [episode.undiscounted_return for episode in self.episodes]

    @property
    def average_return(self) -> float | None:
        """Mean of ``returns``."""
        return statistics.fmean(self.returns) if self.episodes else None

    @property
    def average_episode_length(self) -> float | None:
        """Mean length of the episodes in camera frames."""
        return statistics.fmean(episode.frames for episode in self.episodes) if self.episodes else None

    @property
    def average_speed_m_s(self) -> float | None:
        """Way driven by game time."""
        return self.distance_m * FRAMES_PER_SECOND / self.env_steps if self.env_steps else None

    def rank(self) -> tuple[float, float, float, float]:
        """Greater is better: most clean laps, then fewest crashes, then the median lap, then the return."""
        never = float("inf")
        return (
            self.clean_laps,
            -self.crashes,
            -(self.median_lap_s if self.median_lap_s is not None else never),
            self.average_return if self.average_return is not None else -never,
        )

    def to_json(self, limit_s: float) -> dict[str, Any]:
        """Plain numbers; None where there is nothing to tell.

        Args:
            limit_s: the track's lap limit.
        """
        median = self.median_lap_s
        return {
            "episodes": len(self.episodes),
            "laps": [round(lap.time_s, 4) for lap in self.laps],
            "best_lap_s": self.best_lap_s,
            "median_lap_s": median,
            "clean_laps": self.clean_laps,
            "crashes": self.crashes,
            "average_return": self.average_return,
            "average_episode_length": self.average_episode_length,
            "average_speed_m_s": self.average_speed_m_s,
            "limit_s": limit_s,
            "ratio_to_limit": None if median is None else median / limit_s,
        }


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The result of one version of the weights."""

    version: int
    result: EvaluationResult
    best: bool
    last_lap_png: bytes = b""
    """What the camera saw on the last lap as a strip of pictures; empty where no lap was finished."""

    def scalars(self) -> dict[str, float]:
        """For TensorBoard; what there was none of is left out."""
        result = self.result
        found: dict[str, float | None] = {
            "episodes/average_return": result.average_return,
            "episodes/min_return": min(result.returns, default=None),
            "episodes/max_return": max(result.returns, default=None),
            "episodes/average_frames": result.average_episode_length,
            "laps/best_s": result.best_lap_s,
            "laps/median_s": result.median_lap_s,
            "laps/clean": result.clean_laps,
            "laps/crashes": result.crashes,
        }
        return {name: value for name, value in found.items() if value is not None}
