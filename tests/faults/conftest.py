"""The tests of faults share a simulator behind a proxy that misbehaves by script, and a collector that drives on it.

A busy machine must not look like a fault, so the limits in seconds are lifted here; a test of one sets it again.
"""

from __future__ import annotations

import contextlib
import math
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import portpicker
import pytest
import reverb

from robotini_ray.car import link as link_module
from robotini_ray.car.link import SilenceLimits
from robotini_ray.car.state_store import CarStateStore
from robotini_ray.config import Config, config_from_dict
from robotini_ray.environment import race_environment
from robotini_ray.machine.redis_server import RedisServer
from robotini_ray.parts.collector import Collector
from robotini_ray.policy.numpy_policy import NumpyPolicy
from robotini_ray.policy.policy_spec import PolicySpec
from robotini_ray.replay.server import make_server
from robotini_ray.replay.table import TABLE, WindowLayout, replay_state
from robotini_ray.run.reports import CarSeat
from robotini_ray.simulator.server import server as server_module
from robotini_ray.simulator.server.server import SimulatorServer
from robotini_ray.simulator.world.race_parameters import RaceParameters
from robotini_ray.simulator_address import SimulatorAddress
from robotini_ray.track.track import load_track
from tests.waiting import LONG_S, eventually, stored_cars

STATE_PATIENCE_S = 20.0
"""Longer than a machine pauses. Not for ever: where a car has left the track, its last state is waited for in vain."""


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cars and simulators of this process that take no silence for a fault, however slow the machine is."""
    monkeypatch.setattr(link_module, "REALTIME_SILENCE", SilenceLimits(math.inf, math.inf, math.inf))
    monkeypatch.setattr(link_module, "LOCKSTEP_SILENCE", SilenceLimits(math.inf, math.inf, math.inf))
    monkeypatch.setattr(race_environment, "STATE_TIMEOUT_S", STATE_PATIENCE_S)
    monkeypatch.setattr(race_environment, "REALTIME_STATE_TIMEOUT_S", STATE_PATIENCE_S)
    monkeypatch.setattr(server_module, "LOGIN_TIMEOUT_S", math.inf)


class Way:
    """One proxied connection. What the simulator sends goes through the proxy's `alter`; `name` is the car's, if known."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server = client, server
        self.name = ""
        self.from_server = 0
        """Pieces (frames of cars, reads of spectators) that came from the simulator."""
        self.from_client = b""
        """The last bytes from the client."""
        self.closed = False

    def cut(self, reset: bool) -> None:
        """Ends the connection towards the client, by RST or by FIN, and towards the simulator."""
        self.closed = True
        if reset:
            self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for sock in (self.client, self.server):
            with contextlib.suppress(OSError):  # wakes the threads that read from it; a reading end says nothing to the peer
                sock.shutdown(socket.SHUT_RD if reset and sock is self.client else socket.SHUT_RDWR)
            sock.close()


