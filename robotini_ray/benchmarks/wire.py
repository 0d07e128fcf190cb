"""Counts the bytes on the wire for each camera frame, by stream.

A collector drives in real time (states go to Redis 20 times a second whatever the pace) through relays that count bytes;
afterwards batches are sampled from the replay buffer through another relay. Every process with cars reads a spectator
stream that reports all cars on the track; its bytes are therefore counted with one car and with more. ``scaling`` passes
the config of ``launch/quickstart.yaml``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import portpicker
import reverb

from robotini_ray.benchmarks.apparatus.figure import MeasurementError
from robotini_ray.benchmarks.apparatus.relay import Relay
from robotini_ray.benchmarks.collect import next_report, running_collector
from robotini_ray.config import Config
from robotini_ray.machine.redis_server import RedisServer
from robotini_ray.parts.collector import Collector
from robotini_ray.policy.hand_written import driving_policy
from robotini_ray.replay.server import make_server
from robotini_ray.replay.table import WindowLayout, replay_state, window_dataset
from robotini_ray.run.reports import CarSeat
from robotini_ray.simulator.embedded import temporary_simulator
from robotini_ray.simulator_address import SimulatorAddress

BATCHES = 60
LEAST_FRAMES = 100
"""Frames of each car in a stretch, which lasts as long as they take on a busy machine."""


class Bytes(NamedTuple):
    """Counts of one stretch of driving, over all its cars.

    Attributes:
        frames: Camera frames that the cars acted on.
        decisions: Actions of the policy.
        car_frames: Bytes of camera frames from the simulator to the cars.
        car_commands: Bytes of commands from the cars to the simulator.
        spectator: Bytes of the spectator stream to the collector.
        redis: Bytes from the collector to Redis.
        replay_insert: Bytes from the collector to the replay server.
    """

    frames: int
    decisions: int
    car_frames: int
    car_commands: int
    spectator: int
    redis: int
    replay_insert: int


@dataclasses.dataclass(frozen=True)
class Wire:
    """Everything that ``read_wire`` counts.

    Attributes:
        one: Bytes with one car.
        more: Bytes with ``cars`` cars on one simulator and in one process.
        cars: Number of cars of ``more``.
        sample_bytes: Bytes of one item sampled from the replay buffer.
        weights_bytes: Bytes of one broadcast of weights to one process.
    """

    one: Bytes
    more: Bytes
    cars: int
    sample_bytes: float
    weights_bytes: int


def read_wire(config: Config, cars: int, window_s: float) -> Wire:
    """Counts the bytes of driving with one car and with several, of sampling, and of a broadcast of weights.

    Args:
        config: Config of the run; its pace and some limits of its replay buffer are replaced.
        cars: Number of cars on one simulator in the second stretch; the first has one car.
        window_s: Duration of a stretch, which goes on until each car has acted on ``LEAST_FRAMES`` frames.

    Raises:
        MeasurementError: The car does not drive, or no batch could be sampled.
    """
    config = dataclasses.replace(
        config,
        simulator=dataclasses.replace(config.simulator, pace="realtime"),
        replay=dataclasses.replace(config.replay, min_items=1, samples_per_item=1e5),  # few items suffice, sampled often
    )
    with _servers(config) as servers:
        one, more = _drive(servers, 1, window_s), _drive(servers, cars, window_s)
        weights_bytes = driving_policy(config).flat_weights().nbytes
        return Wire(one, more, cars, _sample_bytes(config, servers.replay_port), weights_bytes)


class _Servers(NamedTuple):
    config: Config
    simulator: SimulatorAddress
    redis_url: str
    replay_port: int

    @property
    def redis_port(self) -> int:
        return int(self.redis_url.rpartition(":")[2].partition("/")[0])


@contextlib.contextmanager
def _servers(config: Config) -> Iterator[_Servers]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="robotini-")))
        simulator = stack.enter_context(temporary_simulator(config.simulator, seed=0))
        redis = RedisServer(folder / "redis.log", "127.0.0.1", folder / "redis.password")
        redis.start()
        stack.callback(redis.stop)
        port = portpicker.pick_unused_port()
        replay = make_server(config, port, folder / "replay")
        stack.callback(replay.stop)
        yield _Servers(config, simulator.address, redis.network_url, port)


def _drive(servers: _Servers, cars: int, window_s: float) -> Bytes:
    config, address = servers.config, servers.simulator
    with contextlib.ExitStack() as stack:
        ports = (address.car_port, address.log_port, servers.redis_port, servers.replay_port)
        car, log, redis, replay = relays = [stack.enter_context(Relay(port)) for port in ports]
        seats = [CarSeat(f"wire-{cars}-{number}", "#1f77b4", config.collection.noise_low, number) for number in range(cars)]
        relayed = SimulatorAddress("127.0.0.1", car.port, log.port)
        url = servers.redis_url.replace(f":{servers.redis_port}/", f":{redis.port}/")
        collector = Collector(config, relayed, seats, False, f"127.0.0.1:{replay.port}", url, "wire")
        collector.set_weights(1, driving_policy(config).flat_weights(), False)
        with running_collector(collector) as thread:
            next_report(collector, thread)
            before = [(relay.to_client_bytes, relay.to_server_bytes) for relay in relays]
            time.sleep(window_s)
            reports = [next_report(collector, thread)]
            while sum(report.env_steps for report in reports) < LEAST_FRAMES * cars:
                reports.append(next_report(collector, thread))
            after = [(relay.to_client_bytes, relay.to_server_bytes) for relay in relays]
    moved = [(late[0] - early[0], late[1] - early[1]) for early, late in zip(before, after, strict=True)]
    frames, decisions = sum(report.env_steps for report in reports), sum(report.decisions for report in reports)
    return Bytes(frames, decisions, *moved[0], moved[1][0], moved[2][1], moved[3][1])


def _sample_bytes(config: Config, port: int) -> float:
    """Returns the bytes of one sampled item.

    The sampling process is a separate one, as the learner is: within the server's process nothing would be sent.
    """
    layout = WindowLayout.from_config(config)
    client = reverb.Client(f"127.0.0.1:{port}")
    before = replay_state(client, layout).sampled
    with Relay(port) as relay:
        learner = multiprocessing.get_context("spawn").Process(target=_draw, args=(f"127.0.0.1:{relay.port}", config))
        learner.start()
        learner.join()
        sampled = replay_state(client, layout).sampled - before
        if learner.exitcode or not sampled:
            raise MeasurementError(f"sampling batches ended with exit code {learner.exitcode} after {sampled} items")
        return relay.to_client_bytes / sampled


def _draw(address: str, config: Config) -> None:
    for _ in window_dataset(address, config).take(BATCHES):
        pass
