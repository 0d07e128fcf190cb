import socket
import time

import pytest

from robotini_ray.car import reconnection
from robotini_ray.car.errors import SimulatorUnreachable
from robotini_ray.car.reconnection import Reconnection, SpectatorLink
from robotini_ray.track.track import load_track
from tests.fake_time import FakeTime
from tests.waiting import LONG_S, eventually

PARAMETERS = b'{"type":"RaceParameters","numSegments":12,"track":"oval.json"}\n'


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Waits of a hundredth of a second, each longer than the last; those that were taken."""
    taken = []

    def delays():
        while True:
            taken.append(0.01 * (len(taken) + 1))
            yield taken[-1]

    monkeypatch.setattr(reconnection, "backoff_delays", delays)
    return taken


def test_a_socket_comes_after_the_first_wait_and_asking_never_waits(serve):
    address = serve(lambda sock: sock.recv(1)).address
    way = Reconnection(*address)
    assert way.take_socket() is None
    opened = eventually(way.take_socket, "it is connected")
    assert opened.getpeername() == address and opened.gettimeout() == 0.0
    opened.close()


def test_a_failed_attempt_is_said_once_and_the_next_one_comes_later(impatient):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    way = Reconnection("127.0.0.1", port)
    for attempts in (2, 3, 4):
        with pytest.raises(SimulatorUnreachable, match=f":{port} "):
            eventually(way.take_socket, "the attempt fails")
        assert len(impatient) == attempts
    with socket.create_server(("127.0.0.1", port)):
        eventually(way.take_socket, "it is connected").close()


def test_giving_up_closes_a_socket_that_comes_too_late(serve, monkeypatch):
    opened = []
    open_socket = reconnection.open_socket

    def slow(*arguments):
        time.sleep(0.2)
        opened.append(open_socket(*arguments))
        return opened[-1]

    monkeypatch.setattr(reconnection, "open_socket", slow)
    way = Reconnection(*serve(lambda sock: sock.recv(1)).address)
    while way._attempt is None:
        assert way.take_socket() is None
    way.close()
    eventually(lambda: opened and opened[0].fileno() == -1, "it is closed")


@pytest.fixture
def link(serve):
    """A link to a spectator port whose connections get, one after the other, what the list has."""
    greetings = []

    def script(sock):
        sock.sendall(greetings.pop(0))
        sock.recv(1)

    host, port = serve(script).address
    greetings.append(PARAMETERS + b"junk\n")
    link = SpectatorLink(host, port, load_track("oval"))
    first = link.connect()
    first.wait_for_parameters(LONG_S)
    eventually(lambda: first.drain() or first.bad_lines, "the bad line has come")
    yield link, greetings
    link.close()


def test_a_lost_spectator_comes_back_when_it_has_greeted(link):
    link, greetings = link
    greetings.append(PARAMETERS)
    first = link.spectator
    link.lose()
    assert link.spectator is None
    regained = eventually(link.regain, "it has greeted")
    assert link.spectator is regained is not first and regained.parameters["numSegments"] == 12


def test_one_that_does_not_greet_is_replaced(link, monkeypatch, impatient):
    link, greetings = link
    clock = FakeTime(monkeypatch, reconnection)
    greetings += [b"who are you?\n", PARAMETERS]
    link.lose()
    clock.now_s += 1.0
    eventually(lambda: link.regain() or (link._arriving and link._arriving.bad_lines), "the first has said something else")
    clock.now_s += reconnection.PARAMETERS_TIMEOUT_S
    assert link.regain() is None and link._arriving is not None, "it has that much time"
    clock.now_s += 0.001
    assert link.regain() is None and link._arriving is None
    clock.now_s += 1.0
    eventually(link.regain, "the second has greeted")
    assert len(impatient) == 2, "one wait before each attempt"
    assert link.take_bad_lines() == 2, "those of all its spectators"
    assert link.take_bad_lines() == 0


def test_a_host_that_cannot_be_looked_up_is_unreachable_and_retried_after_a_wait(impatient):
    way = Reconnection("192..168.1.2", 11000)
    for tries in (1, 2, 3):
        with pytest.raises(SimulatorUnreachable, match=r"no simulator at 192\.\.168\.1\.2:11000 \(.*label"):
            eventually(way.take_socket, "it has failed")
        assert len(impatient) == tries + 1
    way.close()
