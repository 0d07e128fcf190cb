"""Measures a car's laps, crashes and return with the original trainer's reward, whatever reward it is trained on."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from robotini_ray.car.laps import Lap, LapCounter
from robotini_ray.car.state import CarState
from robotini_ray.environment.reward import OriginalReward

ORIGINAL_EPISODE_FRAMES = 2000
"""The longest episode of the original trainer, in camera frames."""


@dataclasses.dataclass(frozen=True)
class OriginalEpisode:
    """An episode as the original trainer counted them: it ends after one lap, after 2,000 frames or when the car is put back.

    Attributes:
        undiscounted_return: The sum of the original trainer's rewards.
        frames: The number of camera frames.
    """

    undiscounted_return: float
    frames: int


def live_state(state: CarState, command: tuple[float, float] | None, score: RaceScore) -> dict[str, Any]:
    """Returns the state, last command and score of a car in JSON types, for the monitor.

    Args:
        state: The car's newest state.
        command: Its last throttle and turn; None if unknown.
        score: Its score.
    """
    throttle, turn = command or (None, None)
    return {**dataclasses.asdict(state), "throttle": throttle, "turn": turn, **score.live()}


class RaceScore:
    """Computes the laps, crashes and returns of one car from its states.

    Finished laps and episodes are kept until ``take`` returns them.

    Args:
        num_segments: The track's number of segments, from ``RaceParameters``.
    """

    def __init__(self, num_segments: int) -> None:
        self.restart(num_segments)
        self.laps: list[Lap] = []
        self.episodes: list[OriginalEpisode] = []
        self.crashes = 0
        self.frames = 0
        self.distance_m = 0.0
        self._lap_count = 0
        self._last_lap_s: float | None = None
        self._best_lap_s: float | None = None
        self._episode = 1

    def restart(self, num_segments: int) -> None:
        """Discards the lap and the episode under way; call it when the next state does not follow the last one.

        Args:
            num_segments: The track's number of segments, from ``RaceParameters``.
        """
        self._last_segment = num_segments - 1
        self._laps = LapCounter(num_segments)
        self._reward = OriginalReward(num_segments)
        self._previous: CarState | None = None
        self._return = 0.0
        self._frames = 0
        self._segment_began_s = 0.0

    def update(self, states: Sequence[CarState]) -> None:
        """Processes the states since the last call, one per world frame, oldest first."""
        for state in states:
            self._take(state)

    def take(self) -> tuple[list[Lap], list[OriginalEpisode]]:
        """Returns the laps and episodes finished since the last call."""
        finished = self.laps, self.episodes
        self.laps, self.episodes = [], []
        return finished

    def live(self) -> dict[str, Any]:
        """Returns the present figures for people, in JSON types; a value that does not exist yet is None.

        Times are seconds of game time. ``return``, ``episode`` and ``step`` are those of the episode under way, as
        ``OriginalEpisode`` counts them.
        """
        now_s = 0.0 if self._previous is None else self._previous.game_time_s
        began_s = self._laps.began_s
        return {
            "return": self._return,
            "episode": self._episode,
            "step": self._frames,
            "segment_time_s": now_s - self._segment_began_s,
            "lap_time_s": None if began_s is None else now_s - began_s,
            "last_lap_s": self._last_lap_s,
            "best_lap_s": self._best_lap_s,
            "laps": self._lap_count,
            "distance_m": self.distance_m,
            "frames": self.frames,
        }

    def _take(self, state: CarState) -> None:
        lap = self._laps.update(state)
        if lap is not None:
            self.laps.append(lap)
            self._lap_count += 1
            self._last_lap_s = lap.time_s
            self._best_lap_s = lap.time_s if self._best_lap_s is None else min(self._best_lap_s, lap.time_s)
        previous, self._previous = self._previous, state
        if previous is None:
            self._segment_began_s = state.game_time_s
            self._begin_episode(state)
            return
        self.frames += 1
        self.crashes += state.crashes - previous.crashes
        if state.track_segment != previous.track_segment:
            self._segment_began_s = state.game_time_s
        self.distance_m += state.speed_m_s * (state.game_time_s - previous.game_time_s)
        self._frames += 1
        self._return += sum(self._reward.step([state]).values())
        crossed_line = previous.track_segment == self._last_segment and state.track_segment == 0
        if crossed_line or state.returns > previous.returns or self._frames >= ORIGINAL_EPISODE_FRAMES:
            self.episodes.append(OriginalEpisode(self._return, self._frames))
            self._episode += 1
            self._begin_episode(state)

    def _begin_episode(self, state: CarState) -> None:
        self._reward.reset(state)
        self._return = 0.0
        self._frames = 0
