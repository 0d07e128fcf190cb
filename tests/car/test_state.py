import dataclasses
import os
import signal
import time
from collections.abc import Callable

import pytest

from robotini_ray.car.redis_server import RedisServer
from robotini_ray.car.state import CarStateStore, StoreUnavailable


@pytest.fixture
def server(tmp_path):
    with RedisServer(tmp_path / "redis.log") as server:
        yield server


@pytest.fixture
def make_store():
    stores = []

    def make(url, run="run"):
        stores.append(CarStateStore(url, run))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


def wait_until(condition: Callable[[], object], timeout_s=10.0):
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "did not happen in time"
        time.sleep(0.01)


def test_car_state_is_frozen_and_small(car_state):
    state = car_state()
    with pytest.raises(dataclasses.FrozenInstanceError):
        state.x = 1.0
    assert not hasattr(state, "__dict__")


def test_round_trip(server, make_store, car_state):
    writer, reader = make_store(server.url), make_store(server.url)
    state = dataclasses.asdict(car_state(name='<b>"Åsa"</b> *?[', x=1.5))
    writer.put(state["name"], state, b"\x89PNG\0\xff")
    writer.put("b", {"lap": None}, None)
    wait_until(lambda: len(reader.read_cars()) == 2)
    first, second = reader.read_cars()
    assert (first.name, first.fields, first.frame_png) == (state["name"], state, b"\x89PNG\0\xff")
    assert abs(first.written_at - time.time()) < 60
    assert (second.name, second.fields, second.frame_png) == ("b", {"lap": None}, None)
    assert writer.offline_since is None


def test_the_newest_state_wins_and_the_last_picture_stays(server, make_store):
    store = make_store(server.url)
    for number in range(1000):
        store.put("car", {"number": number}, b"picture" if number == 0 else None)
    wait_until(lambda: [car.fields for car in store.read_cars()] == [{"number": 999}])
    assert store.read_cars()[0].frame_png == b"picture"


def test_runs_do_not_see_each_other(server, make_store):
    one, other = make_store(server.url, "run 1"), make_store(server.url, "run *")
    one.put("car", {}, None)
    wait_until(one.read_cars)
    assert other.read_cars() == []


def test_keys_hide_names_and_expire(server, make_store):
    store = make_store(server.url)
    store.put("secret\nname", {}, None)
    wait_until(store.read_cars)
    (key,) = store._client.keys("*")
    assert b"secret" not in key
    assert 0 < store._client.ttl(key) <= 10


def test_fields_that_are_no_json_are_refused_at_once(make_store):
    with pytest.raises(TypeError):
        make_store("unix:///nonexistent/redis.sock?db=0").put("car", {"x": object()}, None)


def test_a_dead_server_is_reported_and_its_return_noticed(tmp_path, make_store):
    with RedisServer(tmp_path / "redis.log") as server:
        store = make_store(server.url)
        store.put("car", {"number": 0}, None)
        wait_until(store.read_cars)
        os.kill(server.pid, signal.SIGKILL)
        before = time.time()
        wait_until(lambda: store.put("car", {"number": 1}, None) or store.offline_since)
        assert store.offline_since >= before - 1 and store.last_error
        since = store.offline_since
        with pytest.raises(StoreUnavailable, match="car cache"):
            store.read_cars()
        time.sleep(1.2)
        assert store.offline_since == since
        # Another server on the same socket: back by itself within 5 s.
        with RedisServer(tmp_path / "redis2.log") as second:
            server.socket_path.unlink(missing_ok=True)
            server.socket_path.symlink_to(second.socket_path)
            wait_until(lambda: store.put("car", {"number": 2}, None) or store.offline_since is None, 5.0)
            wait_until(lambda: [car.fields for car in store.read_cars()] == [{"number": 2}])


def test_a_stopped_server_never_blocks_put(server, make_store):
    store = make_store(server.url)
    store.put("car", {}, None)
    wait_until(store.read_cars)
    os.kill(server.pid, signal.SIGSTOP)
    try:
        began_s = time.monotonic()
        for _ in range(1000):
            store.put("car", {"x": 1}, b"frame")
        assert time.monotonic() - began_s < 50  # a put that waited for Redis would take 0.2 s
        wait_until(lambda: store.put("car", {"x": 1}, None) or store.offline_since)
    finally:
        os.kill(server.pid, signal.SIGCONT)
    wait_until(lambda: store.put("car", {"x": 2}, None) or store.offline_since is None, 5.0)


def test_a_full_server_is_reported(server, make_store):
    store = make_store(server.url)
    store._client.config_set("maxmemory-policy", "noeviction")
    store._client.config_set("maxmemory", "1mb")
    wait_until(lambda: store.put("car", {"x": 1}, bytes(20_000)) or store.offline_since)
    assert "maxmemory" in store.last_error
    store._client.config_set("maxmemory", "64mb")
    wait_until(lambda: store.put("car", {"x": 2}, None) or store.offline_since is None, 5.0)


def test_writes_are_at_most_twenty_a_second(server, make_store):
    store = make_store(server.url)
    before = store._client.info("commandstats").get("cmdstat_hset", {"calls": 0})["calls"]
    began_s = time.monotonic()
    while time.monotonic() - began_s < 1.0:
        store.put("car", {"x": 1}, None)
        time.sleep(0.002)
    elapsed_s = time.monotonic() - began_s
    calls = store._client.info("commandstats")["cmdstat_hset"]["calls"] - before
    assert 1 <= calls <= elapsed_s * 20 + 1
