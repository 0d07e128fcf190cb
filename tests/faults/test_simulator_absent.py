"""The simulator is not there, or not where it is looked for, or its own port is taken."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from robotini_ray import launch
from robotini_ray.car.errors import SimulatorUnreachable
from robotini_ray.commands import find_simulator
from robotini_ray.machine.terminal_text import launch_line
from robotini_ray.simulator_address import SimulatorAddress
from tests.waiting import LONG_S


@pytest.fixture
def nobody():
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        ports = first.getsockname()[1], second.getsockname()[1]
    return SimulatorAddress("127.0.0.1", *ports)


@pytest.fixture
def command(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", str(Path(launch.__file__).parents[1]))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.chdir(tmp_path)
    return lambda *words: [sys.executable, "-m", "robotini_ray.launch", *map(str, words)]


def test_train_says_where_and_how_to_start_one_and_leaves_nothing(command, nobody, tmp_path):
    done = subprocess.run(command("train", "--simulator", nobody), capture_output=True, text=True, timeout=LONG_S)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"robotini: no simulator at 127.0.0.1:{nobody.car_port} ")
    assert launch_line("simulate") in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("missing", ["car", "log"])
def test_a_wrong_port_is_the_one_named(nobody, missing):
    there = nobody.log_port if missing == "car" else nobody.car_port
    absent = nobody.car_port if missing == "car" else nobody.log_port
    start = re.escape(launch_line("simulate"))
    with socket.create_server(("127.0.0.1", there)), pytest.raises(SimulatorUnreachable, match=f":{absent} .*{start}"):
        find_simulator.find_simulator(str(nobody), wait=False)


def test_a_port_that_belongs_to_somebody_else_is_named(fault_server, capsys, monkeypatch):
    """A server that speaks another language on the spectator port."""
    monkeypatch.setattr("robotini_ray.environment.race_environment.STATE_TIMEOUT_S", 0.5)
    other = fault_server(lambda sock: (sock.sendall(b"SSH-2.0-OpenSSH_9.6\r\n"), sock.recv(1024)))
    port = other.address[1]
    assert launch.main(["debug-policy", "--simulator", f"127.0.0.1:{port}:{port}"]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("robotini: ")]
    assert len(lines) == 1 and f"127.0.0.1:{port}" in lines[0] and "spectator port?" in lines[0]


def test_our_own_port_is_taken(capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert launch.main(["simulate", "--car-port", "0", "--log-port", str(port)]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"robotini: cannot listen on 127.0.0.1:{port} ") and err.count("\n") == 1


def test_waiting_says_so_now_and_then_and_ends_when_somebody_comes(nobody, capsys, monkeypatch):
    """In a hundredth of the time that it takes otherwise."""
    assert find_simulator.WAIT_SAY_S == 10.0
    monkeypatch.setattr(find_simulator, "WAIT_SAY_S", 0.1)
    monkeypatch.setattr(find_simulator, "WAIT_POLL_S", 0.01)
    found = []
    thread = threading.Thread(target=lambda: found.append(find_simulator.find_simulator(str(nobody), wait=True)), daemon=True)
    thread.start()
    said = ""
    while said.count("\n") < 3:
        said += capsys.readouterr().err
        time.sleep(0.01)
    assert thread.is_alive()
    with socket.create_server(("127.0.0.1", nobody.car_port)), socket.create_server(("127.0.0.1", nobody.log_port)):
        thread.join(LONG_S)
    assert found == [nobody]
    assert all(line.startswith("waiting for ") and f":{nobody.car_port} " in line for line in said.splitlines())


def test_waiting_on_the_command_line_ends_with_control_c(command, nobody):
    line = command("debug-policy", "--simulator", nobody, "--wait")
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as process:
        try:
            first = process.stderr.readline()
            while not first.startswith("waiting"):
                assert first, "it has ended"
                first = process.stderr.readline()
            assert f"127.0.0.1:{nobody.car_port}" in first
            os.kill(process.pid, signal.SIGINT)
            assert process.wait(LONG_S) == 130
            assert "Traceback" not in process.stderr.read()
        finally:
            process.kill()


@pytest.mark.parametrize("verb", ["train", "evaluate", "debug-policy"])
def test_every_verb_that_drives_can_wait(verb):
    assert "wait" in [parameter.name for parameter in launch.cli.commands[verb].params]
