"""One car as a TF-Agents environment: actions in, camera observations and rewards out, on the simulator's clock."""

from __future__ import annotations

import select
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tf_agents.environments import py_environment
from tf_agents.specs import array_spec
from tf_agents.trajectories import time_step as ts

from robotini_ray.car.address import SimulatorAddress
from robotini_ray.car.connection import CarConnection, Login, wait_readable
from robotini_ray.car.errors import SpectatorLost, TrackMismatch
from robotini_ray.car.spectator import Spectator
from robotini_ray.car.state import CarState
from robotini_ray.config import ACTION_SIZE, FEATURES_PER_FRAME, EnvironmentConfig
from robotini_ray.environment.controls import car_command
from robotini_ray.environment.observation import READ_BACK_FRAMES, BadFrame, HistoryStack, picture_features
from robotini_ray.environment.privileged import PrivilegedView
from robotini_ray.environment.reward import OriginalReward, ProgressReward, ProgressWeights, Reward
from robotini_ray.environment.score import RaceScore
from robotini_ray.track import Track

LOCKSTEP_TIMEOUT_S = 120.0
"""Longest wait for a frame in lock-step, where the world may stand still for other cars."""

REALTIME_TIMEOUT_S = 10.0
"""Longest wait for a frame of a simulator that runs by itself."""

STATE_TIMEOUT_S = 5.0
"""Longest wait for the state that belongs to a frame that has arrived."""


