"""A policy at the wheel of one car: camera pictures in, commands out. No sockets, no clock, no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robotini_ray.config import ACTION_SIZE, FEATURES_PER_FRAME
from robotini_ray.environment.controls import car_command
from robotini_ray.environment.observation import READ_BACK_FRAMES, BadFrame, HistoryStack, picture_features
from robotini_ray.policy.numpy_policy import NumpyPolicy

NEUTRAL = 0.0, 0.0


class Pilot:
    """Decides every ``action_repeat`` frames and repeats its command in between, as ``RaceEnvironment`` does in training.

    Call ``begin`` when the car has just joined or a connection was silent, ``put_back`` when the simulator has put it back on
    the track, and ``answer`` for every frame.

    Attributes:
        decisions: taken so far.
    """

    def __init__(self, policy: NumpyPolicy) -> None:
        spec = policy.spec
        self._policy = policy
        self._config = spec.environment()
        self._history = HistoryStack(FEATURES_PER_FRAME, ACTION_SIZE, spec.observation_history, spec.action_history)
        self.decisions = 0
        self.begin()

    def begin(self) -> None:
        """The next frame is the first of an episode."""
        self._settle_frames = 1
        self._state = self._policy.initial_state(1)
        self._action = np.zeros(ACTION_SIZE, np.float32)
        self._pngs: list[bytes] = []
        self._frames = 0

    def put_back(self) -> None:
        """The car stands elsewhere; pictures that are under way still show where it was."""
        self.begin()
        self._settle_frames += READ_BACK_FRAMES

    def answer(self, pngs: Sequence[bytes]) -> tuple[float, float]:
        """Throttle and turn for a frame.

        Args:
            pngs: what has arrived since the last answer, oldest first: at least one picture.
        """
        if self._settle_frames > 0:
            return self._settle(pngs)
        self._pngs += pngs
        self._frames += 1
        if self._frames >= self._config.action_repeat:
            self._decide()
        return car_command(self._action, self._config)

    def _settle(self, pngs: Sequence[bytes]) -> tuple[float, float]:
        self._settle_frames -= 1
        if self._settle_frames > 0:
            return NEUTRAL
        try:
            first = picture_features(pngs[-1:], self._config.image_width)
        except BadFrame:
            self._settle_frames = 1
            return NEUTRAL
        self._act(self._history.reset(first))
        return car_command(self._action, self._config)

    def _decide(self) -> None:
        """The next action; the last one goes on for a frame where this one is no picture."""
        try:
            newest = picture_features(self._pngs if self._config.merge_frames else self._pngs[-1:], self._config.image_width)
        except BadFrame:
            return
        self._act(self._history.push(newest, self._action))

    def _act(self, observation: np.ndarray) -> None:
        actions, self._state = self._policy.act(observation[None], self._state)
        self._action = actions[0]
        self._pngs.clear()
        self._frames = 0
        self.decisions += 1
