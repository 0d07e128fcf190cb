import math
import socket
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robotini_ray.car.errors import SimulatorUnreachable, SpectatorLost, StateTimeout, TrackFieldsMissing
from robotini_ray.car.spectator import Spectator


class Stream:
    """The simulator's end of one spectator connection, written to by the test."""

    def __init__(self, serve):
        self._ready, self._finished = threading.Event(), threading.Event()
        self.server = serve(self._script)
        self.spectator = Spectator(*self.server.address)
        assert self._ready.wait(10)

    def _script(self, sock):
        self._sock = sock
        self._ready.set()
        self._finished.wait(60)

    def send(self, data):
        self._sock.sendall(data)

    def hang_up(self):
        self._finished.set()

    def close(self):
        self.spectator.close()
        self.hang_up()


@pytest.fixture
def stream(serve):
    stream = Stream(serve)
    yield stream
    stream.close()


def event(kind, name="car", more=""):
    return f'{{"type":"{kind}","timestamp":1,"car":{{"name":"{name}","teamId":"t"}}{more}}}\n'.encode()


def test_unreachable_names_the_address():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(SimulatorUnreachable, match=rf"127\.0\.0\.1:{port}"):
        Spectator("127.0.0.1", port)


def test_state_of_a_followed_car(stream, wire):
    stream.spectator.follow("car")
    half = math.sqrt(0.5)
    stream.send(
        wire.status("other")
        + wire.status(
            frames_sent=7,
            position={"x": 1, "y": 2, "z": 3},
            velocity={"x": -3.0, "y": 0.0, "z": 4.0},
            rotation={"x": 0.0, "y": half, "z": 0.0, "w": half},  # turned right by 90 degrees: faces +x
        )
    )
    state = stream.spectator.wait_for("car", 7, 10)
    assert (state.name, state.frames_sent, state.track_segment, state.track_angle_deg) == ("car", 7, 3, 4.5)
    assert (state.x, state.y, state.z) == (1, 2, 3)
    assert state.speed_m_s == pytest.approx(5.0)
    assert state.forward_speed_m_s == pytest.approx(-3.0)
    assert state.heading_rad == pytest.approx(math.pi / 2)
    assert state.game_time_s == pytest.approx(2 / 60)
    with pytest.raises(KeyError):
        stream.spectator.state("other")


@pytest.mark.parametrize("yaw", [-3.0, -1.0, 0.0, 0.5, 2.0, 3.1])
def test_heading_is_the_yaw(stream, wire, yaw):
    stream.spectator.follow("car")
    rotation = {"x": 0.0, "y": math.sin(yaw / 2), "z": 0.0, "w": math.cos(yaw / 2)}
    stream.send(wire.status(frames_sent=1, rotation=rotation))
    assert stream.spectator.wait_for("car", 1, 10).heading_rad == pytest.approx(yaw)


def test_waits_for_the_frame_asked_for(stream, wire):
    stream.spectator.follow("car")
    stream.send(wire.status(frames_sent=1))
    assert stream.spectator.wait_for("car", 1, 10).frames_sent == 1
    with pytest.raises(StateTimeout, match=r"'car' for its frame 3 .* 0\.05 s \(have frame 1\)"):
        stream.spectator.wait_for("car", 3, 0.05)
    timer = threading.Timer(0.05, stream.send, [wire.status(frames_sent=2) + wire.status(frames_sent=3)])
    timer.start()
    assert stream.spectator.wait_for("car", 3, 10).frames_sent == 3
    timer.join()


def test_without_frame_numbers_the_newest_state_is_taken(stream, wire):
    stream.spectator.follow("car")
    with pytest.raises(StateTimeout, match="none at all"):
        stream.spectator.wait_for("car", 100, 0.05)
    stream.send(wire.status())
    assert stream.spectator.wait_for("car", 100, 10).frames_sent == -1


def test_counters_are_in_the_snapshot_and_cumulative(stream, wire):
    stream.spectator.follow("car")
    stream.send(
        event("CarCrashed")
        + event("CarCrashed", "other")
        + wire.status(frames_sent=1)
        + event("CarBumped", more=',"other":{"name":"other"}')
        + event("CarBumped", "other", more=',"other":{"name":"car"}')
        + event("CarCrashed")
        + event("CarReturnedToTrack")
        + wire.status(frames_sent=2)
        + event("CarCrashed")
        + wire.status(frames_sent=3)
    )
    stream.spectator.wait_for("car", 3, 10)
    states = stream.spectator.take_states("car")
    assert [(state.crashes, state.bumps, state.returns) for state in states] == [(1, 0, 0), (2, 1, 1), (3, 1, 1)]
    assert stream.spectator.take_states("car") == []


def test_a_car_that_joins_again_starts_without_a_state(stream, wire):
    stream.spectator.follow("car")
    stream.send(wire.status(frames_sent=500))
    stream.spectator.wait_for("car", 500, 10)
    stream.send(event("CarRemoved"))
    with pytest.raises(StateTimeout, match="none at all"):
        stream.spectator.wait_for("car", 1, 0.2)
    stream.send(event("CarAdded") + wire.status(frames_sent=1))
    assert stream.spectator.wait_for("car", 1, 10).frames_sent == 1


