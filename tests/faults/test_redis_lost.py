"""Redis is killed, stopped or full: nobody waits for it, and the cars' live state comes back by itself."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from robotini_ray.car.state_store import CarStateStore
from robotini_ray.machine.redis_server import RedisServer
from robotini_ray.program import side_processes
from robotini_ray.program.side_processes import PATIENCE_S, SideProcesses
from tests.fake_time import FakeTime
from tests.waiting import LONG_S, eventually, stored_cars


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis.log")
    server.start()
    yield server
    if server.pid is not None:
        os.kill(server.pid, signal.SIGCONT)
    server.stop()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watch that replaces no Redis because the machine is slow."""
    monkeypatch.setattr(side_processes, "PATIENCE_S", LONG_S)


class Cache:
    """A car's store, written to as a collector does, and what a person is told."""

    def __init__(self, server: RedisServer) -> None:
        self.store = CarStateStore(server.url, "run")
        self.said: list[str] = []
        self.restarts: list[tuple[str, str]] = []
        self.watch = SideProcesses(self.said.append, lambda name, cause: self.restarts.append((name, cause)))
        self.watch.add("redis", server, "training goes on without the cars' live state")
        self.number = 0

    def drive(self) -> int:
        """Puts the next state; would hang here if putting waited for Redis."""
        self.number += 1
        self.store.put("car", {"number": self.number}, b"picture" * 1000)
        return self.number

    def comes_back(self) -> bool:
        self.watch.tick()
        number = self.drive()
        return any(car.name == "car" and car.fields["number"] >= number - 20 for car in stored_cars(self.store))


@pytest.fixture
def cache(server: RedisServer) -> Iterator[Cache]:
    cache = Cache(server)
    eventually(cache.comes_back, "the first state is there")
    yield cache
    cache.store.close()


def test_killed_it_is_started_again_on_its_socket(server: RedisServer, cache: Cache) -> None:
    first, url = server.pid, server.url
    assert first is not None
    os.kill(first, signal.SIGKILL)
    eventually(lambda: bool(cache.drive()) and cache.store.offline_since is not None, "the store says since when it is offline")
    eventually(cache.comes_back, "the state is back")
    assert server.url == url and server.pid != first
    assert cache.restarts == [("redis", "process ended")]
    assert cache.said[0].startswith("redis has ended: training goes on without")
    eventually(lambda: cache.comes_back() and "answers again" in cache.said[-1], "that it is back is said")


def test_stopped_it_is_replaced(server: RedisServer, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_processes, "PATIENCE_S", PATIENCE_S)
    clock = FakeTime(monkeypatch, side_processes)
    began_s = clock.now_s = time.monotonic()
    first = server.pid
    assert first is not None
    os.kill(first, signal.SIGSTOP)
    for _ in range(1000):
        cache.drive()
    while not cache.restarts:
        clock.now_s += 1.0
        cache.watch.tick()
    assert PATIENCE_S < clock.now_s - began_s <= PATIENCE_S + 2.0
    eventually(cache.comes_back, "the state is back")
    assert server.pid != first
    assert cache.restarts == [("redis", "no answer")]


def test_stopped_for_a_moment_it_is_left_alone(server: RedisServer, cache: Cache) -> None:
    first = server.pid
    assert first is not None
    os.kill(first, signal.SIGSTOP)
    eventually(lambda: bool(cache.drive()) and cache.store.offline_since is not None, "the store notices")
    os.kill(first, signal.SIGCONT)
    eventually(cache.comes_back, "the state is back")
    assert server.pid == first and cache.restarts == []


def test_full_it_drops_the_oldest_cars_and_takes_the_newest(server: RedisServer, cache: Cache) -> None:
    command(server, "CONFIG SET maxmemory 3mb")
    for car in range(300):
        cache.store.put(f"car {car}", {}, os.urandom(30_000))
    eventually(lambda: cache.comes_back() and len(stored_cars(cache.store)) < 200, "9 MB do not fit into 3")
    assert cache.store.offline_since is None and cache.restarts == []


def test_full_and_refusing_it_is_offline_until_there_is_room(server: RedisServer, cache: Cache) -> None:
    command(server, "CONFIG SET maxmemory-policy noeviction")
    command(server, "CONFIG SET maxmemory 1")
    eventually(lambda: bool(cache.drive()) and cache.store.offline_since is not None, "the store is refused")
    assert "maxmemory" in cache.store.last_error
    command(server, "CONFIG SET maxmemory 64mb")
    eventually(lambda: cache.comes_back() and cache.store.offline_since is None, "the state is back")
    assert cache.restarts == []


def command(server: RedisServer, line: str) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(LONG_S)
        connection.connect(str(server.socket_path))
        connection.sendall(line.encode() + b"\r\n")
        assert connection.recv(100).startswith(b"+OK")
