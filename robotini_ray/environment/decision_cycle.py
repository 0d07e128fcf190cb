"""Defines the decision cycle of one car: it takes frames and returns an observation whenever an action is due.

Training, evaluation, the bot and the demo all use this one class, so a policy receives the same observations everywhere. It
has no sockets, no clock and no TensorFlow::

    settle: frames that still show an earlier place -> first observation -> action
    repeat: the action answers ``action_repeat`` frames
    decide: the newest frame -> next observation -> next action
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from robotini_ray.config import ACTION_SIZE, FEATURES_PER_FRAME, EnvironmentConfig
from robotini_ray.environment.controls import car_command
from robotini_ray.environment.observation import LATENCY_FRAMES, HistoryStack, picture_features

NEUTRAL = 0.0, 0.0
"""Throttle and turn of a car that stands still."""


class DecisionCycle:
    """The observations of one car and the action under way.

    Args:
        config: Observation, history and actions.
        latency_frames: The largest latency that the car's camera may have: the frames after a put-back that may still show the
            earlier place.

    Attributes:
        action: The action under way ``<float32>[2]`` in [-1, 1]; zeros before the first.
        observation: The newest observation ``<float32>[observation_size]``; zeros before the first.
        frames: The frames that the decision under way has lasted so far.
    """

    def __init__(self, config: EnvironmentConfig, latency_frames: int = LATENCY_FRAMES) -> None:
        self._config = config
        self._latency_frames = latency_frames
        self._history = HistoryStack(FEATURES_PER_FRAME, ACTION_SIZE, config.observation_history, config.action_history)
        self.action = np.zeros(ACTION_SIZE, np.float32)
        self._settle_frames = 1
        self._pngs: list[bytes] = []
        self.observation = np.zeros(config.observation_size, np.float32)
        self.frames = 0

    @property
    def settling(self) -> bool:
        """True while the next observation is the first of an episode."""
        return self._settle_frames > 0

    @property
    def command(self) -> tuple[float, float]:
        """Throttle and turn that answer the newest frame; neutral while the cycle settles."""
        return NEUTRAL if self.settling else car_command(self.action, self._config)

    def begin(self) -> None:
        """Makes the next frame the first of an episode."""
        self._settle_frames = 1
        self.decide(np.zeros(ACTION_SIZE, np.float32))

    def put_back(self) -> None:
        """Begins an episode elsewhere on the track: the frames that are under way still show the earlier place."""
        self.begin()
        self._settle_frames += self._latency_frames

    def take(self, pngs: Sequence[bytes]) -> NDArray[np.float32] | None:
        """Processes the pictures that have arrived for one frame.

        Args:
            pngs: The pictures since the last call, oldest first; at least one.

        Returns:
            The new observation if an action is due, to be answered with ``decide``; else None.

        Raises:
            BadFrame: An observation is due but its picture cannot be decoded. The decision lasts one frame longer.
        """
        if self.settling:
            return self._settle(pngs)
        self._pngs += pngs
        self.frames += 1
        if self.frames < self._config.action_repeat:
            return None
        newest = picture_features(self._pngs if self._config.merge_frames else self._pngs[-1:], self._config.image_width)
        self.observation = self._history.push(newest, self.action)
        return self.observation

    def decide(self, action: NDArray[np.float32]) -> None:
        """Begins a decision with an action ``<float32>[2]`` in [-1, 1]."""
        self.action = action
        self.frames = 0
        self._pngs.clear()

    def _settle(self, pngs: Sequence[bytes]) -> NDArray[np.float32] | None:
        if self._settle_frames > 1:
            self._settle_frames -= 1
            return None
        first = picture_features(pngs[-1:], self._config.image_width)
        self._settle_frames = 0
        self.observation = self._history.reset(first)
        return self.observation
