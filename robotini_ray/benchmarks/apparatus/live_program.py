"""Runs the whole program for figures of its parts at work together: six cars, replay, and a learner that never waits.

The parts are the program's own, or subclasses that also take times. The learner, or the simulator with the collectors, is
halted and resumed by signals (SIGSTOP, SIGCONT), so that two states of one running program can be measured in turn.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import ray

from robotini_ray.benchmarks.apparatus.figure import MeasurementError, Say
from robotini_ray.config import Config, SimulatorConfig, config_from_dict
from robotini_ray.machine.redis_server import RedisServer
from robotini_ray.parts.interfaces import Part
from robotini_ray.program.part import WORKER_ENVIRONMENT, PartHandle, start_part
from robotini_ray.run.reports import CarSeat, LearnerReport
from robotini_ray.simulator.embedded import temporary_simulator

Result = TypeVar("Result")

CARS = 6
CARS_PER_COLLECTOR = 3
LIVE_NETWORK = "LSTM 64, 32x20"
COLLECTOR = "robotini_ray.parts.collector:Collector"
LEARNER = "robotini_ray.parts.learner:Learner"

START_TIMEOUT_S = 600.0
CALL_TIMEOUT_S = 120.0
"""Only a part that hangs meets these limits, however busy the machine is: one that fails raises its error at once."""

POLL_S = 0.01
SETTLE_S = 0.3


def live_config() -> Config:
    """Returns the config: a recurrent agent of 64 units that trains on batches of 32 sequences of 20 rows.

    The replay ratio is so high that it holds back neither the learner nor the cars.
    """
    return config_from_dict(
        {
            "simulator": {"pace": "realtime"},
            "environment": {"image_width": 64, "episode_laps": 1000},
            "agent": {
                "algorithm": "rdpg",
                "actor_layers": [64],
                "critic_layers": [64],
                "lstm_units": 64,
                "batch_size": 32,
                "burn_in": 3,
                "sequence_length": 14,
                "n_step": 3,
            },
            "replay": {"min_items": 32, "samples_per_item": 1e5},
            "collection": {"cars": CARS, "cars_per_collector": CARS_PER_COLLECTOR},
            "learner": {"steps_per_call": 5, "threads": 1},
        }
    )


class Rate(NamedTuple):
    """Rate of work over a stretch of wall time; ``waiting_share`` is the share without data that the learner itself reports."""

    per_s: float
    waiting_share: float = 0.0


@dataclasses.dataclass(frozen=True)
class LiveProgram:
    """The running parts, the process ids of those that can be halted, and measurements of their rates."""

    config: Config
    learner: PartHandle
    collectors: Sequence[PartHandle]
    logs: Path
    world_pids: Sequence[int]
    learner_pid: int
    redis_url: str

    def start_learner(self) -> None:
        """Starts training and blocks until the first train steps are done.

        Raises:
            MeasurementError: There is no train step within ``START_TIMEOUT_S``.
        """
        self.learner.start_loop()
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not self.learner_report().train_step:
            if time.monotonic() > deadline_s:
                raise MeasurementError(f"the learner has not trained in {START_TIMEOUT_S:g} s")
            time.sleep(10 * POLL_S)

    def learner_report(self) -> LearnerReport:
        """Fetches the learner's report."""
        report: LearnerReport = self.learner.ask(START_TIMEOUT_S, Part.report)
        return report

    def ask_collectors(self, method: Callable[[Any], Result]) -> list[Result]:
        """Calls a method of every collector and returns the results."""
        answers: list[Result] = ray.get([part.tell(method) for part in self.collectors], timeout=CALL_TIMEOUT_S)
        return answers

    def learner_rate(self, seconds: float) -> Rate:
        """Measures train steps per second, from the end of one call of TF-Agents' learner to the end of a later one.

        Raises:
            MeasurementError: The learner does no train step for ``CALL_TIMEOUT_S``.
        """
        first, began_s, _ = self._next_call()
        waited_s, step, now_s = 0.0, first, began_s
        while now_s < began_s + seconds:
            before_s = now_s
            step, now_s, share = self._next_call()
            waited_s += share * (now_s - before_s)
        return Rate((step - first) / (now_s - began_s), waited_s / (now_s - began_s))

    def _next_call(self) -> tuple[int, float, float]:
        """Blocks until the learner has done its next call; returns the train step, the time and the share of waiting."""
        report = self.learner_report()
        first, waited_s, began_s = report.train_step, 0.0, time.perf_counter()
        reported_s = began_s
        while report.train_step == first:
            if time.perf_counter() > began_s + CALL_TIMEOUT_S:
                raise MeasurementError("the learner has stopped training")
            time.sleep(POLL_S)
            report = self.learner_report()
            now_s = time.perf_counter()
            waited_s += report.waiting_share * (now_s - reported_s)
            reported_s = now_s
        return report.train_step, reported_s, waited_s / (reported_s - began_s)

    def frame_rate(self, seconds: float) -> Rate:
        """Measures the frames per second that all cars together act on, over ``seconds`` or until the first frame.

        Raises:
            MeasurementError: The cars act on no frame for ``CALL_TIMEOUT_S``.
        """
        self._frames()
        began_s = time.perf_counter()
        time.sleep(seconds)
        while not (frames := self._frames()):
            if time.perf_counter() > began_s + seconds + CALL_TIMEOUT_S:
                raise MeasurementError("the cars have stopped driving")
            time.sleep(POLL_S)
        return Rate(frames / (time.perf_counter() - began_s))

    def _frames(self) -> int:
        """Returns the number of frames that all cars have acted on since the last call."""
        return sum(report.env_steps for report in self.ask_collectors(Part.report))

    @contextlib.contextmanager
    def learner_halted(self) -> Iterator[None]:
        """Halts the learner's process within the context."""
        with _halted([self.learner_pid]):
            yield

    @contextlib.contextmanager
    def cars_halted(self) -> Iterator[None]:
        """Halts the processes of the simulator and of the collectors within the context."""
        with _halted(self.world_pids):
            yield


