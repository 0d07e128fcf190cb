"""Makes one car a TF-Agents environment: actions in, camera observations and rewards out, in the simulator's time."""

from __future__ import annotations

import dataclasses
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
from robotini_ray.config import ACTION_SIZE, EnvironmentConfig
from robotini_ray.environment.decision_cycle import NEUTRAL, DecisionCycle
from robotini_ray.environment.observation import LATENCY_FRAMES, BadFrame
from robotini_ray.environment.privileged import PrivilegedView
from robotini_ray.environment.reward import OriginalReward, ProgressReward, ProgressWeights, Reward
from robotini_ray.environment.score import RaceScore, live_state
from robotini_ray.simulator_address import SimulatorAddress
from robotini_ray.track.track import Track

STATE_TIMEOUT_S = 5.0
"""Longest wait for ``RaceParameters``, and in lock-step for the state that belongs to a frame that has arrived."""

REALTIME_STATE_TIMEOUT_S = 0.5
"""Longest wait for that state in real time: states are sent before frames, and the wait delays all cars of a process."""

LOCKSTEP_START_TIMEOUT_S = 60.0
"""Longest wait for the first ``RaceParameters`` in lock-step: an embedded simulator starts slowly on a busy machine."""

SILENCE_POLL_S = 0.25


@dataclasses.dataclass
class _Episode:
    """The episode under way.

    Attributes:
        returns: ``CarState.returns`` when it began.
        frames: The number of camera frames since it began.
        laps: The number of crossings of the line since it began.
    """

    returns: int = 0
    frames: int = 0
    laps: int = 0


