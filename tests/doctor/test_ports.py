import os
import socket
import subprocess
import sys

import pytest

from robotini_ray.doctor import ports
from robotini_ray.doctor.ports import check_ports
from robotini_ray.machine import ports as machine_ports
from robotini_ray.machine.ports import holder_of, is_free


@pytest.fixture
def port(monkeypatch):
    """A port that another process of ours listens on, and that process."""
    code = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        number = int(process.stdout.readline())
        monkeypatch.setattr(ports, "PORTS", {number: ("page", "take another one")})
        yield number, process.pid
        process.stdin.close()


def test_a_port_that_is_taken_names_its_holder_and_the_cure(port):
    number, pid = port
    (finding,) = check_ports()
    assert (finding.check, finding.level, finding.cure) == (f"port {number}", "warning", "take another one")
    assert finding.what.startswith(f"page: taken by process {pid} (") and sys.executable in finding.what


def test_a_holder_that_cannot_be_seen_is_somebody_else(port, monkeypatch):
    monkeypatch.setattr(machine_ports, "own_processes", lambda: iter([os.getpid()]))
    assert "another user's process" in check_ports()[0].what


def test_free_ports_are_ok(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.getsockname()[1]
        assert not is_free(number) and holder_of(number) == os.getpid()
    monkeypatch.setattr(ports, "PORTS", {number: ("page", "take another one")})
    assert is_free(number) and holder_of(number) is None
    assert [finding.level for finding in check_ports()] == ["ok"]


def test_the_ports_are_those_that_we_tell_people():
    assert sorted(ports.PORTS) == [6006, 8080, 8265, 11000, 11001]
