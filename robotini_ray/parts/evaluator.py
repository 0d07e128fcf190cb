"""Defines the evaluator, which evaluates the newest policy with a car of its own and keeps the best one."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robotini_ray.agents.saved_model import SavedModelExporter
from robotini_ray.car.connection import Login, backoff_delays
from robotini_ray.car.errors import CarError
from robotini_ray.car.spectator import Spectator
from robotini_ray.car.state_store import CarStateStore
from robotini_ray.config import Config
from robotini_ray.environment.race_environment import RaceEnvironment
from robotini_ray.parts.evaluation import evaluate
from robotini_ray.parts.interfaces import EvaluatorPart
from robotini_ray.parts.last_lap_film import LastLapFilm
from robotini_ray.policy.numpy_policy import NumpyPolicy
from robotini_ray.policy.policy_files import PolicyShelf, load_policy, save_policy
from robotini_ray.policy.policy_spec import PolicyError, PolicySpec
from robotini_ray.policy.weight_average import WeightsAverage
from robotini_ray.run.course import Course
from robotini_ray.run.reports import Evaluation, EvaluationResult, train_step_of
from robotini_ray.simulator_address import SimulatorAddress
from robotini_ray.track.track import load_track

LOG = logging.getLogger(__name__)

POLL_S = 0.05
STATE_INTERVAL_S = 0.05


class Evaluator(EvaluatorPart):
    """Evaluates the newest weights repeatedly until ``stop``.

    Args:
        config: The config of the run.
        address: The address of the simulator that its car uses.
        lockstep: Whether that simulator waits for the car.
        car_name: The name under which its car logs in.
        policies_dir: The directory in which the policies ``best`` and ``latest`` are kept.
        redis_url: The Redis to which the car's live state is written.
        run_name: The name of the run; it distinguishes the car from those of other runs in Redis.

    Raises:
        PolicyError: The present ``best`` policy cannot be read, or has no rank.
    """

    def __init__(
        self,
        config: Config,
        address: SimulatorAddress,
        lockstep: bool,
        car_name: str,
        policies_dir: Path,
        redis_url: str,
        run_name: str,
    ) -> None:
        self._config = config
        self._address = address
        self._login = Login(car_name, car_name, "#f5c211", config.environment.image_width, lockstep)
        self._track = load_track(config.simulator.track)
        self._course = Course.of(self._track, config)
        # The car drives on where a training episode would be truncated: its episodes end only when it is put back.
        self._environment_config = dataclasses.replace(config.environment, episode_laps=1000, episode_frames=100_000)
        self._policy = NumpyPolicy(PolicySpec.from_config(config))
        self._exporter = SavedModelExporter(config)
        self._shelf = PolicyShelf(policies_dir)
        self._best_rank = _best_rank(policies_dir / "best", self._course)
        self._store = CarStateStore(redis_url, run_name)
        self._next_state_at = 0.0
        self._next_at = 0.0
        self._average = WeightsAverage(config.evaluation.average_steps)
        self._weights: tuple[int, NDArray[np.float32], float] | None = None  # with the time of their arrival
        self._version = self._judged = -1
        self._version_at = 0.0
        self._has_driven = False
        self._film = LastLapFilm()
        self._finished: list[Evaluation] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def run(self) -> None:
        """Evaluates until ``stop``; waits for new weights between evaluations.

        An evaluation during which the simulator was lost is discarded and repeated.

        Raises:
            CarError: The simulator refuses the car or cannot be reached, and the car has never driven.
        """
        delays = backoff_delays()
        while not self._stop.is_set():
            weights = self._weights
            if weights is None or weights[0] <= max(0, self._judged) or time.monotonic() < self._next_at:
                self._stop.wait(POLL_S)
                continue
            self._next_at = time.monotonic() + self._config.evaluation.interval_s
            self._version, flat_weights, self._version_at = weights
            self._policy.set_weights(flat_weights)
            self._film = LastLapFilm()
            try:
                result = self._drive()
            except CarError as error:
                if not self._has_driven:
                    raise
                LOG.warning("the evaluation of step %d is repeated: %s", self._version, error)
                self._next_at = 0.0
                self._stop.wait(next(delays))
                continue
            delays = backoff_delays()
            self._judged = self._version
            if not self._stop.is_set():
                self._keep(train_step_of(self._version), result)
        self._store.close()

    def set_weights(self, version: int, flat_weights: NDArray[np.float32], pause: bool) -> None:
        """Stores the weights for the next evaluation, averaged with earlier ones (see ``WeightsAverage``)."""
        known = self._weights
        came_at = known[2] if known is not None and known[0] == version else time.monotonic()
        self._weights = (version, self._average.add(train_step_of(version), flat_weights), came_at)

    def report(self) -> list[Evaluation]:
        """Returns the evaluations that have finished since the last call."""
        with self._lock:
            finished, self._finished = self._finished, []
        return finished

    def hurry(self) -> None:
        """Has the next evaluation start at once, if there are weights newer than those of the last one."""
        self._next_at = 0.0

    def stop(self) -> None:
        """Ends ``run`` soon and abandons an evaluation under way; returns at once."""
        self._stop.set()

    def _drive(self) -> EvaluationResult:
        spectator = Spectator(self._address.host, self._address.log_port, track=self._track)
        environment = RaceEnvironment(self._environment_config, self._track, self._address, self._login, spectator)
        settings = self._config.evaluation
        try:
            return evaluate(environment, self._policy, settings.laps, settings.max_seconds, self._watch)
        finally:
            environment.close()
            spectator.close()

    def _watch(self, environment: RaceEnvironment) -> bool:
        self._has_driven = True
        if environment.last_png:
            live = environment.score.live()
            self._film.take(live["laps"], live["lap_time_s"], environment.last_png)
        now = time.monotonic()
        if environment.state is not None and now >= self._next_state_at:
            self._next_state_at = now + STATE_INTERVAL_S
            fields = {
                **environment.live_state(),
                "role": "evaluator",
                "color": self._login.color,
                "status": "driving",
                "weights_version": train_step_of(self._version),
                "weights_age_s": now - self._version_at,
            }
            self._store.put(self._login.name, fields, environment.last_png)
        return not self._stop.is_set()

    def _keep(self, version: int, result: EvaluationResult) -> None:
        """Saves the policy as ``latest``, and also as ``best`` if it ranks above all earlier ones of the run."""
        best = result.rank() > self._best_rank
        last_lap = self._film.strip(self._config.environment.image_width)
        directory = self._shelf.version(f"step-{version:09d}-{time.time_ns():x}")
        facts = {
            "train_step": version,
            "evaluation": result.to_json(self._course.limit_s),
            "rank": list(result.rank()),
            "course": self._course.to_json(),
        }
        save_policy(directory, self._policy, facts)
        self._exporter.save(self._policy, directory / "saved_model")
        self._shelf.point("latest", directory)
        if best:
            self._best_rank = result.rank()
            self._shelf.point("best", directory)
        with self._lock:
            self._finished.append(Evaluation(version, result, best, last_lap))


def _best_rank(directory: Path, course: Course) -> tuple[float, ...]:
    """Returns the rank of the run's best policy on a course; where there is none, a rank below every other."""
    if not directory.exists():
        return (-1.0,)
    _, facts = load_policy(directory)
    if "rank" not in facts:
        raise PolicyError(f"the policy {directory} has no rank, so no training run wrote it: move it away and start again")
    return tuple(facts["rank"]) if course.is_of(facts.get("course"), facts.get("evaluation", {})) else (-1.0,)
