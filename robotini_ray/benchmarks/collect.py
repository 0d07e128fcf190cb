"""Measures ``collect_speedup`` and ``collector_roofline``: how fast the experience of six cars gets into the replay buffer.

One process drives the cars, in turn with this program's collector (the new path) and with the step of the trainer that
it replaces (the old path, ``old_step``). Both paths use the same simulator in lock-step, the same network, weights and
history, and decide at every frame, so that their steps are the same. The speed of the new path with decisions that last
three frames is reported beside them. A measured stretch ends when Reverb has acknowledged every insert.

The roofline is the time of the indispensable parts of a step, each timed alone (``collector_parts``), over the processor
time that the collector's thread takes for the whole step.
"""

from __future__ import annotations

import contextlib
import functools
import select
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import portpicker
import reverb
from tf_agents.policies import py_tf_eager_policy

from robotini_ray.benchmarks.apparatus.collector_parts import PartTimes, measure_parts
from robotini_ray.benchmarks.apparatus.figure import Figure, Measurement, MeasurementError, Say, Target
from robotini_ray.benchmarks.apparatus.old_step import OldCar, make_old_server
from robotini_ray.benchmarks.apparatus.pairs import PAIRS, interleave, ratios, spread
from robotini_ray.benchmarks.policy import tf_agents_policy
from robotini_ray.car.spectator import Spectator
from robotini_ray.config import Config, SimulatorConfig, config_from_dict
from robotini_ray.machine.redis_server import RedisServer
from robotini_ray.parts.collector import Collector
from robotini_ray.policy.hand_written import driving_policy
from robotini_ray.replay.server import make_server
from robotini_ray.run.reports import CarSeat, CollectorReport
from robotini_ray.simulator.embedded import temporary_simulator
from robotini_ray.simulator_address import SimulatorAddress
from robotini_ray.track.track import load_track

CARS = 6
WIDTHS = (128, 32)
REPEAT = 3
NOISE = 0.05
NETWORK = "MLP 128x128"
SPEEDUP_TARGETS = {128: Target("at least", 6.0), 32: Target("at least", 10.0)}
ROOFLINE_TARGET = Target("at least", 0.8)

WARM_UP_S = 0.1
POLL_S = 0.005
STEP_TIMEOUT_S = 120.0
"""Only a simulator or a collector that hangs takes so long to the next step, however busy the machine is."""


class Stretch(NamedTuple):
    """Environment steps (camera frames) per second in one stretch, and the driving thread's processor time for each step."""

    steps_per_s: float
    cpu_s: float


class Reading(NamedTuple):
    """One round of measurements at one picture width; ``repeated`` is the new path with ``REPEAT`` frames per decision."""

    old: Stretch
    new: Stretch
    repeated: Stretch
    parts: PartTimes


def make_config(width: int, action_repeat: int = 1) -> Config:
    """Returns the config of the environment and the network, the same for both paths."""
    environment = {"image_width": width, "action_repeat": action_repeat}
    return config_from_dict(
        {"environment": environment, "collection": {"cars": CARS, "noise_damping": 1.0}, "replay": {"min_items": 100}}
    )


