"""Times the parts of a collector's step alone, without the loop around them."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import reverb

from robotini_ray.car.connection import CarConnection, Login
from robotini_ray.config import ACTION_SIZE, Config
from robotini_ray.environment.observation import decode_png, features
from robotini_ray.replay.table import WindowLayout, WindowWriter

BATCH = 20
TIMEOUT_S = 120.0


class PartTimes(NamedTuple):
    """Processor time of the measuring thread for one frame of one car; ``receive_s`` includes sending the answer."""

    receive_s: float
    decode_s: float
    features_s: float
    append_s: float


def measure_parts(config: Config, png: bytes, replay: reverb.Client, window_s: float) -> PartTimes:
    """Times every part alone.

    Args:
        config: Config of the environment and of the windows in the replay buffer.
        png: A picture as the simulator sends it, without its length.
        replay: A client of a server that ``make_server`` made for windows of this layout.
        window_s: Duration for which each part is timed.
    """
    width = config.environment.image_width
    height = width * 80 // 128
    picture = decode_png(png, width, height)
    return PartTimes(
        _receive_s(png, width, window_s),
        _timed_s(lambda: decode_png(png, width, height), window_s),
        _timed_s(lambda: features(picture), window_s),
        _append_s(config, replay, window_s),
    )


def _receive_s(png: bytes, width: int, window_s: float) -> float:
    simulator, car = socket.socketpair()
    car.setblocking(False)
    connection = CarConnection(car, "localhost", 0, Login("car", "car", image_width=width, lockstep=True))
    message = len(png).to_bytes(2, "big") + png
    spent_s, count, ends_s = 0.0, 0, time.perf_counter() + window_s
    with simulator:
        while time.perf_counter() < ends_s or not count:
            simulator.sendall(message)
            began_s = time.thread_time()
            connection.receive(TIMEOUT_S)
            connection.send(0.1, 0.0)
            spent_s += time.thread_time() - began_s
            simulator.recv(1 << 16)
            count += 1
        connection.close()
    return spent_s / count


def _append_s(config: Config, replay: reverb.Client, window_s: float) -> float:
    layout = WindowLayout.from_config(config)
    writer = WindowWriter(replay, layout)
    observation = np.random.default_rng(0).random(layout.observation_size, np.float32)
    action, state = np.zeros(ACTION_SIZE, np.float32), np.zeros(layout.state_size, np.float32)
    writer.begin_episode()
    spent_s, count, ends_s = 0.0, 0, time.perf_counter() + window_s
    while time.perf_counter() < ends_s or not count:
        began_s = time.thread_time()
        for _ in range(BATCH):
            writer.add(observation, action, 0.5, 1.0, False, state)
        spent_s += time.thread_time() - began_s
        count += BATCH
        writer.flush(timeout_ms=int(1000 * TIMEOUT_S))  # without waiting, this loop would outrun the server
    writer.close()
    return spent_s / count


def _timed_s(work: Callable[[], object], window_s: float) -> float:
    count, ends_s = 0, time.perf_counter() + window_s
    began_s = time.thread_time()
    while time.perf_counter() < ends_s or not count:
        for _ in range(BATCH):
            work()
        count += BATCH
    return (time.thread_time() - began_s) / count
