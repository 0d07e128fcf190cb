"""The stream to a tab: newest wins, pictures once, and an outage of Redis is said and ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import struct
import time

import pytest

from robotini_ray.car.state_store import CarStateStore
from robotini_ray.machine.redis_server import RedisServer
from robotini_ray.monitor.hub import Hub
from robotini_ray.monitor.run_files import RunFiles
from tests.waiting import LONG_S, eventually, stored_cars


def decode(message):
    """State and pictures of the cars, by name."""
    texts, place = [], 0
    for _ in range(2):
        (size,) = struct.unpack_from("<I", message, place)
        texts.append(json.loads(message[place + 4 : place + 4 + size]))
        place += 4 + size
    state, listed = texts
    names = {car["key"]: car["name"] for car in state["cars"]}
    pictures = {}
    for key, size in listed:
        pictures[names[key]] = message[place : place + size]
        place += size
    assert place == len(message)
    return state, pictures


@contextlib.asynccontextmanager
async def following(hub):
    task = asyncio.create_task(hub.follow())
    try:
        yield
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(hub, tab, accept):
    """The messages of a tab up to the first whose state is accepted; that state and all pictures so far."""
    deadline_s = time.monotonic() + LONG_S
    seen = {}
    while time.monotonic() < deadline_s:
        state, pictures = decode((await asyncio.wait_for(hub.news(tab), LONG_S))[-1])
        seen.update(pictures)
        if accept(state):
            return state, seen
    raise AssertionError(state)


@pytest.fixture
def store(patient, redis_server, run_dir):
    made = CarStateStore(redis_server.url, run_dir.name)
    yield made
    made.close()


def put_until_stored(store, name, fields, png):
    def is_stored():
        store.put(name, fields, png)
        return any((car.name, car.fields) == (name, fields) for car in stored_cars(store))

    eventually(is_stored, f"{name} is in Redis")


def test_a_tab_gets_track_run_and_cars_and_each_picture_once(run_dir, redis_server, store):
    put_until_stored(store, "one", {"x": 1.0, "role": "collector"}, b"PNG 1")
    put_until_stored(store, "two", {"x": 2.0, "role": "collector"}, b"PNG 2")

    async def talk():
        hub = Hub(RunFiles(run_dir), redis_server.url)
        async with following(hub):
            tab = hub.join()
            track, run, cars = await hub.news(tab)
            assert json.loads(track)["track"]["name"] == "oval.json"
            assert json.loads(run)["run"]["summary"]["train_steps"] == 100
            state, pictures = decode(cars)
            assert {car["name"]: car["x"] for car in state["cars"]} == {"one": 1.0, "two": 2.0}
            assert pictures == {"one": b"PNG 1", "two": b"PNG 2"}
            _, pictures = decode((await hub.news(tab))[-1])
            assert pictures == {}
            store.put("two", {"x": 2.5, "role": "collector"}, b"PNG 3")
            _, pictures = await until(hub, tab, lambda state: state["cars"][1]["x"] == 2.5)
            assert pictures == {"two": b"PNG 3"}
            late = hub.join()
            _, pictures = decode((await hub.news(late))[-1])
            assert pictures == {"one": b"PNG 1", "two": b"PNG 3"}
            hub.leave(late)
            hub.leave(tab)
            assert hub.tabs == 0

    asyncio.run(talk())


def test_a_slow_tab_gets_the_newest_and_not_what_it_missed(run_dir, redis_server, store):
    async def talk():
        hub = Hub(RunFiles(run_dir), redis_server.url)
        async with following(hub):
            fast, slow = hub.join(), hub.join()
            await hub.news(slow)
            for step in range(8):
                store.put("car", {"step": step, "role": "collector"}, b"PNG %d" % step)
                await until(hub, fast, lambda state, step=step: state["cars"] and state["cars"][0]["step"] == step)
            state, pictures = decode((await hub.news(slow))[-1])
            assert state["cars"][0]["step"] == 7.0
            assert pictures == {"car": b"PNG 7"}

    asyncio.run(talk())


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
def test_a_redis_that_is_gone_is_said_with_the_time_and_comes_back(run_dir, tmp_path, blow):
    """Stopped it goes on at the same address; killed, another one starts at another and program.json tells."""
    servers = [RedisServer(tmp_path / "redis.log")]
    servers[0].start()
    store = CarStateStore(servers[0].url, run_dir.name)

    def tell(server):
        (run_dir / "program.json").write_text(json.dumps({"redis_url": server.url}))

    def revive():
        if blow == signal.SIGSTOP:
            os.kill(servers[0].pid, signal.SIGCONT)
            return store
        servers.append(RedisServer(tmp_path / "redis.log"))
        servers[1].start()
        tell(servers[1])
        return CarStateStore(servers[1].url, run_dir.name)

    async def talk():
        hub = Hub(RunFiles(run_dir), None)
        tell(servers[0])
        put_until_stored(store, "car", {"step": 1, "role": "collector"}, b"PNG")
        async with following(hub):
            tab = hub.join()
            last, _ = await until(hub, tab, lambda state: bool(state["cars"]))
            assert last["missing_since"] is None
            os.kill(servers[0].pid, blow)
            state, _ = await until(hub, tab, lambda state: state["missing_since"] is not None)
            assert last["now"] < state["missing_since"] <= state["now"]
            assert "does not answer" in state["missing_why"]
            assert [car["name"] for car in state["cars"]] == ["car"], "the last state stays on the page"
            first = state["missing_since"]
            state, _ = await until(hub, tab, lambda state: state["now"] > first + 1.5)
            assert state["missing_since"] == first
            again = revive()

            def is_back(state):
                again.put("car", {"step": 2, "role": "collector"}, b"PNG")
                return state["missing_since"] is None and state["cars"][0]["step"] == 2.0

            await until(hub, tab, is_back)
            again.close()

    try:
        asyncio.run(talk())
    finally:
        store.close()
        for server in servers:
            if server.pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(server.pid, signal.SIGCONT)
            server.stop()


def test_a_run_that_has_not_said_where_its_cars_are(run_dir):
    async def talk():
        hub = Hub(RunFiles(run_dir), None)
        async with following(hub):
            state, _ = decode((await hub.news(hub.join()))[-1])
            assert state["cars"] == [] and "no training has written" in state["missing_why"]

    asyncio.run(talk())


def test_an_address_that_is_none_is_named(run_dir):
    async def talk():
        hub = Hub(RunFiles(run_dir), "htp://x")
        async with following(hub):
            state, _ = decode((await hub.news(hub.join()))[-1])
            assert "'htp://x' is not the URL of a Redis server" in state["missing_why"]

    asyncio.run(talk())


def test_entries_of_others_and_damaged_files_end_nothing_and_are_named(run_dir, redis_server, store):
    store.put("good", {"x": 1.0}, None)
    eventually(lambda: stored_cars(store), "the good car is there")
    (key,) = store._client.scan_iter("*")
    at, prefix = repr(time.time()).encode(), key.rpartition(b":")[0]
    others = [
        {"name": b"\xff", "state": b"{}", "written_at": at}, {"name": b"a", "state": b"{", "written_at": at},
        {"name": b"b", "state": b"[]", "written_at": at}, {"name": b"c", "state": b"{}", "written_at": b"nan"},
        {"name": b"d", "state": b"[" * 100_000, "written_at": at}, {"name": b"e"},
    ]  # fmt: skip
    for number, row in enumerate(others):
        store._client.hset(prefix + b":%d" % number, mapping=row)
    store._client.hset(prefix + b":7", mapping={"name": b"big", "state": b'{"x": ' + b"9" * 400 + b"}", "written_at": at})
    (run_dir / "summary.json").write_text("")

    async def watch():
        hub = Hub(RunFiles(run_dir), redis_server.url)
        async with following(hub):
            tab = hub.join()
            while True:
                messages = await asyncio.wait_for(hub.news(tab), LONG_S)
                cars = {car["name"]: car["x"] for car in decode(messages[-1])[0]["cars"]}
                told = [json.loads(message)["run"]["problem"] for message in messages[:-1] if '"run"' in message[:8]]
                if told and "entries of Redis" in told[-1]:
                    return cars, told[-1]

    cars, problem = asyncio.run(watch())
    assert cars == {"good": 1.0, "big": None}
    assert "6 entries of Redis are no states of cars and are left out" in problem and "summary.json is empty" in problem