class RaceEnvironment(py_environment.PyEnvironment):
    """One car on one simulator.

    ``step`` and ``reset`` block, as TF-Agents' drivers expect. A collector that drives several cars uses the halves they
    are made of instead: ``begin_episode`` and ``begin_decision`` send and return at once, ``advance`` takes in the frame
    that has arrived and answers it; a decision lasts ``action_repeat`` frames, so only every so many calls of ``advance``
    return a time step::

        step = environment.begin_episode() or wait(environment)       # wait: advance() until it returns a time step
        while True:
            environment.begin_decision(policy(step.observation))
            step = wait(environment)
            if step.is_last():
                step = environment.begin_episode() or wait(environment)

    An episode ends by termination (discount 0) when the simulator has put the car back on the track, and by truncation
    (discount 1) after ``episode_laps`` or ``episode_frames``; after a truncation the car drives on, and the next episode
    begins with the frame that ended the last. A frame that cannot be decoded is waited over, never learned from.

    Args:
        config: observation, actions, reward and episodes.
        track: the track that the simulator drives on.
        address: of the simulator.
        login: the car's name, and whether the simulator waits for it (lock-step).
        spectator: the simulator's event stream; may be shared by the cars of one process.

    Raises:
        CarError: the simulator cannot be reached, refuses the car or is lost; every blocking call is limited in time.
        TrackMismatch: the simulator drives on another track.
    """

    def __init__(
        self, config: EnvironmentConfig, track: Track, address: SimulatorAddress, login: Login, spectator: Spectator
    ) -> None:
        super().__init__(handle_auto_reset=True)
        self._config = config
        self._track = track
        self._address = address
        self._login = login
        self._frame_timeout_s = LOCKSTEP_TIMEOUT_S if login.lockstep else REALTIME_TIMEOUT_S
        self._history = HistoryStack(FEATURES_PER_FRAME, ACTION_SIZE, config.observation_history, config.action_history)
        self._action = np.zeros(ACTION_SIZE, np.float32)
        self._observation = np.zeros(config.observation_size, np.float32)
        self.last_png = b""
        self.connect(spectator)

    def connect(self, spectator: Spectator) -> None:
        """Joins the track, for the first time or again after a lost connection; the next call is ``begin_episode``."""
        self._spectator = spectator
        parameters = _race_parameters(spectator, self._track)
        self.num_segments = int(parameters["numSegments"])
        self.score = RaceScore(self.num_segments)
        self._reward = self._make_reward()
        self._privileged = PrivilegedView(self._track)
        spectator.follow(self._login.name)
        self._connection = CarConnection.connect(self._address.host, self._address.car_port, self._login)
        self._state: CarState | None = None
        self._previous_segment = -1
        self._afresh = True
        self._settle_frames = 1
        self._decision_frames = 0
        self._pngs: list[bytes] = []

    @property
    def config(self) -> EnvironmentConfig:
        """Observation, actions, reward and episodes."""
        return self._config

    @property
    def name(self) -> str:
        """The car's name on the track."""
        return self._login.name

    @property
    def state(self) -> CarState | None:
        """The car's newest state."""
        return self._state

    def fileno(self) -> int:
        """Readable when ``advance`` would not wait."""
        return self._connection.fileno()

    def observation_spec(self) -> array_spec.ArraySpec:
        """``<float32>[observation_size]``, see ``HistoryStack``."""
        return array_spec.ArraySpec((self._config.observation_size,), np.float32, "observation")

    def action_spec(self) -> array_spec.BoundedArraySpec:
        """``<float32>[2]``: throttle from ``throttle_low`` to ``throttle_high`` and turn (+1 full left), in [-1, 1]."""
        return array_spec.BoundedArraySpec((ACTION_SIZE,), np.float32, -1.0, 1.0, "action")

    def begin_episode(self) -> ts.TimeStep | None:
        """Starts an episode where the car is.

        Returns:
            The FIRST time step, or None when frames must pass before one shows the car's place (it has just joined or been
            put back): then ``advance`` returns it. The car stands still meanwhile.
        """
        if self._afresh:
            if self._state is not None:
                self._send_neutral()
            return None
        return self._first()

    def begin_decision(self, action: NDArray[np.float32]) -> None:
        """Answers the newest frame with an action ``<float32>[2]``, which lasts for ``action_repeat`` frames."""
        self._action = action
        self._decision_frames = 0
        self._decision_states: list[CarState] = []
        self._pngs.clear()
        self._send_action()

    def advance(self) -> ts.TimeStep | None:
        """Takes in the next frame, waiting for it if need be; answers it unless a decision is due.

        Returns:
            The time step that is due, or None.
        """
        pngs = self._connection.receive(self._frame_timeout_s)
        states = self._take_states()
        if self._afresh:
            return self._settle(pngs)
        self._pngs += pngs
        self._decision_states += states
        self._decision_frames += 1
        frame = None
        if self._decision_frames >= self._config.action_repeat:
            frame = self._decode(self._pngs if self._config.merge_frames else self._pngs[-1:])
        if frame is not None:
            return self._finish_decision(frame)
        if self._was_put_back():  # the action was not meant for the place where the car is now
            self._send_neutral()
        else:
            self._send_action()  # again: the decision goes on, one frame longer where the last was no picture
        return None

    def privileged(self) -> NDArray[np.float32]:
        """What only a critic may see of the car as it is now, when the newest time step is answered; see ``PrivilegedView``."""
        assert self._state is not None
        return self._privileged.describe(self._state)

    def close(self) -> None:
        """Stops the car and leaves the track."""
        self._connection.close()

    def _step(self, action: NDArray[np.float32]) -> ts.TimeStep:
        self.begin_decision(np.asarray(action, np.float32))
        return self._wait()

    def _reset(self) -> ts.TimeStep:
        return self.begin_episode() or self._wait()

    def _wait(self) -> ts.TimeStep:
        while (step := self.advance()) is None:
            pass
        return step

    def _take_states(self) -> Sequence[CarState]:
        self._state = self._spectator.wait_for(self.name, self._connection.frames_received, STATE_TIMEOUT_S)
        states = self._spectator.take_states(self.name)
        self.score.update(states)
        return states

    def _settle(self, pngs: list[bytes]) -> ts.TimeStep | None:
        self._settle_frames -= 1
        frame = self._decode(pngs[-1:]) if self._settle_frames <= 0 else None
        if frame is None:
            self._send_neutral()
            return None
        self._afresh = False
        self._observation = self._history.reset(frame)
        return self._first()

    def _first(self) -> ts.TimeStep:
        assert self._state is not None
        self._episode_returns = self._state.returns
        self._episode_frames = 0
        self._episode_laps = 0
        self._reward.reset(self._state)
        return ts.TimeStep(np.int32(ts.StepType.FIRST), np.float32(0.0), np.float32(1.0), self._observation)

    def _finish_decision(self, frame: NDArray[np.float32]) -> ts.TimeStep:
        self._observation = self._history.push(frame, self._action)
        self._episode_frames += self._decision_frames
        terms = self._reward.step(self._decision_states)
        self._count_laps()
        terminated = self._was_put_back()
        truncated = self._episode_laps >= self._config.episode_laps or self._episode_frames >= self._config.episode_frames
        if terminated:
            self._afresh = True
            self._settle_frames = READ_BACK_FRAMES + 1
        step_type = ts.StepType.LAST if terminated or truncated else ts.StepType.MID
        discount = 0.0 if terminated else 1.0
        return ts.TimeStep(np.int32(step_type), np.float32(sum(terms.values())), np.float32(discount), self._observation)

    def _was_put_back(self) -> bool:
        return self._state is not None and self._state.returns > self._episode_returns

    def _count_laps(self) -> None:
        segments = [state.track_segment for state in self._decision_states]
        if segments:
            last = self.num_segments - 1
            before = [self._previous_segment, *segments[:-1]]
            self._episode_laps += sum(a == last and b == 0 for a, b in zip(before, segments, strict=True))
            self._previous_segment = segments[-1]

    def _decode(self, pngs: list[bytes]) -> NDArray[np.float32] | None:
        """The features ``<float32>[8, 3]`` of one frame, or of several merged; None if one is no picture."""
        try:
            frame = picture_features(pngs, self._config.image_width)
        except BadFrame:
            return None
        self.last_png = pngs[-1]
        return frame

    def _send_action(self) -> None:
        self._connection.send(*car_command(self._action, self._config))

    def _send_neutral(self) -> None:
        self._connection.send(0.0, 0.0)

    def _make_reward(self) -> Reward:
        config = self._config
        if config.reward == "original":
            return OriginalReward(self.num_segments)
        return ProgressReward(self._track, ProgressWeights(config.progress_per_m, config.crash_penalty))


def with_frames(environments: Sequence[RaceEnvironment], timeout_s: float) -> list[RaceEnvironment]:
    """Those whose next frame has arrived, so that ``advance`` would not wait; waits for a first one."""
    poll = select.poll()
    by_descriptor = {environment.fileno(): environment for environment in environments}
    for descriptor in by_descriptor:
        poll.register(descriptor, select.POLLIN)
    return [by_descriptor[descriptor] for descriptor, _ in poll.poll(timeout_s * 1000)]


def _race_parameters(spectator: Spectator, track: Track) -> dict[str, Any]:
    """What the simulator says on connecting; waits for it and checks that it drives on the expected track."""
    deadline_s = time.monotonic() + STATE_TIMEOUT_S
    spectator.drain()
    while spectator.parameters is None:
        if not wait_readable(spectator, deadline_s):
            raise SpectatorLost(f"the simulator sent no RaceParameters in {STATE_TIMEOUT_S:g} s")
        spectator.drain()
    parameters = spectator.parameters
    if parameters.get("track") != track.name:
        raise TrackMismatch(
            f"the simulator drives on {parameters.get('track')!r}, but the track given is {track.name!r}: "
            "give the file of its track with --track"
        )
    return parameters
