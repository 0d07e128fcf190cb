"""Every listener of this program that needs no Ray: its address, its mode, and what it asks for."""

import os
import socket
import stat

import pytest

from robotini_ray import launch
from robotini_ray.commands import simulate
from robotini_ray.config import SimulatorConfig
from robotini_ray.machine.redis_server import RedisServer
from robotini_ray.simulator.embedded import EmbeddedSimulator
from robotini_ray.simulator.server import server, wire
from robotini_ray.simulator.world import entries


def test_the_test_itself_sees_listeners(listening):
    with socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.2", 0)):
        assert listening(os.getpid()) >= {"127.0.0.1", "127.0.0.2"}


def test_redis_has_no_port_and_a_socket_for_this_user_only(tmp_path, listening):
    with RedisServer(tmp_path / "redis.log") as redis:
        assert listening(redis.pid) == set()
        for path in (redis.socket_path, redis.socket_path.parent):
            found = path.stat()
            assert stat.S_IMODE(found.st_mode) == 0o700 and found.st_uid == os.getuid()


def test_the_embedded_simulator_listens_to_this_machine_only(tmp_path, listening):
    simulator = EmbeddedSimulator(SimulatorConfig(track="oval"), 0, tmp_path / "log")
    try:
        assert simulator.address.host == "127.0.0.1"
        assert listening(simulator.pid) == {"127.0.0.1"}
    finally:
        simulator.close()


def test_its_limits_are_those_that_are_promised():
    """That they are kept is tested with the simulator's server."""
    assert entries.MAX_CARS == 32
    assert (server.LOGIN_TIMEOUT_S, wire.LOGIN_LIMIT_BYTES, wire.LINE_LIMIT_BYTES) == (5.0, 1024, 512)
    assert server.MAX_STRANGERS <= 32 and server.MAX_SPECTATORS <= 64
    assert server.SimulatorServer.__init__.__kwdefaults__["host"] == "127.0.0.1"
    assert server.SimulatorServer.__init__.__kwdefaults__["allow_ui_commands"] is False


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("192.0.2.1", True)])
def test_a_simulator_for_other_machines_says_what_that_means(host, warned, monkeypatch, capsys):
    class Server:
        """Of the embedded simulator's one only what the command calls."""

        car_address = log_address = (host, 1)

        def __init__(self, *arguments, **settings):
            assert settings["host"] == host

        def run(self):
            """Ends at once."""

    monkeypatch.setattr(simulate, "SimulatorServer", Server)
    monkeypatch.setattr(simulate.signal, "signal", lambda *arguments: None)
    assert launch.main(["simulate", "--host", host]) == 0
    assert ("has no access control" in capsys.readouterr().err) == warned
