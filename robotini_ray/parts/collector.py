"""Defines the collector, which drives cars with its own copy of the policy and writes their decisions into replay."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import reverb
from numpy.typing import NDArray
from tf_agents.trajectories import time_step as ts

from robotini_ray.car.connection import Login
from robotini_ray.car.errors import CarError
from robotini_ray.car.spectator import Spectator
from robotini_ray.car.state_store import CarStateStore
from robotini_ray.config import Config
from robotini_ray.environment.race_environment import RaceEnvironment
from robotini_ray.parts.car_connections import CarConnections
from robotini_ray.parts.collecting_car import CollectingCar
from robotini_ray.parts.interfaces import WeightsReceiver
from robotini_ray.policy.exploration import ExplorationNoise
from robotini_ray.policy.numpy_policy import NumpyPolicy
from robotini_ray.policy.policy_spec import PolicySpec
from robotini_ray.replay.table import WindowLayout, WindowWriter
from robotini_ray.run.reports import CarSeat, CollectorReport, train_step_of
from robotini_ray.simulator_address import SimulatorAddress
from robotini_ray.track.track import load_track

STATE_INTERVAL_S = 0.05
"""Least wall time between two writes of the cars' states to Redis."""

PAUSE_POLL_S = 0.005
FRAME_POLL_S = 0.1
LOOK_AROUND_S = 0.1
"""Wall time between two checks of what no frame reports: silence, lost connections, the spectator."""


