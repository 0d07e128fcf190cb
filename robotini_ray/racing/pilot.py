"""Drives one car with a policy: camera pictures in, commands out. Uses no sockets, no clock and no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence

from robotini_ray.environment.decision_cycle import DecisionCycle
from robotini_ray.environment.observation import LATENCY_FRAMES, BadFrame
from robotini_ray.policy.numpy_policy import NumpyPolicy


class Pilot:
    """Answers every frame of one car with the command of a policy.

    Call ``begin`` when the car has just joined or its connection was silent, ``put_back`` when the simulator has put the car
    back on the track, and ``answer`` for every frame.

    Args:
        policy: The policy; its spec says how often it decides and what it observes.
        latency_frames: See ``DecisionCycle``; by default that of the standard camera.

    Attributes:
        decisions: The number of decisions so far.
    """

    def __init__(self, policy: NumpyPolicy, latency_frames: int = LATENCY_FRAMES) -> None:
        self._policy = policy
        self._cycle = DecisionCycle(policy.spec.environment(), latency_frames)
        self._state = policy.initial_state(1)
        self.decisions = 0

    def begin(self) -> None:
        """Makes the next frame the first of an episode."""
        self._cycle.begin()
        self._state = self._policy.initial_state(1)

    def put_back(self) -> None:
        """Begins an episode elsewhere: pictures that are under way still show the earlier place."""
        self._cycle.put_back()
        self._state = self._policy.initial_state(1)

    def answer(self, pngs: Sequence[bytes]) -> tuple[float, float]:
        """Returns throttle and turn for a frame; if its picture cannot be decoded, the last command is repeated.

        Args:
            pngs: The pictures since the last answer, oldest first; at least one.
        """
        try:
            observation = self._cycle.take(pngs)
        except BadFrame:
            observation = None
        if observation is not None:
            actions, self._state = self._policy.act(observation[None], self._state)
            self._cycle.decide(actions[0])
            self.decisions += 1
        return self._cycle.command
