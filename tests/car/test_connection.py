import itertools
import json
import random
import re
import select
import socket
import struct
import threading

import pytest

from robotini_ray.car.connection import CarConnection, Login, backoff_delays
from robotini_ray.car.errors import ConnectionLost, LoginRefused, SimulatorUnreachable
from robotini_ray.machine.terminal_text import launch_line
from tests.waiting import LONG_S

LOGIN = Login("car 1", "team", image_width=16)


@pytest.fixture
def connect(serve):
    """Connects LOGIN to a fault server that runs a script; returns the connection."""
    connections = []

    def start(script, login=LOGIN):
        server = serve(script)
        connections.append(CarConnection.connect(*server.address, login))
        return connections[-1]

    yield start
    for connection in connections:
        connection.close()


def test_unreachable_names_the_address_and_the_cure():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    start = re.escape(launch_line("simulate"))
    with pytest.raises(SimulatorUnreachable, match=rf"127\.0\.0\.1:{port} .*`{start}`"):
        CarConnection.connect("127.0.0.1", port, LOGIN)


def test_unknown_host():
    with pytest.raises(SimulatorUnreachable, match=r"nowhere\.invalid:11000"):
        CarConnection.connect("nowhere.invalid", 11000, LOGIN)


@pytest.mark.parametrize("reset", [False, True])
def test_refused_login_names_the_likely_causes(connect, reset):
    def script(sock):
        sock.recv(1024)
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with pytest.raises(LoginRefused, match=r"'car 1' before the first frame .*name .*'team'.*full"):
        connect(script).receive(LONG_S)


def test_login_frames_and_commands(connect, wire):
    received = []

    def script(sock):
        lines = sock.makefile("rb")
        received.append(json.loads(lines.readline()))
        for _ in range(3):
            sock.sendall(wire.framed(wire.png()))
            received.append([lines.readline() for _ in range(3)])

    connection = connect(script, Login("car 1", "team", image_width=16, lockstep=True))
    for number in range(3):
        assert connection.receive(LONG_S) == [wire.png()]
        assert connection.frames_received == number + 1
        connection.send(0.5, -2.0)
    with pytest.raises(ConnectionLost, match=r"'car 1' to 127\.0\.0\.1:\d+ lost: closed"):
        connection.receive(LONG_S)
    login, *answers = received
    assert login["imageWidth"] == 16 and login["lockstep"] is True
    assert [json.loads(line) for line in answers[-1][:2]] == [
        {"action": "forward", "value": 0.5},
        {"action": "turn", "value": -1.0},
    ]
    assert answers[-1][2] == b"\n"


def test_of_a_burst_the_newest_two_are_kept_and_all_counted(connect, wire):
    burst_sent = threading.Event()

    def script(sock):
        frames = [wire.png(extra=wire.chunk(b"tEXt", b"n\0%d" % number)) for number in range(50)]
        sock.sendall(b"".join(wire.framed(frame) for frame in frames))
        burst_sent.set()
        sock.recv(1024)

    connection = connect(script)
    assert burst_sent.wait(LONG_S)
    frames = []
    while connection.frames_received < 50:
        frames = connection.receive(LONG_S)
        assert 1 <= len(frames) <= 2
    assert b"n\x0049" in frames[-1]


def test_a_frame_in_pieces_is_waited_for(connect, wire):
    def script(sock):
        frame = wire.framed(wire.png())
        for start in range(0, len(frame), 7):
            sock.sendall(frame[start : start + 7])
        sock.recv(1024)

    assert connect(script).receive(LONG_S) == [wire.png()]


def test_timeout_leaves_the_connection_usable(connect, wire):
    def script(sock):
        lines = sock.makefile("rb")
        lines.readline()
        lines.readline()  # the first command, sent after the timeout
        sock.sendall(wire.framed(wire.png()))
        lines.readline()

    connection = connect(script)
    assert connection.receive(0.05) == []
    connection.send(0.0, 0.0)
    assert select.select([connection], [], [], LONG_S)[0] == [connection]
    assert connection.receive(LONG_S) == [wire.png()]


@pytest.mark.parametrize("reset", [False, True])
def test_lost_after_the_first_frame(connect, wire, reset):
    first_frame_read = threading.Event()

    def script(sock):
        sock.recv(1024)
        sock.sendall(wire.framed(wire.png()))
        first_frame_read.wait(LONG_S)
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    connection = connect(script)
    assert len(connection.receive(LONG_S)) == 1
    first_frame_read.set()
    with pytest.raises(ConnectionLost):
        connection.receive(LONG_S)
    with pytest.raises(ConnectionLost):  # the second at the latest: the first may still go into a buffer
        for _ in range(2):
            connection.send(0.1, 0.0)
            select.select([connection], [], [], LONG_S)


def test_twenty_bad_frames_in_a_row_end_the_connection(connect, wire):
    def script(sock):
        sock.sendall((wire.framed(b"") * 19 + wire.framed(wire.png())) * 2 + wire.framed(b"junk") * 20)
        sock.recv(1024)

    connection = connect(script)
    with pytest.raises(ConnectionLost, match="20 bad frames in a row, the last: not a PNG"):
        while True:
            connection.receive(LONG_S)
    assert connection.bad_frames == 58
    assert connection.frames_received == 60


def test_a_simulator_that_does_not_read_never_blocks_the_car(connect):
    finished = threading.Event()
    connection = connect(lambda sock: finished.wait(LONG_S))
    with pytest.raises((ConnectionLost, LoginRefused), match="stopped reading"):
        for _ in range(1_000_000):
            connection.send(0.1, 0.1)
    finished.set()


def test_close_stops_the_car_first(connect):
    received = bytearray()
    done = threading.Event()

    def script(sock):
        while data := sock.recv(1024):
            received.extend(data)
        done.set()

    connection = connect(script)
    connection.send(0.1, 0.5)
    connection.close()
    connection.close()
    assert done.wait(LONG_S)
    assert json.loads(received.splitlines()[-2]) == {"action": "forward", "value": 0.0}


def test_a_bad_login_is_not_sent():
    with pytest.raises(ValueError, match="color"):
        CarConnection.connect("127.0.0.1", 1, Login("car", "team", color="blue"))


def test_backoff_grows_to_ten_seconds_with_jitter():
    delays = list(itertools.islice(backoff_delays(random.Random(1)), 200))
    assert all(0.5 <= delay <= 10 for delay in delays)
    assert delays[0] <= 1 < delays[2] and min(delays[5:]) >= 5
    assert len(set(delays[5:])) > 100
