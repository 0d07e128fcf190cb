"""The handshake against the embedded simulator and against servers that are none."""

import contextlib
import json
import socket
import threading

import pytest

from robotini_ray.config import load_config
from robotini_ray.doctor import simulator
from robotini_ray.doctor.simulator import check_simulators
from robotini_ray.machine.terminal_text import launch_line
from tests.waiting import LONG_S


def check(address, track="oval"):
    changes = {"simulator.address": str(address), "simulator.track": track, "environment.image_width": 16}
    return check_simulators(load_config(None, changes))


@pytest.fixture
def speaker():
    """A server that says one thing to everybody and then listens, or hangs up; returns its port."""
    with contextlib.ExitStack() as opened:

        def start(words=b"", hangs_up=False):
            listener = opened.enter_context(socket.create_server(("127.0.0.1", 0)))

            def serve():
                with contextlib.suppress(OSError):
                    while True:
                        connection = opened.enter_context(listener.accept()[0])
                        connection.sendall(words)
                        if hangs_up:
                            connection.shutdown(socket.SHUT_RDWR)

            threading.Thread(target=serve, daemon=True).start()
            opened.callback(listener.shutdown, socket.SHUT_RDWR)
            return listener.getsockname()[1]

        yield start


@pytest.mark.parametrize(
    ("cars", "environment", "level"), [(32, {}, "ok"), (33, {}, "error"), (33, {"RAY_ADDRESS": "10.0.0.1:6379"}, "ok")]
)
def test_an_embedded_one_takes_32_cars(cars, environment, level):
    (finding,) = check_simulators(load_config(None, {"collection.cars": cars}), environment)
    assert finding.level == level
    assert level == "ok" or "takes 32" in finding.what


@pytest.fixture
def patience(monkeypatch):
    """A busy machine may take its time to answer."""
    monkeypatch.setattr(simulator, "ANSWER_TIMEOUT_S", LONG_S)


@pytest.mark.usefixtures("patience")
def test_a_real_one_answers(serve):
    with serve("oval") as address:
        parameters, camera = check(address)
    assert (parameters.level, camera.level) == ("ok", "ok")
    assert "oval.json" in parameters.what and "16x10 pixels" in camera.what


@pytest.mark.usefixtures("patience")
def test_another_track_is_an_error_with_both_names(serve):
    with serve("oval") as address:
        parameters, camera = check(address, "default")
    assert parameters.level == "error" and "'oval.json'" in parameters.what and "'default.json'" in parameters.what
    assert "--track" in parameters.cure and camera.level == "ok"


def test_where_nobody_listens_the_address_and_the_command_are_named():
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        ports = first.getsockname()[1], second.getsockname()[1]
    (finding,) = check(f"127.0.0.1:{ports[0]}:{ports[1]}")
    assert finding.level == "error" and f"127.0.0.1:{ports[0]}" in finding.what
    assert launch_line("simulate") in finding.cure


def test_a_server_that_says_nothing_is_no_simulator(speaker, monkeypatch):
    monkeypatch.setattr(simulator, "ANSWER_TIMEOUT_S", 0.3)
    parameters, camera = check(f"127.0.0.1:{speaker()}:{speaker()}")
    assert parameters.level == camera.level == "error"
    assert "no RaceParameters from 127.0.0.1" in parameters.what and "no camera frame" in camera.what


@pytest.mark.usefixtures("patience")
def test_a_name_from_outside_cannot_touch_the_terminal(speaker):
    event = {"type": "RaceParameters", "track": "\x1b[2J", "numSegments": 30}
    line = json.dumps(event) + "\n"
    parameters, _ = check(f"127.0.0.1:{speaker(hangs_up=True)}:{speaker(line.encode())}")
    assert parameters.level == "error" and parameters.what.isprintable() and "x1b" in parameters.what


def test_embedded_ones_need_no_check():
    assert [finding.level for finding in check_simulators(load_config(None, {}))] == ["ok"]