class RaceEnvironment(py_environment.PyEnvironment):
    """One car in one simulator.

    ``step`` and ``reset`` block, as TF-Agents' drivers expect. A collector that drives several cars uses the methods of which
    they consist: ``begin_episode`` and ``begin_decision`` send a command and return at once, ``advance`` processes a frame
    that has arrived and answers it, and ``check_silence`` handles missing frames. A decision lasts ``action_repeat`` frames,
    so only every ``action_repeat``-th frame makes ``advance`` return a time step::

        step = environment.begin_episode() or wait(environment)       # wait: ``advance`` until it returns a time step
        while True:
            environment.begin_decision(policy(step.observation))
            step = wait(environment)
            if step.is_last():
                step = environment.begin_episode() or wait(environment)

    An episode ends by termination (discount 0) when the simulator has put the car back on the track, and by truncation
    (discount 1) after ``episode_laps`` or ``episode_frames``; after a truncation the car drives on, and the next episode
    begins with the frame that ended the last. A frame that cannot be decoded makes the decision one frame longer and is never
    learned from. If the simulator sends no frame for a second during a decision (in real time), the episode is truncated
    before that decision.

    If the spectator is lost while camera frames still arrive, a collector lets the car drive on without states
    (``drive_blind``) until a spectator has them again.

    Args:
        config: The settings of observations, actions, reward and episodes.
        track: The track that the simulator uses.
        address: The address of the simulator.
        login: The car's name, and whether the simulator waits for it (lock-step).
        spectator: The simulator's event stream; the cars of one process may share it.
        latency_frames: See ``DecisionCycle``.

    Raises:
        CarError: The simulator cannot be reached, refuses the car or is lost. Every blocking call has a timeout. These and
            the following errors are also raised by the methods that drive.
        SpectatorError: The spectator stream is lost, or the expected state does not arrive in time.
        TrackMismatch: The simulator uses another track.
    """

    def __init__(
        self,
        config: EnvironmentConfig,
        track: Track,
        address: SimulatorAddress,
        login: Login,
        spectator: Spectator,
        latency_frames: int = LATENCY_FRAMES,
    ) -> None:
        super().__init__(handle_auto_reset=True)
        self._config = config
        self._track = track
        self.link = CarLink(address, login)
        """The car's connection: its name on the track, the rate of its frames, whether it is stalled, and its faults."""
        self.last_png = b""
        """The newest picture from which an observation was computed, as a PNG; empty before the first."""
        self.blind = False
        """True while the car drives without its states; its time steps then serve for driving only, not for learning."""
        self._state_timeout_s = STATE_TIMEOUT_S if login.lockstep else REALTIME_STATE_TIMEOUT_S
        start_timeout_s = LOCKSTEP_START_TIMEOUT_S if login.lockstep else STATE_TIMEOUT_S
        self.num_segments = _segments(spectator, track, start_timeout_s)
        self.score = RaceScore(self.num_segments)
        self._cycle = DecisionCycle(config, latency_frames)
        self._command = NEUTRAL
        self._state: CarState | None = None
        self._decision_states: list[CarState] = []
        self._spectator: Spectator | None = spectator
        self._reward = self._make_reward()
        self._privileged = PrivilegedView(track)
        self._previous_segment = -1
        self._episode = _Episode()
        self.link.join(spectator, None)

    def connect(self, spectator: Spectator, sock: socket.socket | None = None) -> None:
        """Joins the track, for the first time or again after a lost connection; the next call is ``begin_episode``.

        Args:
            spectator: The simulator's event stream.
            sock: A socket that ``open_socket`` returned for the car port; None opens one, which blocks for at most 2 s.
        """
        self._watch_with(spectator)
        self.link.join(spectator, sock)

    def _watch_with(self, spectator: Spectator) -> None:
        """Takes the car's states from this spectator from now on, and forgets everything that depends on earlier states."""
        self._spectator = spectator
        self.num_segments = _segments(spectator, self._track, STATE_TIMEOUT_S)
        self.score.restart(self.num_segments)
        self._reward = self._make_reward()
        self._privileged = PrivilegedView(self._track)
        self._previous_segment = -1
        self._cycle.begin()
        self.blind = False

    @property
    def config(self) -> EnvironmentConfig:
        """The settings of observations, actions, reward and episodes."""
        return self._config

    @property
    def name(self) -> str:
        """The car's name on the track; it differs from the name in ``login`` if that was refused."""
        return self.link.name

    @property
    def state(self) -> CarState | None:
        """The car's newest state; None before the first."""
        return self._state

    def fileno(self) -> int:
        """Returns the socket's file descriptor; it is readable when ``advance`` has something to process."""
        return self.link.fileno()

    def observation_spec(self) -> array_spec.ArraySpec:
        """Returns the specification of observations: ``<float32>[observation_size]``, see ``HistoryStack``."""
        return array_spec.ArraySpec((self._config.observation_size,), np.float32, "observation")

    def action_spec(self) -> array_spec.BoundedArraySpec:
        """Returns the specification of actions: ``<float32>[2]`` in [-1, 1], throttle and turn, see ``car_command``."""
        return array_spec.BoundedArraySpec((ACTION_SIZE,), np.float32, -1.0, 1.0, "action")

    def begin_episode(self) -> ts.TimeStep | None:
        """Starts an episode where the car is.

        Returns:
            The FIRST time step, or None if no frame shows the car's present place yet, because it has just joined or been put
            back. ``advance`` then returns the FIRST time step; the car stands still meanwhile.
        """
        if self._cycle.settling:
            if self._state is not None:
                self._send(NEUTRAL)
            return None
        return self._first()

    def begin_decision(self, action: NDArray[np.float32]) -> None:
        """Answers the newest frame with an action ``<float32>[2]``, which lasts for ``action_repeat`` frames."""
        self._cycle.decide(action)
        self._decision_states.clear()
        self._send(self._cycle.command)

    def advance(self) -> ts.TimeStep | None:
        """Processes the next frame if it has arrived, and answers it unless a decision is due.

        Does not wait for a frame, but may wait for the state that belongs to it, see ``STATE_TIMEOUT_S``.

        Returns:
            The new time step if a decision is due, else None.
        """
        pngs = self.link.receive()
        if not pngs:
            return None
        if self.blind and not self._sees_again():
            return self._advance_blind(pngs)
        states = self._take_states()
        if not self._cycle.settling:
            self._decision_states += states
        began_settling = self._cycle.settling
        observation = self._observe(pngs)
        if observation is not None:
            return self._first() if began_settling else self._finish_decision()
        # The action was not meant for the place to which a car was put back. Otherwise the decision goes on, one frame longer
        # if the last frame could not be decoded.
        self._send(NEUTRAL if self._was_put_back() else self._cycle.command)
        return None

    def check_silence(self) -> bool:
        """Applies the link's limits of silence if no frame arrives; call it a few times per second.

        Returns:
            Whether the episode under way has ended: the decision was not carried out as chosen, so it makes no time step. The
            next time step is then a FIRST one.
        """
        if not self.link.check_silence() or self._cycle.settling:
            return False
        self._cycle.begin()
        return not self.blind

    def drive_blind(self, spectator: Spectator | None) -> None:
        """Lets the car drive on without its states until ``spectator`` has the state of the newest frame.

        Until then time steps are MID, with reward 0; the first one after that is a FIRST one.

        Args:
            spectator: The new or present spectator; None if there is none yet.
        """
        if spectator is not None and spectator is not self._spectator:
            self.link.follow_with(spectator)
        self._spectator = spectator
        self.blind = True
        if self._cycle.settling:
            self._cycle.begin()  # without states it is unknown when a picture shows the new place
        else:
            self._cycle.decide(self._cycle.action)
        self._send(self._cycle.command)

    def privileged(self) -> NDArray[np.float32]:
        """Returns the privileged numbers of the car's newest state, see ``PrivilegedView``.

        They belong to the newest time step until the next call of ``advance``.
        """
        assert self._state is not None
        return self._privileged.describe(self._state)

    def live_state(self) -> dict[str, Any]:
        """Returns the car's state, last command and score in JSON types, for the monitor; empty before the first state."""
        if self._state is None:
            return {}
        return live_state(self._state, self._command, self.score)

    def close(self) -> None:
        """Stops the car and closes its connection, which removes it from the track; the spectator stays open."""
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
                return ts.TimeStep(np.int32(ts.StepType.LAST), np.float32(0.0), np.float32(1.0), self._cycle.observation)
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
        observation = self._observe(pngs)
        if observation is None:
            self.link.repeat()
            return None
        return ts.TimeStep(np.int32(ts.StepType.MID), np.float32(0.0), np.float32(1.0), observation)

    def _observe(self, pngs: list[bytes]) -> NDArray[np.float32] | None:
        """Returns the new observation, if one is due and its picture can be decoded."""
        try:
            observation = self._cycle.take(pngs)
        except BadFrame:
            self.link.note_undecodable()
            return None
        if observation is not None:
            self.link.note_decoded()
            self.last_png = pngs[-1]
        return observation

    def _first(self) -> ts.TimeStep:
        assert self._state is not None
        self._episode = _Episode(self._state.returns)
        self._reward.reset(self._state)
        return ts.TimeStep(np.int32(ts.StepType.FIRST), np.float32(0.0), np.float32(1.0), self._cycle.observation)

    def _finish_decision(self) -> ts.TimeStep:
        episode, config = self._episode, self._config
        episode.frames += self._cycle.frames
        terms = self._reward.step(self._decision_states)
        self._count_laps()
        terminated = self._was_put_back()
        truncated = episode.laps >= config.episode_laps or episode.frames >= config.episode_frames
        if terminated:
            self._cycle.put_back()
        step_type = ts.StepType.LAST if terminated or truncated else ts.StepType.MID
        discount = 0.0 if terminated else 1.0
        reward = np.float32(sum(terms.values()))
        return ts.TimeStep(np.int32(step_type), reward, np.float32(discount), self._cycle.observation)

    def _was_put_back(self) -> bool:
        return self._state is not None and self._state.returns > self._episode.returns

    def _count_laps(self) -> None:
        segments = [state.track_segment for state in self._decision_states]
        if segments:
            last = self.num_segments - 1
            before = [self._previous_segment, *segments[:-1]]
            self._episode.laps += sum(a == last and b == 0 for a, b in zip(before, segments, strict=True))
            self._previous_segment = segments[-1]

    def _send(self, command: tuple[float, float]) -> None:
        self._command = command
        self.link.send(*command)

    def _make_reward(self) -> Reward:
        config = self._config
        if config.reward == "original":
            return OriginalReward(self.num_segments)
        return ProgressReward(self._track, ProgressWeights(config.progress_per_m, config.crash_penalty))


def with_frames(environments: Sequence[RaceEnvironment], timeout_s: float) -> list[RaceEnvironment]:
    """Returns the environments with data to read, for ``advance``; waits up to ``timeout_s`` seconds for the first one."""
    poll = select.poll()
    by_descriptor = {environment.fileno(): environment for environment in environments}
    for descriptor in by_descriptor:
        poll.register(descriptor, select.POLLIN)
    return [by_descriptor[descriptor] for descriptor, _ in poll.poll(timeout_s * 1000)]


def _segments(spectator: Spectator, track: Track, timeout_s: float) -> int:
    """Returns the number of segments of the simulator's track.

    Raises:
        TrackMismatch: The simulator uses another track.
        SpectatorLost: No ``RaceParameters`` arrived within ``timeout_s`` seconds.
    """
    parameters = spectator.wait_for_parameters(timeout_s)
    if parameters.get("track") != track.name:
        raise TrackMismatch(
            f"the simulator drives on {parameters.get('track')!r}, but the track given is {track.name!r}: "
            "give the file of its track with --track"
        )
    return int(parameters["numSegments"])
