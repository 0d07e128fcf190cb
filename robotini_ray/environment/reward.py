"""What a step is paid: named terms whose sum is the reward. Pure functions of the states that a step went through.

Both rewards have the interface `reset(state)`, then `step(states)` with every state seen during the step, oldest first
(one a camera frame; see `Spectator.take_states`). Times are game time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Protocol

from robotini_ray.car.state import CarState
from robotini_ray.track.track import Track

RewardTerms = dict[str, float]


class Reward(Protocol):
    """Pays one car, step by step."""

    def reset(self, state: CarState) -> None:
        """Begins an episode in `state`."""

    def step(self, states: Sequence[CarState]) -> RewardTerms:
        """The terms of a step through `states`, oldest first; all 0 when there are none."""


class OriginalReward:
    """The reward of the original trainer (robotini-ddpg), for reporting and for comparison.

    Its steps were single camera frames. Here every frame of a step is paid like one of its steps, so that an episode's
    return does not depend on how many frames a decision lasts; only a crash is paid at most once a step.

    Terms, weights as published:
      segment    +0.2 for a segment that is the last one + 1. Reaching segment 0, by the line or from -1, pays nothing.
      quick      +1/t more when that segment took t < 1 s (t at least 0.01 s), since the last segment in order (the line
                 included) or the episode's start.
      crash      -2.5 (1 + speed), with the speed after the contact in m/s.
      wrong_way  -10 (angle - 100) / 100 in every frame with a track angle over 100 degrees, once a segment was crossed.
      back       -10 on the frame in which the segment falls by one.
    """

    def __init__(self, num_segments: int) -> None:
        self._num_segments = num_segments
        self._previous: CarState | None = None
        self._segment_began_s = 0.0

    def reset(self, state: CarState) -> None:
        self._previous = state
        self._segment_began_s = state.game_time_s

    def step(self, states: Sequence[CarState]) -> RewardTerms:
        terms = {"segment": 0.0, "quick": 0.0, "crash": 0.0, "wrong_way": 0.0, "back": 0.0}
        for state in states:
            if self._previous is None:
                raise RuntimeError("step() before reset(): an episode's first state is needed")
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
    """Weights of `ProgressReward`."""

    progress_per_m: float = 1.0
    crash_penalty: float = 2.0
    wall_per_s: float = 0.0
    """Taken for each second spent with the car's centre more than 0.38 m from the centre line, where its side
    touches the wall."""


class ProgressReward:
    """A dense reward for training: metres along the track's centre line, minus crashes.

    Terms:
      progress   progress_per_m times the arc length gained on the centre line, negative when the car goes back.
                 Being put back on the track adds none.
      crash      -crash_penalty (1 + speed), speed after the contact in m/s, at most once a step.
      wall       -wall_per_s times the seconds at a wall.
    """

    WALL_OFFSET_M = 0.38

    def __init__(self, track: Track, weights: ProgressWeights) -> None:
        self._track = track
        self._weights = weights
        self._previous: CarState | None = None
        self._arc_m = 0.0

    def reset(self, state: CarState) -> None:
        self._previous = state
        self._arc_m = self._track.locate(state.x, state.z, y=state.y).arc_m

    def step(self, states: Sequence[CarState]) -> RewardTerms:
        terms = {"progress": 0.0, "crash": 0.0, "wall": 0.0}
        for state in states:
            if self._previous is None:
                raise RuntimeError("step() before reset(): an episode's first state is needed")
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
        """From the last place to `arc_m`, the short way round the closed line."""
        length_m = self._track.length_m
        return (arc_m - self._arc_m + length_m / 2) % length_m - length_m / 2
