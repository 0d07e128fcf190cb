import contextlib
import json
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

from robotini_ray import child_process, embedded
from robotini_ray.child_process import start_child, stop_child
from robotini_ray.config import SimulatorConfig
from robotini_ray.embedded import EmbeddedSimulator, EmbeddedSimulatorError

PATIENCE_S = 30
SLEEPER = "import sys, time; print('up', flush=True); time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
PARENT = """
import subprocess, sys
from robotini_ray.child_process import start_child

child = start_child([sys.executable, "-c", sys.argv[1]], stderr=subprocess.DEVNULL, stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def package_path(monkeypatch):
    """Children find the package wherever the tests are started from."""
    monkeypatch.setenv("PYTHONPATH", str(Path(embedded.__file__).parents[1]))


def is_running(pid):
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until_gone(pid):
    deadline_s = time.monotonic() + PATIENCE_S
    while is_running(pid):
        assert time.monotonic() < deadline_s, f"process {pid} is still there"
        time.sleep(0.01)


def start(code):
    return start_child([sys.executable, "-c", code], stderr=subprocess.DEVNULL, stdout=subprocess.PIPE)


@pytest.fixture
def child():
    """Starts children that are up, and ends what a test has left of them."""
    children = []

    def make(code):
        children.append(start(code))
        assert children[-1].stdout.readline() == b"up\n"
        return children[-1]

    yield make
    for process in children:
        process.kill()
        process.wait()
        process.stdout.close()


class TestChildProcess:
    def test_stop_ends_it_with_sigterm(self, child):
        process = child(SLEEPER)
        stop_child(process)
        assert process.returncode == -signal.SIGTERM

    def test_stop_kills_what_does_not_listen(self, child, monkeypatch):
        monkeypatch.setattr(child_process, "STOP_TIMEOUT_S", 0.2)
        process = child(STUBBORN)
        stop_child(process)
        assert process.returncode == -signal.SIGKILL

    def test_stop_of_one_that_has_ended(self, child):
        process = child("print('up')")
        process.wait()
        stop_child(process)
        assert process.returncode == 0

    def test_it_is_out_of_reach_of_ctrl_c_and_has_no_input(self):
        process = start("import os, sys; print(os.getsid(0), os.getpid(), repr(sys.stdin.read()))")
        session, pid, said = process.communicate(timeout=PATIENCE_S)[0].decode().split()
        assert session == pid == str(process.pid) and said == "''"

    def test_arguments_arrive_as_they_are(self):
        command = [sys.executable, "-c", "import sys; print(sys.argv[1:])", "a b", "", "-x", "'q'", "$HOME"]
        process = start_child(command, stderr=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert process.communicate(timeout=PATIENCE_S)[0].decode().strip() == str(command[3:])

    def test_it_runs_where_it_is_told_to(self, tmp_path):
        command = [sys.executable, "-c", "import os; print(os.getcwd())"]
        process = start_child(command, stderr=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=tmp_path)
        assert process.communicate(timeout=PATIENCE_S)[0].decode().strip() == str(tmp_path.resolve())

    @pytest.mark.parametrize("code", [SLEEPER, STUBBORN])
    def test_it_dies_with_its_parent_however_that_dies(self, code):
        parent = subprocess.Popen([sys.executable, "-c", PARENT, code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with parent:
            pid = int(parent.stdout.readline())
            assert is_running(pid)
            parent.kill()
        wait_until_gone(pid)

    def test_it_dies_with_the_thread_that_started_it(self):
        children, may_end = [], threading.Event()

        def life():
            children.append(start(SLEEPER))
            children[0].stdout.readline()
            may_end.wait(PATIENCE_S)

        thread = threading.Thread(target=life)
        thread.start()
        with contextlib.closing(Ended(children)):
            while not children:
                time.sleep(0.01)
            assert children[0].poll() is None
            may_end.set()
            thread.join(PATIENCE_S)
            assert children[0].wait(PATIENCE_S) == -signal.SIGKILL


class Ended:
    """Kills children that a failed test leaves."""

    def __init__(self, children):
        self._children = children

    def close(self):
        for child in self._children:
            child.kill()
            child.wait()
            child.stdout.close()


@pytest.fixture
def simulator(tmp_path):
    """Starts embedded simulators and closes them."""
    simulators = []

    def make(seed=0, **settings):
        simulators.append(EmbeddedSimulator(SimulatorConfig(**settings), seed, tmp_path / "simulator.log"))
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
        with socket.create_connection(("127.0.0.1", address.log_port), timeout=PATIENCE_S) as spectator:
            event = json.loads(spectator.makefile().readline())
        assert (event["type"], event["track"], event["numSegments"]) == ("RaceParameters", "oval.json", 17)
        socket.create_connection(("127.0.0.1", address.car_port), timeout=PATIENCE_S).close()
        made.close()
        for port in (address.car_port, address.log_port):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        made.close()

    def test_realtime_does_not_wait_for_cars(self, simulator):
        assert not simulator(pace="realtime").lockstep

    def test_one_that_does_not_start_says_why(self, simulator, tmp_path):
        made = simulator(track="no-such-track")
        with pytest.raises(EmbeddedSimulatorError, match=r"did not start: .*no-such-track.*one of: .*default") as caught:
            _ = made.address
        assert len(str(caught.value).splitlines()) == 1
        assert str(tmp_path / "simulator.log") in str(caught.value)

    def test_one_that_hangs_is_given_up_and_ended(self, simulator, monkeypatch):
        monkeypatch.setattr(embedded, "START_TIMEOUT_S", 0.3)
        monkeypatch.setattr(embedded, "start_child", lambda command, stderr, stdout: start(SLEEPER))
        made = simulator()
        with pytest.raises(EmbeddedSimulatorError, match="did not start: it said nothing"):
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
        thread.join(PATIENCE_S)
        assert made[0]._process.wait(PATIENCE_S) == -signal.SIGKILL
        assert select.select([made[0]._process.stdout], [], [], 0)[0]
        assert os.read(made[0]._process.stdout.fileno(), 1) == b""
