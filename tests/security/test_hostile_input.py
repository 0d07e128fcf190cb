"""Names and numbers of other people: in Redis' keys, in file names, in memory."""

import json
import re
import socket
import threading

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from robotini_ray.car.protocol import command_lines
from robotini_ray.car.spectator import Spectator
from robotini_ray.car.state_store import CarStateStore
from robotini_ray.machine.redis_server import RedisServer
from robotini_ray.run.progress import Progress
from robotini_ray.run.reports import CarSeat, CollectorReport
from tests.waiting import eventually, stored_cars

KEY = re.compile(rb"robotini:[0-9a-f]{16}:car:[0-9a-f]{16}")
NAMES = (
    "*", "robotini:0:car:0", "../../etc/passwd", "a\nb\r\nFLUSHALL", "\0", "<script>alert(1)</script>", "%s%n{0}${x}",
    "\u202egnp.exe", "x" * 900, " ", "[red]", "'; DROP TABLE cars; --",
)  # fmt: skip


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    with RedisServer(tmp_path_factory.mktemp("redis") / "redis.log") as server:
        yield server


def test_keys_are_made_of_hashes_and_names_come_back_as_values(redis):
    store = CarStateStore(redis.url, "run *\n")
    try:

        def all_stored():
            for name in NAMES:
                store.put(name, {"n": name}, None)
            return len(cars := stored_cars(store)) >= len(NAMES) and (cars, store._client.keys("*"))

        cars, keys = eventually(all_stored, "all are there")
        assert {car.name for car in cars} == set(NAMES)
        assert all(car.fields == {"n": car.name} for car in cars)
        assert len(keys) == len(NAMES) and all(KEY.fullmatch(key) for key in keys)
    finally:
        store.close()


def test_tags_of_curves_hold_no_names():
    """What collectors report has none in it, so that no tag and no file can be made of one."""
    progress = Progress()
    progress.add_collections([CollectorReport(env_steps=1)])
    assert all(re.fullmatch(r"[a-z_]+(/[a-z_]+)?", tag) for tag in progress.collection_scalars())
    assert "name" in CarSeat.__dataclass_fields__ and "name" not in CollectorReport.__dataclass_fields__


@pytest.mark.parametrize("number", [10**9, 10**30, 1, 0, -5, float("inf"), "many", None, [], {}])
def test_race_parameters_that_would_fill_the_memory_are_not_taken(number):
    lines = "".join(
        json.dumps({"type": "RaceParameters", "track": "oval.json", "numSegments": value}) + "\n" for value in (30, number)
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            connection, _ = listener.accept()
            with connection:
                connection.sendall(lines.encode())
                connection.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        spectator = Spectator(*listener.getsockname())
        eventually(lambda: spectator.drain() or spectator.bad_events, "the second one is refused")
        assert spectator.parameters["numSegments"] == 30 and spectator.bad_events == 1
        spectator.close()
        thread.join()


@settings(max_examples=200)
@given(st.floats(), st.floats(), st.booleans())
@example(float("nan"), 0.0, True)
@example(1e308, -1e308, False)
def test_commands_are_finite_and_within_their_range_or_are_not_sent(throttle, turn, lockstep):
    try:
        lines = command_lines(throttle, turn, lockstep)
    except ValueError as error:
        assert "must be finite" in str(error)
        return
    forward, turned = (json.loads(line)["value"] for line in lines.splitlines()[:2])
    assert 0.0 <= forward <= 1.0 and -1.0 <= turned <= 1.0 and len(lines) <= 512
