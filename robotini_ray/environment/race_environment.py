"""One car as a TF-Agents environment: actions in, camera observations and rewards out, on the simulator's clock."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tf_agents.environments import py_environment
from tf_agents.specs import array_spec
from tf_agents.trajectories import time_step as ts

from robotini_ray.car.connection import Login, wait_readable
from robotini_ray.car.errors import TrackMismatch
from robotini_ray.car.link import CarLink
from robotini_ray.car.spectator import Spectator
from robotini_ray.car.state import CarState
from robotini_ray.config import ACTION_SIZE, FEATURES_PER_FRAME, EnvironmentConfig
from robotini_ray.environment.controls import car_command
from robotini_ray.environment.observation import READ_BACK_FRAMES, BadFrame, HistoryStack, picture_features
from robotini_ray.environment.privileged import PrivilegedView
from robotini_ray.environment.reward import OriginalReward, ProgressReward, ProgressWeights, Reward
from robotini_ray.environment.score import RaceScore, live_state
from robotini_ray.simulator_address import SimulatorAddress
from robotini_ray.track.track import Track

STATE_TIMEOUT_S = 5.0
"""Longest wait for RaceParameters, and in lock-step for the state that belongs to a frame that has arrived."""

REALTIME_STATE_TIMEOUT_S = 0.5
"""The same where a simulator runs by itself: it sends states before frames, and the cars of a process wait together."""

LOCKSTEP_START_TIMEOUT_S = 60.0
"""Longest wait for the first RaceParameters in lock-step: an embedded simulator that starts on a busy machine is given time."""

SILENCE_POLL_S = 0.25


class RaceEnvironment(py_environment.PyEnvironment):
    """One car on one simulator.

    ``step`` and ``reset`` block, as TF-Agents' drivers expect. A collector that drives several cars uses the halves they
    are made of instead: ``begin_episode`` and ``begin_decision`` send and return at once, ``advance`` takes in a frame
    that has arrived and answers it, ``check_silence`` does what is due when none comes; a decision lasts
    ``action_repeat`` frames, so only every so many calls of ``advance`` return a time step::

        step = environment.begin_episode() or wait(environment)       # wait: advance() until it returns a time step
        while True:
            environment.begin_decision(policy(step.observation))
            step = wait(environment)
            if step.is_last():
                step = environment.begin_episode() or wait(environment)

    An episode ends by termination (discount 0) when the simulator has put the car back on the track, and by truncation
    (discount 1) after ``episode_laps`` or ``episode_frames``; after a truncation the car drives on, and the next episode
    begins with the frame that ended the last. A frame that cannot be decoded is waited over, never learned from. A decision
    in whose time the simulator fell silent for a second truncates the episode before it.

    Where the spectator is lost but the cameras live, a collector lets the car drive on without states (``drive_blind``)
    until a spectator has them again.

    Args:
        config: observation, actions, reward and episodes.
        track: the track that the simulator drives on.
        address: of the simulator.
        login: the car's name, and whether the simulator waits for it (lock-step).
        spectator: the simulator's event stream; may be shared by the cars of one process.

    Raises:
        CarError: the simulator cannot be reached, refuses the car or is lost; every blocking call is limited in time.
        SpectatorError: the same of the spectator alone.
        TrackMismatch: the simulator drives on another track.
    """

    def __init__(
        self, config: EnvironmentConfig, track: Track, address: SimulatorAddress, login: Login, spectator: Spectator
    ) -> None:
        super().__init__(handle_auto_reset=True)
        self._config = config
        self._track = track
        self.link = CarLink(address, login)
        """Its name on the track, how fast frames come, whether it is stalled, and its faults."""
        self._state_timeout_s = STATE_TIMEOUT_S if login.lockstep else REALTIME_STATE_TIMEOUT_S
        self._history = HistoryStack(FEATURES_PER_FRAME, ACTION_SIZE, config.observation_history, config.action_history)
        self._action = np.zeros(ACTION_SIZE, np.float32)
        self._observation = np.zeros(config.observation_size, np.float32)
        self.last_png = b""
        self._command = (0.0, 0.0)
        self._state: CarState | None = None
        start_timeout_s = LOCKSTEP_START_TIMEOUT_S if login.lockstep else STATE_TIMEOUT_S
        self.score = RaceScore(_segments(spectator, track, start_timeout_s))
        self.connect(spectator)

    def connect(self, spectator: Spectator, sock: socket.socket | None = None) -> None:
        """Joins the track, for the first time or again after a lost connection; the next call is ``begin_episode``.

        Args:
            spectator: the simulator's event stream.
            sock: of ``open_socket`` to the car port; None opens one, which may wait.
        """
        self._watch_with(spectator)
        self.link.join(spectator, sock)
        self._decision_frames = 0
        self._pngs: list[bytes] = []

    def _watch_with(self, spectator: Spectator) -> None:
        """States of this spectator have nothing to do with those before."""
        self._spectator: Spectator | None = spectator
        self.num_segments = _segments(spectator, self._track, STATE_TIMEOUT_S)
        self.score.restart(self.num_segments)
        self._reward = self._make_reward()
        self._privileged = PrivilegedView(self._track)
        self._previous_segment = -1
        self._afresh = True
        self._settle_frames = 1
        self.blind = False
        """Whether the car drives without its states; its time steps are then for driving only."""

    @property
    def config(self) -> EnvironmentConfig:
        """Observation, actions, reward and episodes."""
        return self._config

    @property
    def name(self) -> str:
        """The car's name on the track; another than at first where that was refused."""
        return self.link.name

    @property
    def state(self) -> CarState | None:
        """The car's newest state."""
        return self._state

    def fileno(self) -> int:
        """Readable when ``advance`` would not wait."""
        return self.link.fileno()

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
        """Takes in the next frame, if it has arrived; answers it unless a decision is due.

        Returns:
            The time step that is due, or None.
        """
        pngs = self.link.receive()
        if not pngs:
            return None
        if self.blind and not self._sees_again():
            return self._advance_blind(pngs)
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

    def check_silence(self) -> bool:
        """Does what is due when no frame comes; to be called a few times a second.

        Returns:
            Whether that has ended the episode under way: the decision was not carried out, so what came of it is no step.
            The next time step is a FIRST one.
        """
        if not self.link.check_silence() or self._afresh:
            return False
        self._afresh, self._settle_frames = True, 1
        return not self.blind

    def drive_blind(self, spectator: Spectator | None) -> None:
        """Goes on without the car's states until ``spectator`` (None: none yet) has the one of the newest frame.

        Until then time steps are MID, with reward 0; the first one after that is a FIRST one.
        """
        if spectator is not None and spectator is not self._spectator:
            self.link.follow_with(spectator)
        self._spectator = spectator
        self.blind = True
        self._decision_frames = 0
        self._pngs.clear()
        if self._afresh:
            self._send_neutral()
        else:
            self._send_action()

    def privileged(self) -> NDArray[np.float32]:
        """What only a critic may see of the car as it is now, when the newest time step is answered; see ``PrivilegedView``."""
        assert self._state is not None
        return self._privileged.describe(self._state)

    def live_state(self) -> dict[str, Any]:
        """State, last command and score of the car in JSON types, for the monitor; empty before its state is known."""
        if self._state is None:
            return {}
        return live_state(self._state, self._command, self.score)

    def close(self) -> None:
        """Stops the car and leaves the track."""
        self.link.close()

    def _step(self, action: NDArray[np.float32]) -> ts.TimeStep:
        self.begin_decision(np.asarray(action, np.float32))
        return self._wait()

    def _reset(self) -> ts.TimeStep:
        return self.begin_episode() or self._wait()

    def _wait(self) -> ts.TimeStep:
        while (step := self.advance()) is None:
            wait_readable(self, time.monotonic() + SILENCE_POLL_S)
            if self.check_silence():
                return ts.TimeStep(np.int32(ts.StepType.LAST), np.float32(0.0), np.float32(1.0), self._observation)
        return step

    def _take_states(self) -> Sequence[CarState]:
        spectator = self._spectator
        assert spectator is not None
        self._state = spectator.wait_for(self.name, self.link.frames_received, self._state_timeout_s)
        states = spectator.take_states(self.name)
        self.score.update(states)
        return states

    def _sees_again(self) -> bool:
        spectator = self._spectator
        if spectator is None:
            return False
        spectator.drain()
        if not spectator.has_state(self.name, self.link.frames_received):
            return False
        self._watch_with(spectator)
        return True

    def _advance_blind(self, pngs: list[bytes]) -> ts.TimeStep | None:
        self._decision_frames += 1
        frame = self._decode(pngs[-1:]) if self._afresh or self._decision_frames >= self._config.action_repeat else None
        if frame is None:
            self.link.repeat()
            return None
        self._observation = self._history.reset(frame) if self._afresh else self._history.push(frame, self._action)
        self._afresh = False
        return ts.TimeStep(np.int32(ts.StepType.MID), np.float32(0.0), np.float32(1.0), self._observation)

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
            self.link.note_undecodable()
            return None
        self.link.note_decoded()
        self.last_png = pngs[-1]
        return frame

    def _send_action(self) -> None:
        self._send(*car_command(self._action, self._config))

    def _send_neutral(self) -> None:
        self._send(0.0, 0.0)

    def _send(self, throttle: float, turn: float) -> None:
        self._command = (throttle, turn)
        self.link.send(throttle, turn)

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


def _segments(spectator: Spectator, track: Track, timeout_s: float) -> int:
    """How many segments the simulator divides its track into, once it is known to be the expected one."""
    parameters = spectator.wait_for_parameters(timeout_s)
    if parameters.get("track") != track.name:
        raise TrackMismatch(
            f"the simulator drives on {parameters.get('track')!r}, but the track given is {track.name!r}: "
            "give the file of its track with --track"
        )
    return int(parameters["numSegments"])
