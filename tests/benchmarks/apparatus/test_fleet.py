import json
import select
import socket
import threading

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from robotini_ray.benchmarks.apparatus import fleet as fleet_module
from robotini_ray.benchmarks.apparatus.fleet import LOOK_EVERY_FRAMES, Fleet, FleetError, turn_by_colour
from robotini_ray.car.errors import SimulatorUnreachable
from robotini_ray.simulator.server.server import SimulatorServer
from robotini_ray.simulator.world.race_parameters import RaceParameters
from robotini_ray.simulator_address import SimulatorAddress
from robotini_ray.track.track import load_track
from tests.waiting import LONG_S

ONE_FRAME_S = 1e-6  # any frame ends it
RED, GREEN, BLUE, DARK = (62, 57, 238), (142, 217, 62), (156, 108, 66), (80, 62, 52)


def picture(*stripes, width=64):
    """Vertical stripes, from left to right."""
    image = np.empty((width * 80 // 128, width, 3), np.uint8)
    for stripe, columns in zip(stripes, np.array_split(np.arange(width), len(stripes)), strict=True):
        image[:, columns] = stripe
    return image


class TestTurnByColour:
    @pytest.mark.parametrize("width", [128, 32])
    def test_more_of_one_side_turns_to_the_other(self, width):
        assert turn_by_colour(picture(RED, BLUE, GREEN, width=width)) == pytest.approx(0, abs=0.1)
        assert turn_by_colour(picture(RED, RED, RED, BLUE, width=width)) < -0.5
        assert turn_by_colour(picture(BLUE, GREEN, GREEN, GREEN, width=width)) > 0.5

    def test_what_is_no_road_does_not_count(self):
        assert turn_by_colour(picture(DARK, DARK)) == 0.0
        assert turn_by_colour(picture(RED, DARK)) == pytest.approx(turn_by_colour(picture(RED, RED)), abs=0.05)

    @given(hnp.arrays(np.uint8, st.tuples(st.integers(5, 80), st.integers(8, 128), st.just(3))))
    def test_any_picture_gives_a_turn_that_a_car_has(self, image):
        assert -1.0 <= turn_by_colour(image) <= 1.0


class FakeSimulator:
    """One connection at a time: sends what it is given, and keeps the lines that it gets."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = SimulatorAddress("127.0.0.1", self._listener.getsockname()[1], 0)
        self.connection = None

    def accept(self):
        self._listener.settimeout(LONG_S)
        self.connection, _ = self._listener.accept()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection.settimeout(LONG_S)

    def read(self, packets=1):
        return b"".join(self.connection.recv(4096) for _ in range(packets))

    def close(self):
        for sock in (self._listener, self.connection):
            if sock is not None:
                sock.close()


@pytest.fixture
def fake():
    made = FakeSimulator()
    yield made
    made.close()


@pytest.fixture
def lone(fake, monkeypatch):
    """A fleet of one car on the fake simulator; nobody waits long for it to hang up."""
    monkeypatch.setattr(fleet_module, "CONNECT_TIMEOUT_S", 0.2)
    with Fleet(fake.address, cars=1, width=32, lockstep=True) as fleet:
        fake.accept()
        yield fleet


def frame(content):
    return len(content).to_bytes(2, "big") + content


def png(*stripes):
    return cv2.imencode(".png", picture(*stripes))[1].tobytes()


class TestOnTheWire:
    def test_login_then_an_answer_in_one_packet_that_ends_with_a_blank_line(self, fake, lone):
        login = json.loads(fake.read())
        assert (login["name"], login["imageWidth"], login["lockstep"]) == ("fleet-0", 32, True)
        fake.connection.sendall(frame(png(RED, RED)))
        window = lone.drive(ONE_FRAME_S)
        *commands, blank, rest = fake.read().split(b"\n")
        assert [json.loads(line)["action"] for line in commands] == ["forward", "turn"]
        assert json.loads(commands[1])["value"] == -1.0
        assert (blank, rest) == (b"", b"")
        assert window.frames == 1 and len(window.intervals_s) == 1

    def test_without_lockstep_there_is_no_blank_line(self, fake, monkeypatch):
        monkeypatch.setattr(fleet_module, "CONNECT_TIMEOUT_S", 0.2)
        with Fleet(fake.address, cars=1, width=32, lockstep=False) as fleet:
            fake.accept()
            fake.read()
            fake.connection.sendall(frame(png(RED, GREEN)))
            fleet.drive(ONE_FRAME_S)
            answer = fake.read()
        assert answer.count(b"\n") == 2 and not answer.endswith(b"\n\n")

    def test_a_frame_may_come_in_pieces(self, fake, lone):
        fake.read()
        content = frame(png(GREEN, GREEN))
        waits = threading.Event()

        def dribble():
            for piece in (content[:1], content[1:2], content[2:20], content[20:]):
                fake.connection.sendall(piece)
                waits.wait(0.05)

        thread = threading.Thread(target=dribble)
        thread.start()
        frames = lone.drive(ONE_FRAME_S).frames
        thread.join(LONG_S)
        assert frames == 1
        assert json.loads(fake.read().split(b"\n")[1])["value"] == 1.0

    def test_only_some_pictures_are_looked_at(self, fake, lone):
        """What is no picture would fail where it is unpacked."""
        fake.read()
        for number in range(2 * LOOK_EVERY_FRAMES):
            looked_at = number % LOOK_EVERY_FRAMES == 0
            fake.connection.sendall(
                frame(png(*((RED, RED) if number == 0 else (GREEN, GREEN))) if looked_at else b"no picture")
            )
            assert lone.drive(ONE_FRAME_S).frames == 1
            turn = json.loads(fake.read().split(b"\n")[1])["value"]
            assert turn == (-1.0 if number < LOOK_EVERY_FRAMES else 1.0)

    def test_a_simulator_that_hangs_up_is_an_error(self, fake, lone):
        fake.read()
        fake.connection.close()
        with pytest.raises(FleetError, match="closed the connection of car fleet-0"):
            lone.drive(LONG_S)

    def test_silence_is_an_error(self, lone, monkeypatch):
        monkeypatch.setattr(fleet_module, "SILENCE_LIMIT_S", 0.05)
        with pytest.raises(FleetError, match="none of 1 cars a frame"):
            lone.drive(LONG_S)

    def test_nobody_there(self, fake):
        fake.close()
        with pytest.raises(SimulatorUnreachable):
            Fleet(fake.address, cars=1, width=32, lockstep=True)


@pytest.fixture
def server():
    """An embedded simulator in lock-step on a thread."""
    made = SimulatorServer(
        load_track("default"), RaceParameters(num_segments=30), car_port=0, log_port=0, pace="max", answer_timeout_ms=600_000
    )
    thread = threading.Thread(target=made.run)
    thread.start()
    yield SimulatorAddress("127.0.0.1", made.car_address[1], made.log_address[1])
    made.stop()
    thread.join(LONG_S)
    assert not thread.is_alive()


class Spectator:
    """Counts the events of a simulator by their type until it is closed."""

    def __init__(self, address):
        self.counts = {}
        self._socket = socket.create_connection(("127.0.0.1", address.log_port), timeout=LONG_S)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self):
        with self._socket.makefile("rb") as stream:
            for line in stream:
                kind = json.loads(line)["type"]
                self.counts[kind] = self.counts.get(kind, 0) + 1

    def close(self):
        self._socket.shutdown(socket.SHUT_WR)  # the simulator hangs up when it has sent everything
        self._thread.join(LONG_S)
        self._socket.close()


class TestOnTheEmbeddedSimulator:
    def test_six_cars_drive_a_lap_and_touch_nothing(self, server):
        """At 0.86 m/s a lap of 19.4 m takes 1,400 frames; the last car starts 6.5 m before the line and needs 1,860."""
        spectator = Spectator(server)
        with Fleet(server, cars=6, width=32, lockstep=True) as fleet:
            frames = 0
            while frames < 6 * 2000:
                frames += fleet.drive(0.1).frames
        spectator.close()
        assert spectator.counts["CarAdded"] == spectator.counts["CarRemoved"] == 6
        assert spectator.counts["LapCompleted"] >= 6
        assert not spectator.counts.keys() & {"CarCrashed", "CarReturnedToTrack", "CarBumped"}

    def test_every_frame_is_counted_once(self, server):
        spectator = Spectator(server)
        with Fleet(server, cars=1, width=8, lockstep=True) as fleet:
            frames = fleet.drive(0.05).frames + fleet.drive(0.05).frames
        spectator.close()
        # A status comes with each frame, and the one that followed our last answer was not read.
        assert spectator.counts["GameStatus"] in (frames, frames + 1)

    def test_it_has_left_when_it_is_closed(self, server):
        for cars in (20, 24, 24):  # there is room for 32
            with Fleet(server, cars, width=8, lockstep=True) as fleet:
                assert fleet.drive(0.02).frames >= 1

    def test_an_event_loop_is_left_without_open_files(self, server, monkeypatch):
        made = []
        original = select.epoll
        monkeypatch.setattr(fleet_module.select, "epoll", lambda: made.append(original()) or made[-1])
        Fleet(server, cars=1, width=8, lockstep=True).close()
        assert [poll.closed for poll in made] == [True]
