"""A collector: one process that drives cars with its own copy of the policy and writes what happens into replay."""

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
"""Least wall time between two states of a car in Redis."""

PAUSE_POLL_S = 0.005
FRAME_POLL_S = 0.1
LOOK_AROUND_S = 0.1
"""Wall time between two looks at what comes from no frame: silence, lost connections, the spectator."""


class Collector(WeightsReceiver):
    """Drives its cars until it is told to stop.

    ``run`` is the hot loop: it waits for frames, and nothing else. The other methods are called from another thread and
    leave what they bring for the loop to pick up.

    Args:
        config: of the run.
        address: the simulator of all its cars.
        seats: its cars.
        lockstep: whether the simulator's world waits for the cars; then they may pause to keep the replay ratio.
        replay_address: HOST:PORT of the Reverb server.
        redis_url: where the cars' live state goes.
        run_name: of the run, to tell its cars from those of other runs in Redis.
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
        self._weights: tuple[int, NDArray[np.float32], float] | None = None  # with the time when they came
        self._version = -1
        self._version_at = time.monotonic()
        self._pause = False
        self._lock = threading.Lock()
        self._report = CollectorReport()
        self._next_state_at = 0.0
        self._next_look_at = 0.0
        self._frames_per_s = self._late_share = self._frame_age_s = 0.0

    def run(self) -> None:
        """Drives until ``stop``.

        Raises:
            CarError: the simulator refuses a car or cannot be reached at the start; later losses are reconnected.
            TrackMismatch: the simulator drives on another track.
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
        """Leaves new weights for the next decision; ``pause`` says that replay has enough for now."""
        if self._weights is None or version > self._weights[0]:
            self._weights = (version, flat_weights, time.monotonic())
        self._pause = pause and self._lockstep

    def report(self) -> CollectorReport:
        """What has happened since the last call."""
        with self._lock:
            report, self._report = self._report, CollectorReport()
        report.weights_version = self._version
        report.weights_age_s = time.monotonic() - self._version_at
        report.paused = self._pause
        report.frames_per_s, report.late_share = self._frames_per_s, self._late_share
        report.frame_age_s = self._frame_age_s
        return report

    def stop(self) -> None:
        """Ends ``run`` soon."""
        self._stop.set()

    def _seat_car(self, seat: CarSeat, spectator: Spectator) -> CollectingCar:
        login = Login(seat.name, seat.name, seat.color, self._config.environment.image_width, self._lockstep)
        return CollectingCar(
            seat=seat,
            environment=RaceEnvironment(self._config.environment, self._track, self._address, login, spectator),
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
        """Takes in the frames that have come, waiting a little for a first one, and answers them."""
        due: list[CollectingCar] = []
        for car in self._connections.ready(FRAME_POLL_S):
            try:
                step = car.environment.advance()
                if step is not None and self._take(car, step):
                    due.append(car)
            except CarError as error:
                self._connections.handle(car, error)
        due = [car for car in due if car.step is not None]  # the others were interrupted meanwhile
        if due:
            self._decide(due)

    def _waits_for_learner(self) -> bool:
        """Whether no weights have come yet though there is enough to start training on."""
        share = self._config.replay.min_items * len(self._connections.cars) / self._config.collection.cars
        return self._weights is None and sum(car.writer.items for car in self._connections.cars) > share

    def _take(self, car: CollectingCar, step: ts.TimeStep) -> bool:
        """Takes a time step in; returns whether an action is due for the car."""
        car.reconnection = None  # it has succeeded
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
        if step.step_type == ts.StepType.LAST:  # is_last() first asks whether it is a tensor: as dear as the policy
            car.writer.end_episode(car.seen)
            return self._begin_episode(car)
        if step.step_type == ts.StepType.FIRST:
            car.writer.begin_episode()
            car.state = self._policy.initial_state(1)[0]
        return True

    def _seen(self, car: CollectingCar, step: ts.TimeStep) -> NDArray[np.float32]:
        """What the critic will see of a time step."""
        if not self._config.agent.privileged_critic:
            return step.observation
        return np.concatenate([step.observation, car.environment.privileged()])

    def _begin_episode(self, car: CollectingCar) -> bool:
        """Starts an episode; returns whether its first step is there already."""
        car.step = car.seen = None
        first = car.environment.begin_episode()
        return first is not None and self._take(car, first)

    def _decide(self, due: list[CollectingCar]) -> None:
        """One batch through the policy, one action to each car."""
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
        """Adds what the car has done to the report."""
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
        """Sees to what no frame tells, and reports it."""
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
        """Leaves the cars' newest states for the thread that writes to Redis."""
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