class Workbench:
    """Drives stretches with both paths.

    Args:
        address: A simulator in lock-step.
        redis_url: The Redis server to which the new path's collector writes the live states of its cars.
        replay: ``HOST:PORT`` of the new path's Reverb server, made for the windows of ``make_config``.
        old_replay: ``HOST:PORT`` of the old path's Reverb server.
    """

    def __init__(self, address: SimulatorAddress, redis_url: str, replay: str, old_replay: str) -> None:
        self._address, self._redis_url, self._replay, self._old_replay = address, redis_url, replay, old_replay
        self._drives = 0
        self._old_policies: dict[int, py_tf_eager_policy.PyTFEagerPolicy] = {}

    def read(self, width: int, window_s: float, parts_window_s: float) -> Reading:
        """Measures both paths, then the parts alone, with the last picture of the old path's stretch as their input."""
        old, png = self._drive_old(make_config(width), window_s)
        new = self._drive_new(make_config(width), window_s)
        repeated = self._drive_new(make_config(width, REPEAT), window_s / 2)
        parts = measure_parts(make_config(width), png, reverb.Client(self._replay), parts_window_s)
        return Reading(old, new, repeated, parts)

    def _names(self) -> list[str]:
        self._drives += 1
        return [f"collect-{self._drives}-{number}" for number in range(CARS)]

    def _drive_new(self, config: Config, window_s: float) -> Stretch:
        seats = [CarSeat(name, "#1f77b4", NOISE, seed) for seed, name in enumerate(self._names())]
        collector = Collector(config, self._address, seats, True, self._replay, self._redis_url, "benchmark")
        collector.set_weights(1, driving_policy(config).flat_weights(), False)
        with running_collector(collector) as thread:
            next_report(collector, thread)
            time.sleep(WARM_UP_S)
            cpu_clock = time.pthread_getcpuclockid(thread.ident or 0)
            collector.report()
            began_s, began_cpu_s = time.perf_counter(), time.clock_gettime(cpu_clock)
            time.sleep(window_s)
            steps = next_report(collector, thread).env_steps
            cpu_s = time.clock_gettime(cpu_clock) - began_cpu_s
        wall_s = time.perf_counter() - began_s
        return Stretch((steps + collector.report().env_steps) / wall_s, cpu_s / steps)

    def _drive_old(self, config: Config, window_s: float) -> tuple[Stretch, bytes]:
        policy = self._old_policy(config)
        spectator = Spectator(self._address.host, self._address.log_port, track=load_track(config.simulator.track))
        replay = reverb.Client(self._old_replay)
        cars: list[OldCar] = []
        try:
            for name in self._names():
                cars.append(OldCar(config, self._address, name, spectator, replay, policy))
            _drive(cars, WARM_UP_S)
            began_s, began_cpu_s = time.perf_counter(), time.thread_time()
            steps = _drive(cars, window_s)
            cpu_s = time.thread_time() - began_cpu_s
            for car in cars:
                car.flush()
            return Stretch(steps / (time.perf_counter() - began_s), cpu_s / steps), cars[0].last_png
        finally:
            for car in cars:
                car.close()
            spectator.close()

    def _old_policy(self, config: Config) -> py_tf_eager_policy.PyTFEagerPolicy:
        width = config.environment.image_width
        if width not in self._old_policies:
            self._old_policies[width] = tf_agents_policy(config, driving_policy(config))
        return self._old_policies[width]


def measure(say: Say, *, window_s: float = 0.6, parts_window_s: float = 0.08, rounds: int = PAIRS) -> list[Figure]:
    """Measures both paths at both picture widths.

    Args:
        say: Takes a line of progress at a time.
        window_s: Duration of a stretch with either path; half of it where a decision lasts several frames.
        parts_window_s: Duration for which each part is timed alone.
        rounds: Number of pairs of stretches.
    """
    say("collect: starting simulator, Redis and replay")
    with _workbench() as workbench:
        say("collect: building both paths")
        for width in WIDTHS:
            workbench.read(width, 0.0, 0.0)
        measures = {width: functools.partial(workbench.read, width, window_s, parts_window_s) for width in WIDTHS}
        readings = interleave(measures, rounds, lambda number: say(f"collect: round {number} of {rounds}"))
    return [figure for width in WIDTHS for figure in collect_figures(width, readings[width])]


