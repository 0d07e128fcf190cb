"""Defines the reports that the parts of a run exchange with each other and the launcher: plain data, without TensorFlow."""

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
"""The state of a car's connection."""
LIFE = 10**10
"""Number of weight versions reserved for one life of the learner: more than a run has train steps."""

ACTION_BINS = 20
"""Number of histogram bins for actions in [-1, 1]."""


def weights_version(life: int, train_step: int) -> int:
    """Returns the version of the weights of a train step.

    A learner that has returned to its checkpoint begins another life, so versions never go down, though train steps may.

    Args:
        life: Number of earlier lives of the learner in this program.
        train_step: The train step.
    """
    return life * LIFE + train_step


def train_step_of(version: int) -> int:
    """Returns the train step of a version of the weights; -1, which stands for no weights yet, is returned as it is."""
    return version % LIFE if version >= 0 else version


@dataclasses.dataclass(frozen=True)
class CarSeat:
    """The settings of one car of a collector.

    Attributes:
        name: The name under which the car logs in.
        color: The car's colour, ``#RRGGBB``.
        noise_stddev: Standard deviation of its exploration noise, for actions in [-1, 1].
        seed: Seed of its random numbers.
    """

    name: str
    color: str
    noise_stddev: float
    seed: int


@dataclasses.dataclass
class CollectorReport:
    """A collector's activity since its last report; states such as rates, ages and the weights' version are the newest."""

    env_steps: int = 0
    """Camera frames acted on, repeats of an action included."""
    decisions: int = 0
    items: int = 0
    """Items written to replay."""
    crashes: int = 0
    reconnect_causes: dict[str, int] = dataclasses.field(default_factory=dict)
    """Number of cars' connections that were given up, by cause like the faults."""
    faults: dict[str, int] = dataclasses.field(default_factory=lambda: dict.fromkeys(FAULTS, 0))
    """Number of faults by cause, see ``car.errors.FAULTS``."""
    frames_per_s: float = 0.0
    """Camera frames per second of wall time and car, averaged over the connected cars."""
    late_share: float = 0.0
    """Share of frames that came late, see ``car.frame_meter``."""
    frames: int = 0
    """Camera frames received."""
    late_frames: int = 0
    frame_age_s: float = 0.0
    """Longest time that a car has waited for its next camera frame."""
    actions: list[list[int]] = dataclasses.field(default_factory=lambda: no_actions())
    """Counts of throttle and of turn in ``ACTION_BINS`` bins each, exploration noise included."""
    laps: list[Lap] = dataclasses.field(default_factory=list)
    episodes: list[OriginalEpisode] = dataclasses.field(default_factory=list)
    weights_version: int = -1
    weights_age_s: float = 0.0
    """Wall time since the collector received the weights that it uses."""
    paused: bool = False

    @property
    def reconnects(self) -> int:
        """Number of cars' connections that were given up."""
        return sum(self.reconnect_causes.values())

    def add_action(self, action: Iterable[float]) -> None:
        """Counts one action: throttle and turn, each in [-1, 1]."""
        for counts, value in zip(self.actions, action, strict=True):
            counts[min(int((value + 1.0) * (0.5 * ACTION_BINS)), ACTION_BINS - 1)] += 1


def no_actions() -> list[list[int]]:
    """Returns counts of actions that are all 0: ``ACTION_BINS`` counts for each component of an action."""
    return [[0] * ACTION_BINS for _ in range(ACTION_SIZE)]


@dataclasses.dataclass(frozen=True)
class ReplayState:
    """The state of the replay table and of its rate limiter.

    Attributes:
        items: Items in the table.
        inserted: Items inserted so far.
        sampled: Items sampled so far.
        capacity: Items that fit into the table.
        min_items: Items in the table from which on it can be sampled.
        samples_per_item: Upper limit of samples per inserted item.
    """

    items: int
    inserted: int
    sampled: int
    capacity: int
    min_items: int
    samples_per_item: float

    @property
    def ratio(self) -> float:
        """Mean number of times that an item has been trained on so far, at most ``samples_per_item``."""
        return self.sampled / self.inserted if self.inserted else 0.0

    def allows(self, samples: int) -> bool:
        """Returns whether ``samples`` more samples can be drawn without waiting."""
        return self.items >= self.min_items and self.sampled + samples <= self.inserted * self.samples_per_item


