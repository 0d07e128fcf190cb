"""Computes the rewards of time steps from the car's states, as named terms whose sum is the reward.

A reward depends on nothing but the states. Both rewards implement ``Reward``: ``reset(state)`` first, then ``step(states)``
with every state during the step, oldest first, one per camera frame (see ``Spectator.take_states``). Times are game time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Protocol

from robotini_ray.car.state import CarState
from robotini_ray.track.track import Track

RewardTerms = dict[str, float]


class Reward(Protocol):
    """Computes the rewards of one car, step by step."""

    def reset(self, state: CarState) -> None:
        """Begins an episode in ``state``."""

    def step(self, states: Sequence[CarState]) -> RewardTerms:
        """Returns the terms of one step.

        Args:
            states: The states during the step, oldest first; without any, all terms are 0.

        Raises:
            RuntimeError: ``reset`` has not been called.
        """


class OriginalReward:
    """The reward of the original trainer (robotini-ddpg), for reporting and for comparison.

    Its steps were single camera frames. Here every frame of a step is rewarded like one of its steps, so that an episode's
    return does not depend on the number of frames per decision; only a crash counts at most once per step.

    The terms, with the weights as published::

        segment    +0.2 when the segment becomes the previous one + 1; 0 for reaching segment 0, across the line or from -1.
        quick      +1/t in addition if that segment took t < 1 s (t is at least 0.01 s), measured since the last segment
                   reached in order (the line included) or since the episode's start.
        crash      -2.5 (1 + speed), with the speed after the contact in m/s.
        wrong_way  -10 (angle - 100) / 100 in every frame with a track angle above 100 degrees, once a segment was crossed.
        back       -10 in the frame in which the segment decreases by one.

    Args:
        num_segments: The track's number of segments, from ``RaceParameters``.
    """

    def __init__(self, num_segments: int) -> None:
        self._num_segments = num_segments
        self._previous: CarState | None = None
        self._segment_began_s = 0.0

    def reset(self, state: CarState) -> None:
        """Begins an episode in ``state``; the time of its first segment counts from there."""
        self._previous = state
        self._segment_began_s = state.game_time_s

    def step(self, states: Sequence[CarState]) -> RewardTerms:
        """Returns the terms ``segment``, ``quick``, ``crash``, ``wrong_way`` and ``back``."""
        terms = {"segment": 0.0, "quick": 0.0, "crash": 0.0, "wrong_way": 0.0, "back": 0.0}
        for state in states:
            if self._previous is None:
                raise RuntimeError("step() was called before reset(): it needs the episode's first state")
            self._pay_segment(self._previous, state, terms)
            if state.crashes > self._previous.crashes and not terms["crash"]:
                terms["crash"] = -2.5 * (1.0 + state.speed_m_s)
            if state.track_segment >= 0 and state.track_angle_deg > 100.0:
                terms["wrong_way"] -= 10.0 * (state.track_angle_deg - 100.0) / 100.0
            self._previous = state
        return terms

    def _pay_segment(self, previous: CarState, state: CarState, terms: RewardTerms) -> None:
        if state.track_segment == (previous.track_segment + 1) % self._num_segments:
            took_s = max(0.01, state.game_time_s - self._segment_began_s)
            self._segment_began_s = state.game_time_s
            if state.track_segment > 0:
                terms["segment"] += 0.2
                terms["quick"] += 1.0 / took_s if took_s < 1.0 else 0.0
        elif 0 <= state.track_segment == previous.track_segment - 1:
            terms["back"] -= 10.0


@dataclasses.dataclass(frozen=True)
class ProgressWeights:
    """The weights of the terms of ``ProgressReward``."""

    progress_per_m: float = 1.0
    crash_penalty: float = 2.0
    wall_per_s: float = 0.0
    """The penalty for each second with the car's centre more than 0.38 m from the centre line.

    At that distance the car's side touches the wall.
    """


class ProgressReward:
    """A dense reward for training: metres along the track's centre line, minus crashes.

    The terms::

        progress   progress_per_m times the arc length gained on the centre line in m, negative when the car goes back;
                   being put back on the track adds nothing.
        crash      -crash_penalty (1 + speed), with the speed after the contact in m/s, at most once per step.
        wall       -wall_per_s times the seconds at a wall.

    Args:
        track: The track that the car drives on.
        weights: The weights of the terms.
    """

    WALL_OFFSET_M = 0.38

    def __init__(self, track: Track, weights: ProgressWeights) -> None:
        self._track = track
        self._weights = weights
        self._previous: CarState | None = None
        self._arc_m = 0.0

    def reset(self, state: CarState) -> None:
        """Begins an episode in ``state``; progress is measured from there."""
        self._previous = state
        self._arc_m = self._track.locate(state.x, state.z, y=state.y).arc_m

    def step(self, states: Sequence[CarState]) -> RewardTerms:
        """Returns the terms ``progress``, ``crash`` and ``wall``."""
        terms = {"progress": 0.0, "crash": 0.0, "wall": 0.0}
        for state in states:
            if self._previous is None:
                raise RuntimeError("step() was called before reset(): it needs the episode's first state")
            self._pay_state(self._previous, state, terms)
            self._previous = state
        return terms

    def _pay_state(self, previous: CarState, state: CarState, terms: RewardTerms) -> None:
        weights = self._weights
        was_put_back = state.returns != previous.returns
        place = self._track.locate(state.x, state.z, None if was_put_back else self._arc_m, y=state.y)
        if not was_put_back:
            terms["progress"] += weights.progress_per_m * self._arc_gained_m(place.arc_m)
        self._arc_m = place.arc_m
        if state.crashes > previous.crashes and not terms["crash"]:
            terms["crash"] = -weights.crash_penalty * (1.0 + state.speed_m_s)
        if abs(place.offset_m) > self.WALL_OFFSET_M:
            terms["wall"] -= weights.wall_per_s * (state.game_time_s - previous.game_time_s)

    def _arc_gained_m(self, arc_m: float) -> float:
        """Returns the distance from the last place to ``arc_m`` in metres, the shorter way round the closed line."""
        length_m = self._track.length_m
        return (arc_m - self._arc_m + length_m / 2) % length_m - length_m / 2