def collect_figures(width: int, readings: Sequence[Reading]) -> list[Figure]:
    """Computes the figures of one picture width from its rounds."""
    suffix = "" if width == WIDTHS[0] else f"_width_{width}"

    def rate(reading: Stretch) -> float:
        return reading.steps_per_s

    def figure(name: str, value: Any, unit: str, target: Target | None = None) -> Figure:
        return Figure(f"{name}{suffix}", value, unit, target, "max", NETWORK)

    old, new = [rate(reading.old) for reading in readings], [rate(reading.new) for reading in readings]
    repeated = [rate(reading.repeated) for reading in readings]
    cpu_s = [reading.new.cpu_s for reading in readings]
    parts = [reading.parts for reading in readings]
    required_s = [part.receive_s + part.decode_s + part.append_s for part in parts]
    times = {name.removesuffix("_s"): [getattr(part, name) for part in parts] for name in PartTimes._fields}
    times["step"] = cpu_s
    return [
        figure("collect_speedup", ratios(new, old), "x", SPEEDUP_TARGETS[width]),
        figure(f"collect_speedup_repeat_{REPEAT}", ratios(repeated, old), "x"),
        figure("collect_rate", spread(new), "steps/s"),
        figure("collect_rate_old", spread(old), "steps/s"),
        figure("collector_roofline", ratios(required_s, cpu_s), "of step", ROOFLINE_TARGET),
        figure("collector_roofline_features", ratios([sum(part) for part in parts], cpu_s), "of step"),
        *(
            figure(f"collector_time_{name}", spread([1e6 * value for value in values]), "us/step")
            for name, values in times.items()
        ),
    ]


@contextlib.contextmanager
def _workbench() -> Iterator[Workbench]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="robotini-")))
        simulator = stack.enter_context(temporary_simulator(SimulatorConfig(pace="max"), seed=0))
        redis = RedisServer(folder / "redis.log")
        redis.start()
        stack.callback(redis.stop)
        ports = [portpicker.pick_unused_port() for _ in range(2)]
        replay = make_server(make_config(WIDTHS[0]), ports[0], folder / "replay")
        stack.callback(replay.stop)
        old_replay = make_old_server(ports[1])
        stack.callback(old_replay.stop)
        addresses = [f"127.0.0.1:{port}" for port in ports]
        yield Workbench(simulator.address, redis.url, *addresses)


@contextlib.contextmanager
def running_collector(collector: Collector) -> Iterator[threading.Thread]:
    """Runs a collector in a thread of its own, which it yields; stops and joins it at the end of the context."""
    thread = threading.Thread(target=collector.run, name="collector")
    thread.start()
    try:
        yield thread
    finally:
        collector.stop()
        thread.join()


def next_report(collector: Collector, thread: threading.Thread) -> CollectorReport:
    """Blocks until the collector has acted on a frame since its last report, and returns its report.

    Raises:
        MeasurementError: The thread has ended, or no frame came within ``STEP_TIMEOUT_S``.
    """
    deadline_s = time.monotonic() + STEP_TIMEOUT_S
    while True:
        report = collector.report()
        if not thread.is_alive():
            raise MeasurementError("the collector drives no car: its thread has ended, and its error is printed above")
        if report.env_steps:
            return report
        if time.monotonic() > deadline_s:
            raise MeasurementError(f"the collector drives no car: no frame came in {STEP_TIMEOUT_S:g} s")
        time.sleep(POLL_S)


def _drive(cars: Sequence[OldCar], seconds: float) -> int:
    """Reads and answers frames for a number of seconds, at least one frame; returns how many there were."""
    poll, by_descriptor = select.poll(), {car.fileno(): car for car in cars}
    for descriptor in by_descriptor:
        poll.register(descriptor, select.POLLIN)
    steps, ends_s = 0, time.perf_counter() + seconds
    while time.perf_counter() < ends_s or not steps:
        ready = poll.poll(1000 * STEP_TIMEOUT_S)
        if not ready:
            raise MeasurementError(f"the simulator sent no frame for {STEP_TIMEOUT_S:g} s")
        for descriptor, _ in ready:
            by_descriptor[descriptor].step()
            steps += 1
    return steps


MEASUREMENTS: tuple[Measurement, ...] = (measure,)