@contextlib.contextmanager
def running_program(config: Config, say: Say, *, learner: str = LEARNER, collector: str = COLLECTOR) -> Iterator[LiveProgram]:
    """Runs a program whose cars drive and fill replay and whose learner has not begun; ends it with the context.

    Args:
        config: Config of the program, such as ``live_config()``.
        say: Takes a line of progress at a time.
        learner: ``package.module:Class`` of the learner.
        collector: ``package.module:Class`` of the collectors.
    """
    with contextlib.ExitStack() as stack:
        run_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="robotini-")))
        logs = run_dir / "logs"
        for name in ("logs", "checkpoints", "tensorboard"):
            (run_dir / name).mkdir()
        pace = config.simulator.pace
        simulator = stack.enter_context(temporary_simulator(SimulatorConfig(pace=pace), seed=0))
        redis = RedisServer(logs / "redis.log")
        redis.start()
        stack.callback(redis.stop)
        say("starting Ray, replay, collectors and the learner")
        _start_ray(stack)
        replay = start_part("replay", logs, "robotini_ray.replay.server:ReplayServer", config, run_dir)
        stack.callback(replay.kill)
        address = replay.ask(START_TIMEOUT_S, Part.report).address
        learning = start_part("learner", logs, learner, config, address, run_dir)
        stack.callback(learning.kill)
        collectors = []
        for number, seats in enumerate(_seats(config)):
            arguments = (config, simulator.address, seats, pace == "max", address, redis.url, run_dir.name)
            part = start_part(f"collector-{number}", logs, collector, *arguments)
            stack.callback(part.kill)
            collectors.append(part)
        learning.ask(START_TIMEOUT_S, Part.report)
        world_pids = [simulator.pid, *(_pid(part) for part in collectors)]
        for part in collectors:
            part.ask(START_TIMEOUT_S, Part.report)
            part.start_loop()
        yield LiveProgram(config, learning, collectors, logs, world_pids, _pid(learning), redis.url)


def _pid(part: PartHandle) -> int:
    _, process = ray.get(part.whereabouts(), timeout=START_TIMEOUT_S)
    return int(process.pid)


@contextlib.contextmanager
def _halted(pids: Sequence[int]) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(SETTLE_S)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        time.sleep(SETTLE_S)


def _start_ray(stack: contextlib.ExitStack) -> None:
    os.environ.update(WORKER_ENVIRONMENT)
    os.environ.setdefault("RAY_worker_niceness", "0")  # as in training
    warnings.filterwarnings("ignore", category=FutureWarning, module="ray")
    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="error")
    stack.callback(ray.shutdown)


def _seats(config: Config) -> list[list[CarSeat]]:
    collection = config.collection
    seats = [CarSeat(f"live-{number}", "#1f77b4", collection.noise_low, number) for number in range(collection.cars)]
    return [seats[k : k + collection.cars_per_collector] for k in range(0, len(seats), collection.cars_per_collector)]
