import dataclasses
import os
import signal
import time

import pytest

from robotini_ray.car import state_store
from robotini_ray.car.state_store import CarStateStore, StoreUnavailable
from robotini_ray.machine.redis_server import RedisServer
from tests.waiting import LONG_S, eventually, stored_cars


@pytest.fixture
def server(tmp_path):
    with RedisServer(tmp_path / "redis.log") as server:
        yield server


@pytest.fixture
def patient(monkeypatch):
    """Stores that wait for a slow Redis and keep what they have written."""
    monkeypatch.setattr(state_store, "_SOCKET_TIMEOUT_S", LONG_S)
    monkeypatch.setattr(state_store, "EXPIRY_S", 600)


@pytest.fixture
def make_store():
    stores = []

    def make(url, run="run"):
        stores.append(CarStateStore(url, run))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


def test_car_state_is_frozen_and_small(car_state):
    state = car_state()
    with pytest.raises(dataclasses.FrozenInstanceError):
        state.x = 1.0
    assert not hasattr(state, "__dict__")


def test_round_trip(patient, server, make_store, car_state):
    began_at = time.time()
    writer, reader = make_store(server.url), make_store(server.url)
    state = dataclasses.asdict(car_state(name='<b>"Åsa"</b> *?[', x=1.5))
    writer.put(state["name"], state, b"\x89PNG\0\xff")
    writer.put("b", {"lap": None}, None)
    first, second = eventually(lambda: len(cars := reader.read_cars()) == 2 and cars, "both are there")
    assert (first.name, first.fields, first.frame_png) == (state["name"], state, b"\x89PNG\0\xff")
    assert began_at <= first.written_at <= time.time()
    assert (second.name, second.fields, second.frame_png) == ("b", {"lap": None}, None)
    assert writer.offline_since is None


def test_the_newest_state_wins_and_the_last_picture_stays(patient, server, make_store):
    store = make_store(server.url)
    for number in range(1000):
        store.put("car", {"number": number}, b"picture" if number == 0 else None)
    eventually(
        lambda: [(car.fields, car.frame_png) for car in store.read_cars()] == [({"number": 999}, b"picture")],
        "the newest is there",
    )


def test_runs_do_not_see_each_other(patient, server, make_store):
    one, other = make_store(server.url, "run 1"), make_store(server.url, "run *")
    one.put("car", {}, None)
    eventually(one.read_cars, "its own run sees it")
    assert other.read_cars() == []


def test_keys_hide_names_and_expire(server, make_store):
    store = make_store(server.url)

    def keys():
        store.put("secret\nname", {}, None)
        return stored_cars(store) and [(key, store._client.ttl(key)) for key in store._client.keys("*")]

    ((key, left_s),) = eventually(keys, "it is there")
    assert b"secret" not in key
    assert 0 < left_s <= 10


def test_fields_that_are_no_json_are_refused_at_once(make_store):
    with pytest.raises(TypeError):
        make_store("unix:///nonexistent/redis.sock?db=0").put("car", {"x": object()}, None)


def test_a_dead_server_is_reported_and_its_return_noticed(tmp_path, make_store):
    with RedisServer(tmp_path / "redis.log") as server:
        store = make_store(server.url)
        eventually(lambda: store.put("car", {"number": 0}, None) or stored_cars(store), "it is there")
        os.kill(server.pid, signal.SIGKILL)
        before = time.time()
        eventually(lambda: store.put("car", {"number": 1}, None) or store.offline_since, "it is noticed")
        assert store.offline_since >= before - 1 and store.last_error
        since = store.offline_since
        with pytest.raises(StoreUnavailable, match="car cache"):
            store.read_cars()
        time.sleep(1.2)
        assert store.offline_since == since
        # Another server on the same socket: back by itself.
        with RedisServer(tmp_path / "redis2.log") as second:
            server.socket_path.unlink(missing_ok=True)
            server.socket_path.symlink_to(second.socket_path)
            eventually(lambda: store.put("car", {"number": 2}, None) or store.offline_since is None, "it is back")
            is_written = [{"number": 2}]
            eventually(
                lambda: store.put("car", {"number": 2}, None) or [car.fields for car in stored_cars(store)] == is_written,
                "it is written",
            )


def test_a_stopped_server_never_blocks_put(server, make_store):
    store = make_store(server.url)
    eventually(lambda: store.put("car", {}, None) or stored_cars(store), "it is there")
    os.kill(server.pid, signal.SIGSTOP)
    try:
        began_s = time.monotonic()
        for _ in range(1000):
            store.put("car", {"x": 1}, b"frame")
        assert time.monotonic() - began_s < LONG_S  # a put that waited for Redis would take a second
        eventually(lambda: store.put("car", {"x": 1}, None) or store.offline_since, "it is noticed")
    finally:
        os.kill(server.pid, signal.SIGCONT)
    eventually(lambda: store.put("car", {"x": 2}, None) or store.offline_since is None, "it is back")


def test_a_full_server_is_reported(server, make_store):
    store = make_store(server.url)
    store._client.config_set("maxmemory-policy", "noeviction")
    store._client.config_set("maxmemory", "1mb")
    eventually(lambda: store.put("car", {"x": 1}, bytes(20_000)) or store.offline_since, "it is full")
    assert "maxmemory" in store.last_error
    store._client.config_set("maxmemory", "64mb")
    eventually(lambda: store.put("car", {"x": 2}, None) or store.offline_since is None, "it is back")


def test_writes_are_at_most_twenty_a_second(server, make_store):
    store = make_store(server.url)

    def calls():
        return store._client.info("commandstats").get("cmdstat_hset", {"calls": 0})["calls"]

    before = calls()
    began_s = time.monotonic()
    while time.monotonic() - began_s < 1.0 or calls() == before:
        store.put("car", {"x": 1}, None)
        time.sleep(0.002)
    elapsed_s = time.monotonic() - began_s
    assert calls() - before <= elapsed_s * 20 + 1
