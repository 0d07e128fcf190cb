"""The listener when things are scarce, and on IPv6."""

import contextlib
import os
import resource
import select
import socket

import pytest

from robotini_ray.simulator.server.listener import SimulatorError, listen
from tests.waiting import LONG_S


def has_connection(listener):
    return bool(select.select([listener], [], [], 0)[0])


def test_without_descriptors_connections_are_refused_and_that_is_said_once(caplog):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with listen("127.0.0.1", 0) as listener:
        clients = [socket.create_connection(listener.getsockname()) for _ in range(3)]
        taken = []
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (clients[-1].fileno() + 20, hard))
            with contextlib.suppress(OSError):
                while True:
                    taken.append(os.open(os.devnull, os.O_RDONLY))
            assert [listener.accept() for _ in clients] == [None] * 3
            assert not has_connection(listener), "a loop over the listener would spin"
        finally:
            for descriptor in taken:
                os.close(descriptor)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for client in clients:
            client.settimeout(LONG_S)
            assert client.recv(1) == b""
            client.close()
        warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
        assert warnings == ["connections are refused: Too many open files; raise the limit with `ulimit -n`"]
        with socket.create_connection(listener.getsockname()):
            select.select([listener], [], [], LONG_S)
            accepted = listener.accept()
            assert accepted is not None
            accepted.close()


def test_it_listens_on_an_ipv6_address():
    try:
        listener = listen("::1", 0)
    except SimulatorError as error:
        pytest.skip(f"no IPv6 here: {error}")
    with listener:
        host, port = listener.getsockname()
        assert host == "::1"
        socket.create_connection((host, port)).close()


@pytest.mark.parametrize("host", ["192..168.1.2", "[::1]"])
def test_what_is_no_address_is_one_line(host):
    with pytest.raises(SimulatorError, match=r"^cannot listen on .*"):
        listen(host, 0)