def test_a_second_status_of_the_same_moment_takes_no_time(stream, wire):
    stream.spectator.follow("car")
    line = wire.status(frames_sent=1)
    stream.send(line + line + wire.status(frames_sent=2))
    assert stream.spectator.wait_for("car", 2, 10).game_time_s == pytest.approx(2 / 60)


def test_parameters(stream, wire):
    assert stream.spectator.parameters is None
    stream.spectator.follow("car")
    stream.send(b'{"type":"RaceParameters","numSegments":30,"track":"a.json"}\n' + wire.status())
    stream.spectator.wait_for("car", 0, 10)
    assert stream.spectator.parameters["numSegments"] == 30


def test_a_lost_stream_is_an_error_after_its_last_state(stream, wire):
    stream.spectator.follow("car")
    stream.send(wire.status(frames_sent=1))
    stream.spectator.wait_for("car", 1, 10)
    stream.hang_up()
    with pytest.raises(SpectatorLost, match=r"127\.0\.0\.1:\d+ lost: closed"):
        stream.spectator.wait_for("car", 2, 10)
    assert stream.spectator.state("car").frames_sent == 1


def test_upstream_simulator_is_named(stream):
    stream.spectator.follow("car")
    stream.send(b'{"type":"GameStatus","cars":[{"name":"car","position":{},"velocity":{},"rotation":{}}]}\n')
    with pytest.raises(TrackFieldsMissing, match=r"upstream .* fork"):
        stream.spectator.wait_for("car", 1, 10)


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"GameStatus"}', b'{"type":"GameStatus","cars":7}', b'{"type":"GameStatus","cars":[7]}',
        b'{"type":"GameStatus","cars":[{"name":[]}]}', b'{"type":"CarCrashed"}', b'{"type":"CarCrashed","car":[]}',
        b'{"type":"CarCrashed","car":{"name":{}}}',
        b'{"type":"GameStatus","cars":[{"name":"car","trackAngle":1,"trackSegment":1}]}',
    ],
)  # fmt: skip
def test_events_without_their_fields_are_skipped_and_counted(stream, wire, line):
    stream.spectator.follow("car")
    stream.send(line + b"\n" + wire.status(frames_sent=1))
    assert stream.spectator.wait_for("car", 1, 10).frames_sent == 1
    assert stream.spectator.bad_events == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"position": {"x": math.nan, "y": 0, "z": 0}},
        {"velocity": {"x": 0, "y": math.inf, "z": 0}},
        {"rotation": {"x": "a", "y": 0, "z": 0, "w": 1}},
        {"trackSegment": None},
        {"trackSegment": math.nan},
        {"trackAngle": math.nan},
    ],
)
def test_states_that_are_not_numbers_are_skipped(stream, wire, fields):
    stream.spectator.follow("car")
    stream.send(wire.status(frames_sent=1, **fields) + wire.status(frames_sent=2))
    assert stream.spectator.wait_for("car", 1, 10).frames_sent == 2
    assert stream.spectator.bad_events == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(data=st.binary(max_size=300), position=st.integers(0, 10**6))
def test_noise_in_the_stream_never_ends_it(wire, data, position):
    """The reader without its socket: a sound GameStatus, one with bytes put in somewhere, and a sound one."""
    reader, writer = socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        spectator = Spectator(*listener.getsockname())
    spectator.close()
    reader.setblocking(False)
    spectator._socket = reader
    spectator.follow("car")
    line = wire.status(frames_sent=1)
    position %= len(line)
    with writer:
        writer.sendall(line + line[:position] + data + line[position:] + b"\n" + wire.status(frames_sent=2))
        assert spectator.wait_for("car", 2, 10).frames_sent == 2
    spectator.close()


def test_ten_thousand_lines_are_read_in_one_drain_each(stream, wire):
    stream.spectator.follow("car")
    writer = threading.Thread(target=lambda: [stream.send(wire.status(frames_sent=number)) for number in range(1, 10_001)])
    writer.start()
    assert stream.spectator.wait_for("car", 10_000, 30).frames_sent == 10_000
    writer.join()
    assert stream.spectator.game_time_s == pytest.approx(10_000 / 60)
    assert len(stream.spectator.take_states("car")) == 600


def test_a_flood_about_others_does_not_keep_the_wait_from_ending(serve, wire):
    def script(sock):
        while True:
            sock.sendall(wire.status("other") * 100)

    spectator = Spectator(*serve(script).address)
    spectator.follow("car")
    with pytest.raises(StateTimeout):
        spectator.wait_for("car", 1, 0.2)
    spectator.close()


def test_status_age_tells_a_silent_stream(stream, wire):
    stream.spectator.follow("car")
    stream.send(wire.status(frames_sent=1))
    stream.spectator.wait_for("car", 1, 10)
    age_s = stream.spectator.status_age_s
    with pytest.raises(StateTimeout):
        stream.spectator.wait_for("car", 2, 0.1)
    assert stream.spectator.status_age_s >= age_s + 0.1