class Proxy:
    """Stands before one port of a simulator. `alter(way, piece)` returns what is sent instead of a piece; it may sleep."""

    def __init__(self, target: tuple[str, int], frames: bool) -> None:
        self._target, self._frames = target, frames
        self.alter: Callable[[Way, bytes], bytes] = lambda way, piece: piece
        self.refuse = lambda name: False
        """Whether a login under that name is closed without a word."""
        self.ways: list[Way] = []
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None
        self.port = 0
        self.open()

    def open(self) -> None:
        """Listens, on the same port as before."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        self._start(self._accept, self._listener)

    def stop_listening(self) -> None:
        """Nobody is there for new clients."""
        assert self._listener is not None
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def cut(self, name: str = "", reset: bool = False) -> None:
        """Ends every connection, or those of a car."""
        for way in self.live(name):
            way.cut(reset)

    def live(self, name: str = "") -> list[Way]:
        """The connections that stand, all or those of a car."""
        return [way for way in self.ways if not way.closed and name in ("", way.name)]

    def close(self) -> None:
        self.stop_listening()
        self.cut()
        for thread in self._threads:
            thread.join(timeout=LONG_S)

    def _start(self, target: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server = socket.create_connection(self._target)
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            way = Way(client, server)
            self.ways.append(way)
            self._start(self._guarded, self._upwards, way)
            self._start(self._guarded, self._downwards, way)

    def _guarded(self, pump: Callable[[Way], None], way: Way) -> None:
        with contextlib.suppress(OSError, ValueError):  # closed by one side, or by `cut`
            pump(way)
        way.cut(reset=False)

    def _upwards(self, way: Way) -> None:
        while data := way.client.recv(65536):
            if self._frames and not way.name:
                way.name = data.split(b'"name": "')[1].split(b'"')[0].decode()
                if self.refuse(way.name):
                    return
            way.from_client = data
            way.server.sendall(data)

    def _downwards(self, way: Way) -> None:
        for piece in self._pieces(way.server):
            way.from_server += 1
            sent = self.alter(way, piece)
            way.client.sendall(sent)

    def _pieces(self, sock: socket.socket) -> Iterator[bytes]:
        if not self._frames:
            while data := sock.recv(65536):
                yield data
            return
        with sock.makefile("rb") as stream:
            while head := stream.read(2):
                yield head + stream.read(head[0] << 8 | head[1])


class FaultySimulator:
    """An embedded simulator of the oval behind two proxies."""

    def __init__(self, server: SimulatorServer) -> None:
        self._server = server
        self._thread = threading.Thread(target=server.run, daemon=True)
        self._thread.start()
        self.cars = Proxy(server.car_address, frames=True)
        self.spectators = Proxy(server.log_address, frames=False)
        self.address = SimulatorAddress("127.0.0.1", self.cars.port, self.spectators.port)

    def close(self) -> None:
        self.cars.close()
        self.spectators.close()
        self._server.stop()
        self._thread.join(timeout=LONG_S)


@pytest.fixture
def faulty_simulator() -> Iterator[Callable[[str], FaultySimulator]]:
    """Starts a simulator with a pace, `realtime` or `max`."""
    started: list[FaultySimulator] = []

    def start(pace: str) -> FaultySimulator:
        server = SimulatorServer(
            load_track("oval"),
            RaceParameters(),
            car_port=0,
            log_port=0,
            pace=pace,  # type: ignore[arg-type]
            answer_timeout_ms=600_000,
        )
        started.append(FaultySimulator(server))
        return started[-1]

    yield start
    for simulator in started:
        simulator.close()


def make_config(**environment: Any) -> Config:
    """Cars that creep straight ahead at 3 mm/s.

    The simulator takes them for not started, so it puts none back, and none comes to a wall, however long a test takes.
    """
    return config_from_dict(
        {
            "simulator": {"track": "oval"},
            "environment": {
                "image_width": 16, "throttle_low": 0.0001, "throttle_high": 0.0002, "action_repeat": 2, "crash_penalty": 100.0,
                **environment,
            },
            "agent": {"algorithm": "td3", "actor_layers": [8]},
            "replay": {"min_items": 1, "capacity": 50_000},
            "collection": {"cars": 2},
        }
    )  # fmt: skip


@pytest.fixture
def config() -> Callable[..., Config]:
    """Makes the config of the cars here."""
    return make_config


class Rig:
    """A collector in a thread, with a replay table and a Redis of its own."""

    def __init__(self, folder: Path, config: Config, address: SimulatorAddress, cars: int, lockstep: bool) -> None:
        port = portpicker.pick_unused_port()
        self.config = config
        self._server = make_server(config, port, folder / "replay")
        self._redis = RedisServer(folder / "redis.log")
        self._redis.start()
        self.client = reverb.Client(f"127.0.0.1:{port}")
        self._store = CarStateStore(self._redis.url, "run")
        seats = [CarSeat(f"car{index}", "#123456", 0.0, index) for index in range(cars)]
        self.collector = Collector(config, address, seats, lockstep, f"127.0.0.1:{port}", self._redis.url, "run")
        self._weights = NumpyPolicy(PolicySpec.from_config(config)).flat_weights()
        self.pause(False)
        self.faults: Counter[str] = Counter()
        self.reconnect_causes: Counter[str] = Counter()
        self.reconnects = self.env_steps = self.decisions = 0
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def pause(self, pause: bool) -> None:
        """The learner's broadcast."""
        self.collector.set_weights(1, self._weights, pause)

    def look(self) -> Any:
        """Adds the newest report to the totals and returns it."""
        if self.error is not None:
            raise self.error
        report = self.collector.report()
        self.faults.update({cause: count for cause, count in report.faults.items() if count})
        self.reconnects += report.reconnects
        self.reconnect_causes.update(report.reconnect_causes)
        self.env_steps += report.env_steps
        self.decisions += report.decisions
        return report

    def live(self, name: str = "car0") -> dict[str, Any]:
        """What Redis says of a car, once it says something; on a busy machine it may not answer at once."""

        def read() -> dict[str, Any]:
            return {car.name: car.fields for car in stored_cars(self._store)}.get(name, {})

        return eventually(read, f"Redis tells of {name}")

    def wait_for_status(self, status: str, name: str = "car0") -> dict[str, Any]:
        """What Redis says of a car, once its status is this."""

        def arrived() -> Any:
            self.look()
            found = self.live(name)
            return found["status"] == status and found

        return eventually(arrived, f"{name} is {status}")

    def wait_for_steps(self, more: int) -> None:
        """Until the cars have driven so many more frames that count."""
        self.look()
        goal = self.env_steps + more
        eventually(lambda: self.look() and self.env_steps >= goal, f"{goal} frames are driven")

    def wait_for_faults(self, cause: str, count: int) -> None:
        eventually(lambda: self.look() and self.faults[cause] >= count, f"{count} of {cause}, have {self.faults}")

    def stored_items(self) -> int:
        """Returns the table's number of items once all that the cars wrote is in it; they must write nothing meanwhile."""
        for car in self.collector._connections.cars:
            car.writer.flush(timeout_ms=120_000)
        return replay_state(self.client, WindowLayout.from_config(self.config), 120).inserted

    def windows(self) -> list[np.ndarray]:
        """The rows of every window in the table, after ending the collector."""
        self.stop()
        count = self.client.server_info()[TABLE].current_size
        found: dict[int, np.ndarray] = {}
        while len(found) < count:
            for sample in self.client.sample(TABLE, 4 * count, emit_timesteps=False, unpack_as_table_signature=True):
                found[sample.info.key] = sample.data["rows"]
        return [found[key] for key in sorted(found)]

    def stop(self) -> None:
        self.collector.stop()
        self._thread.join(timeout=LONG_S)
        assert not self._thread.is_alive()

    def close(self) -> None:
        self.stop()
        self._store.close()
        self._redis.stop()
        self._server.stop()

    def _run(self) -> None:
        try:
            self.collector.run()
        except Exception as error:
            self.error = error


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    """Starts a collector on a simulator's address."""
    rigs: list[Rig] = []

    def start(address: SimulatorAddress, cars: int = 1, lockstep: bool = False, **environment: Any) -> Rig:
        rigs.append(Rig(tmp_path, make_config(**environment), address, cars, lockstep))
        return rigs[-1]

    yield start
    for started in rigs:
        started.close()