@dataclasses.dataclass(frozen=True)
class ReplayReport:
    """The replay server's address, ``HOST:PORT``, and warnings about checkpoints that it could not start from."""

    address: str
    warnings: list[str]

    @property
    def port(self) -> int:
        """The port of the address."""
        return int(self.address.rpartition(":")[2])


@dataclasses.dataclass(frozen=True)
class LearnerReport:
    """The progress and state of the learner.

    Attributes:
        train_step: Train steps done in the whole run.
        train_steps_per_s: Train steps per second of wall time since the last report.
        replay: The newest known state of replay.
        waiting_share: Share of wall time since the last report in which the learner had no data to train on.
        losses: The newest losses by name.
        waiting_for: What the learner waits for at present, for people; empty while it trains.
        leaving: Whether the learner has received SIGTERM; it ends after its next checkpoint.
        warnings: Lines for people about checkpoints that it could not start from.
    """

    train_step: int
    train_steps_per_s: float
    replay: ReplayState
    waiting_share: float
    losses: dict[str, float]
    waiting_for: str = ""
    leaving: bool = False
    warnings: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class EvaluationResult:
    """The result of one car in one evaluation.

    Attributes:
        laps: Flying laps in the order driven.
        crashes: Number of contacts with walls.
        episodes: One-lap episodes as the original trainer counted them. The first one began on the grid and so is only part
            of a lap; it is included only if there is no other.
        env_steps: Camera frames of the evaluation.
        distance_m: Distance driven, in metres.
    """

    laps: list[Lap]
    crashes: int
    episodes: list[OriginalEpisode]
    env_steps: int
    distance_m: float

    @property
    def clean_laps(self) -> int:
        """Number of laps without contact with a wall."""
        return sum(lap.clean for lap in self.laps)

    @property
    def best_lap_s(self) -> float | None:
        """Time of the fastest lap, in seconds of game time; None without a lap."""
        return min((lap.time_s for lap in self.laps), default=None)

    @property
    def median_lap_s(self) -> float | None:
        """Median lap time, in seconds of game time; None without a lap."""
        return statistics.median(lap.time_s for lap in self.laps) if self.laps else None

    @property
    def returns(self) -> list[float]:
        """Undiscounted return of each episode, with the original trainer's reward."""
        return [episode.undiscounted_return for episode in self.episodes]

    @property
    def average_return(self) -> float | None:
        """Mean of ``returns``; None without an episode."""
        return statistics.fmean(self.returns) if self.episodes else None

    @property
    def average_episode_length(self) -> float | None:
        """Mean length of the episodes, in camera frames; None without an episode."""
        return statistics.fmean(episode.frames for episode in self.episodes) if self.episodes else None

    @property
    def average_speed_m_s(self) -> float | None:
        """Distance driven divided by game time; None without a frame."""
        return self.distance_m * FRAMES_PER_SECOND / self.env_steps if self.env_steps else None

    def rank(self) -> tuple[float, float, float, float]:
        """Returns a key for comparing results, greater for the better one.

        More clean laps are better, then fewer crashes, then the shorter median lap, then the greater average return.
        """
        never = float("inf")
        return (
            self.clean_laps,
            -self.crashes,
            -(self.median_lap_s if self.median_lap_s is not None else never),
            self.average_return if self.average_return is not None else -never,
        )

    def to_json(self, limit_s: float) -> dict[str, Any]:
        """Returns the result in JSON types; a value that does not exist is None.

        Args:
            limit_s: The track's lap limit, in seconds.
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
    """The evaluation of one policy.

    Attributes:
        version: Train step of the evaluated weights.
        result: The result of the drive.
        best: Whether this is the best policy of the run so far.
        last_lap_png: Camera pictures of the last lap side by side, as one PNG; empty if no lap was finished.
    """

    version: int
    result: EvaluationResult
    best: bool
    last_lap_png: bytes = b""

    def scalars(self) -> dict[str, float]:
        """Returns the scalars for TensorBoard by ``GROUP/NAME``; a value that does not exist is left out."""
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