class Collector(WeightsReceiver):
    """Drives its cars until ``stop`` and writes their decisions into replay.

    ``run`` is the hot loop: it waits for frames and for nothing else. The other methods are called from another thread; the
    loop picks up the values that they store.

    Args:
        config: The config of the run.
        address: The address of the simulator that all its cars use.
        seats: The settings of its cars.
        lockstep: Whether the simulator's world waits for the cars; they may then pause to keep the replay ratio.
        replay_address: ``HOST:PORT`` of the Reverb server.
        redis_url: The Redis to which the cars' live states are written.
        run_name: The name of the run; it distinguishes its cars from those of other runs in Redis.
    """

    def __init__(
        self,
        config: Config,
        address: SimulatorAddress,
        seats: Sequence[CarSeat],
        lockstep: bool,
        replay_address: str,
        redis_url: str,
        run_name: str,
    ) -> None:
        self._config = config
        self._address = address
        self._lockstep = lockstep
        self._track = load_track(config.simulator.track)
        self._policy = NumpyPolicy(PolicySpec.from_config(config))
        self._replay = reverb.Client(replay_address)
        self._store = CarStateStore(redis_url, run_name)
        self._seats = seats
        self._connections = CarConnections(address, self._track, lockstep)
        self._stop = threading.Event()
        self._weights: tuple[int, NDArray[np.float32], float] | None = None  # with the time of their arrival
        self._version = -1
        self._version_at = time.monotonic()
        self._pause = False
        self._lock = threading.Lock()
        self._report = CollectorReport()
        self._next_state_at = 0.0
        self._next_look_at = 0.0
        self._frames_per_s = self._late_share = self._frame_age_s = 0.0

    def run(self) -> None:
        """Drives until ``stop``, then waits up to 5 s per car until replay has its items.

        Raises:
            CarError: The simulator refuses a car or cannot be reached at the start; connections lost later are
                re-established.
            TrackMismatch: The simulator uses another track.
        """
        connections = self._connections
        try:
            spectator = connections.watch()
            for seat in self._seats:
                connections.add(self._seat_car(seat, spectator))
            for car in connections.cars:
                self._begin_episode(car)
            while not self._stop.is_set():
                self._run_once()
        finally:
            connections.close()
            for car in connections.cars:
                car.writer.flush(timeout_ms=5000)
                car.writer.close()
            self._store.close()

    def set_weights(self, version: int, flat_weights: NDArray[np.float32], pause: bool) -> None:
        """Stores the weights for the next decision; ``pause`` has an effect only in lock-step."""
        if self._weights is None or version > self._weights[0]:
            self._weights = (version, flat_weights, time.monotonic())
        self._pause = pause and self._lockstep

    def report(self) -> CollectorReport:
        """Returns the activity since the last call."""
        with self._lock:
            report, self._report = self._report, CollectorReport()
        report.weights_version = self._version
        report.weights_age_s = time.monotonic() - self._version_at
        report.paused = self._pause
        report.frames_per_s, report.late_share = self._frames_per_s, self._late_share
        report.frame_age_s = self._frame_age_s
        return report

    def stop(self) -> None:
        """Ends ``run`` soon; returns at once."""
        self._stop.set()

    def _seat_car(self, seat: CarSeat, spectator: Spectator) -> CollectingCar:
        login = Login(seat.name, seat.name, seat.color, self._config.environment.image_width, self._lockstep)
        return CollectingCar(
            seat=seat,
            environment=RaceEnvironment(
                self._config.environment,
                self._track,
                self._address,
                login,
                spectator,
                self._config.randomisation.largest_latency_frames,
            ),
            writer=WindowWriter(self._replay, WindowLayout.from_config(self._config)),
            noise=ExplorationNoise(seat.noise_stddev, self._config.collection.noise_damping, seat.seed),
            state=self._policy.initial_state(1)[0],
        )

    def _run_once(self) -> None:
        now = time.monotonic()
        if now >= self._next_look_at:
            self._next_look_at = now + LOOK_AROUND_S
            self._look_around()
        if self._pause or (self._lockstep and self._waits_for_learner()):
            time.sleep(PAUSE_POLL_S)
        else:
            self._drive_on()
        if now >= self._next_state_at:
            self._next_state_at = now + STATE_INTERVAL_S
            self._store_states()

    def _drive_on(self) -> None:
        """Processes the frames that have arrived, waiting up to ``FRAME_POLL_S`` for the first one, and answers them."""
        due: list[CollectingCar] = []
        for car in self._connections.ready(FRAME_POLL_S):
            try:
                step = car.environment.advance()
                if step is not None and self._take(car, step):
                    due.append(car)
            except CarError as error:
                self._connections.handle(car, error)
        due = [car for car in due if car.step is not None]  # the episodes of the others were truncated meanwhile
        if due:
            self._decide(due)

    def _waits_for_learner(self) -> bool:
        """Returns whether no weights have arrived yet, although these cars have written their share of ``replay.min_items``."""
        share = self._config.replay.min_items * len(self._connections.cars) / self._config.collection.cars
        return self._weights is None and sum(car.writer.items for car in self._connections.cars) > share

    def _take(self, car: CollectingCar, step: ts.TimeStep) -> bool:
        """Processes a time step and returns whether an action is due for the car."""
        car.reconnection = None  # the reconnection has succeeded
        if car.environment.blind:
            car.step = step
            return True
        if car.seen is not None:
            assert car.step is not None and car.action is not None and car.acted_state is not None
            car.writer.add(
                car.seen,
                car.action,
                float(step.reward),
                float(step.discount),
                car.step.step_type == ts.StepType.FIRST,
                car.acted_state,
            )
        car.step = step
        car.seen = self._seen(car, step)
        car.has_driven = True
        self._count(car)
        if step.step_type == ts.StepType.LAST:  # ``is_last()`` first checks for a tensor, which takes as long as the policy
            car.writer.end_episode(car.seen)
            return self._begin_episode(car)
        if step.step_type == ts.StepType.FIRST:
            car.writer.begin_episode()
            car.state = self._policy.initial_state(1)[0]
        return True

    def _seen(self, car: CollectingCar, step: ts.TimeStep) -> NDArray[np.float32]:
        """Returns the critic's observation at a time step, see ``Config.critic_observation_size``."""
        if not self._config.agent.privileged_critic:
            return step.observation
        return np.concatenate([step.observation, car.environment.privileged()])

    def _begin_episode(self, car: CollectingCar) -> bool:
        """Starts an episode; returns whether its first time step is already known, so that an action is due."""
        car.step = car.seen = None
        first = car.environment.begin_episode()
        return first is not None and self._take(car, first)

    def _decide(self, due: list[CollectingCar]) -> None:
        """Computes the actions of all cars in one batch, adds the exploration noise and sends each car its action."""
        if self._weights is not None and self._weights[0] != self._version:
            self._version, flat_weights, self._version_at = self._weights
            self._policy.set_weights(flat_weights)
        observations = np.stack([car.observation for car in due])
        states = np.stack([car.state for car in due])
        actions, next_states = self._policy.act(observations, states)
        done: list[list[float]] = []
        for index, car in enumerate(due):
            car.acted_state = car.state
            car.state = next_states[index]
            action = np.clip(actions[index] + car.noise.sample(), -1.0, 1.0)
            car.action = action
            try:
                car.environment.begin_decision(action)
                done.append(action.tolist())
            except CarError as error:
                self._connections.handle(car, error)
        with self._lock:
            for taken in done:
                self._report.add_action(taken)

    def _count(self, car: CollectingCar) -> None:
        """Adds the car's activity since its last time step to the report."""
        score = car.environment.score
        laps, episodes = score.take()
        with self._lock:
            report = self._report
            report.decisions += 1
            report.env_steps += score.frames - car.frames_reported
            report.crashes += score.crashes - car.crashes_reported
            report.items += car.writer.items - car.items_reported
            report.laps += laps
            report.episodes += episodes
        car.frames_reported, car.crashes_reported = score.frames, score.crashes
        car.items_reported = car.writer.items

    def _look_around(self) -> None:
        """Handles everything that no frame reports, and adds faults, reconnections and frame counts to the report."""
        connections = self._connections
        connections.look_around(standing=self._lockstep and (self._pause or self._weights is None))
        faults, reconnects = connections.take_faults(), connections.take_reconnects()
        frames, late_frames = connections.take_frames()
        with self._lock:
            report = self._report
            report.frames += frames
            report.late_frames += late_frames
            for cause, count in reconnects.items():
                report.reconnect_causes[cause] = report.reconnect_causes.get(cause, 0) + count
            for cause, count in faults.items():
                report.faults[cause] += count
            self._frames_per_s, self._late_share = connections.frames_per_s(), connections.late_share()
            self._frame_age_s = connections.frame_age_s()

    def _store_states(self) -> None:
        """Queues the cars' newest states for the thread that writes to Redis."""
        for car in self._connections.cars:
            state = car.environment.state
            if state is not None:
                self._store.put(car.seat.name, self._live_state(car), car.environment.last_png)

    def _live_state(self, car: CollectingCar) -> dict[str, Any]:
        meter = car.environment.link.meter
        status = self._connections.status(car)
        return {
            **car.environment.live_state(),
            "role": "collector",
            "color": car.seat.color,
            "status": "paused" if self._pause and status == "driving" else status,
            "stale": self._connections.stale(car),
            "frames_per_s": round(meter.per_s, 1),
            "late_share": round(meter.late_share, 3),
            "weights_version": train_step_of(self._version),
            "weights_age_s": time.monotonic() - self._version_at,
        }
