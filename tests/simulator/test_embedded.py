import json
import math
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from robotini_ray.car.connection import reachable
from robotini_ray.car.errors import SimulatorUnreachable
from robotini_ray.config import NO_RANDOMISATION, RandomisationConfig, SimulatorConfig
from robotini_ray.machine.child_process import start_child
from robotini_ray.simulator import embedded
from robotini_ray.simulator.embedded import EmbeddedSimulator, EmbeddedSimulatorError
from tests.waiting import LONG_S, eventually

SLEEPER = "import sys, time; print('up', flush=True); time.sleep(600)"


@pytest.fixture(autouse=True)
def package_path(monkeypatch):
    """Children find the package wherever the tests are started from."""
    monkeypatch.setenv("PYTHONPATH", str(Path(embedded.__file__).parents[2]))


def start(code):
    return start_child([sys.executable, "-c", code], stderr=subprocess.DEVNULL, stdout=subprocess.PIPE)


@pytest.fixture
def simulator(tmp_path):
    """Starts embedded simulators and closes them."""
    simulators = []

    def make(seed=0, randomisation=NO_RANDOMISATION, **settings):
        simulators.append(EmbeddedSimulator(SimulatorConfig(**settings), seed, tmp_path / "simulator.log", randomisation))
        return simulators[-1]

    yield make
    for made in simulators:
        made.close()


class TestEmbeddedSimulator:
    def test_it_serves_its_config_on_free_loopback_ports_until_it_is_closed(self, simulator):
        made = simulator(track="oval", num_segments=17)
        address = made.address
        assert address.host == "127.0.0.1" and made.address is address
        assert made.lockstep
        with socket.create_connection(("127.0.0.1", address.log_port), timeout=LONG_S) as spectator:
            event = json.loads(spectator.makefile().readline())
        assert (event["type"], event["track"], event["numSegments"]) == ("RaceParameters", "oval.json", 17)
        socket.create_connection(("127.0.0.1", address.car_port), timeout=LONG_S).close()
        made.close()
        for port in (address.car_port, address.log_port):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=LONG_S)
        made.close()

    def test_killed_it_is_started_again_at_its_address(self, simulator):
        made = simulator(track="oval")
        address, pid = made.address, made.pid
        os.kill(pid, signal.SIGKILL)
        while made.alive:
            time.sleep(0.01)
        made.revive()
        assert made.alive and made.pid != pid

        def answers():
            try:
                return reachable(str(address))
            except SimulatorUnreachable:
                return None

        assert eventually(answers, "it answers again") == address

    def test_its_cars_differ_as_the_config_says(self, simulator):
        address = simulator(randomisation=RandomisationConfig(start_speed_m_s=(1.5, 1.5), start_anywhere=True)).address
        with (
            socket.create_connection((address.host, address.log_port), timeout=LONG_S) as spectator,
            socket.create_connection((address.host, address.car_port), timeout=LONG_S) as car,
        ):
            car.sendall(b'{"name": "fast", "teamId": "team", "lockstep": true}\n')
            events = map(json.loads, spectator.makefile())
            status = next(event for event in events if event["type"] == "GameStatus")
        velocity = status["cars"][0]["velocity"]
        assert math.hypot(velocity["x"], velocity["z"]) == pytest.approx(1.5)

    def test_cars_may_pass_through_each_other(self, simulator):
        """Two cars in one place: the second starts behind the first and drives into it."""
        address = simulator(car_contact=False, track="oval").address
        with (
            socket.create_connection((address.host, address.log_port), timeout=LONG_S) as spectator,
            socket.create_connection((address.host, address.car_port), timeout=LONG_S) as standing,
            socket.create_connection((address.host, address.car_port), timeout=LONG_S) as moving,
        ):
            standing.sendall(b'{"name": "standing", "teamId": "team", "imageWidth": 8}\n')
            moving.sendall(b'{"name": "moving", "teamId": "team", "imageWidth": 8}\n')
            seen = set()
            for event in map(json.loads, spectator.makefile()):
                seen.add(event["type"])
                places = {car["name"]: car["position"] for car in event.get("cars", []) if event["type"] == "GameStatus"}
                if len(places) == 2 and math.dist(places["standing"].values(), places["moving"].values()) < 0.1:
                    break
                standing.sendall(b"{}\n")
                moving.sendall(b'{"action": "forward", "value": 0.05}\n')
        assert "CarBumped" not in seen

    def test_realtime_does_not_wait_for_cars(self, simulator):
        assert not simulator(pace="realtime").lockstep

    def test_one_that_does_not_start_says_why(self, simulator, tmp_path):
        made = simulator(track="no-such-track")
        with pytest.raises(EmbeddedSimulatorError, match=r"did not start: .*no-such-track.*one of: .*default") as caught:
            _ = made.address
        assert len(str(caught.value).splitlines()) == 1
        assert str(tmp_path / "simulator.log") in str(caught.value)

    def test_one_that_hangs_is_given_up_and_ended(self, simulator, monkeypatch):
        monkeypatch.setattr(embedded, "START_PATIENCE_S", 0.3)
        monkeypatch.setattr(embedded, "start_child", lambda command, stderr, stdout: start(SLEEPER))
        made = simulator()
        with pytest.raises(EmbeddedSimulatorError, match=r"did not start: it made no progress for 0.3 s and printed nothing"):
            _ = made.address
        assert made._process.poll() is not None

    def test_talk_before_it_is_ready_is_skipped(self, simulator, monkeypatch):
        ready = "import time; print('compiling'); print('ready car=h:1 log=h:2', flush=True); time.sleep(600)"
        monkeypatch.setattr(embedded, "start_child", lambda command, stderr, stdout: start(ready))
        address = simulator().address
        assert (address.host, address.car_port, address.log_port) == ("h", 1, 2)

    def test_two_beside_each_other(self, simulator):
        first, second = simulator(), simulator(track="oval")
        ports = {port for made in (first, second) for port in (made.address.car_port, made.address.log_port)}
        assert len(ports) == 4

    def test_it_is_gone_when_its_thread_is(self, tmp_path):
        made = []

        def life():
            made.append(EmbeddedSimulator(SimulatorConfig(), 0, tmp_path / "simulator.log"))
            _ = made[0].address

        thread = threading.Thread(target=life)
        thread.start()
        thread.join(LONG_S)
        assert made[0]._process.wait(LONG_S) == -signal.SIGKILL
        assert select.select([made[0]._process.stdout], [], [], 0)[0]
        assert os.read(made[0]._process.stdout.fileno(), 1) == b""
