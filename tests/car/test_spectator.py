import json
import math
import re
import socket
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robotini_ray.car import spectator as spectator_module
from robotini_ray.car.errors import (
    SegmentsRefused,
    SimulatorUnreachable,
    SpectatorLost,
    StateTimeout,
    TrackFieldsMissing,
    TrackMismatch,
)
from robotini_ray.car.spectator import Spectator
from robotini_ray.track.track import load_track
from tests.waiting import LONG_S, eventually


class Stream:
    """The simulator's end of one spectator connection, written to by the test."""

    def __init__(self, serve, track=None):
        self._ready, self._finished = threading.Event(), threading.Event()
        self.server = serve(self._script)
        self.spectator = Spectator(*self.server.address, track=track)
        assert self._ready.wait(LONG_S)

    def _script(self, sock):
        self._sock = sock
        self._ready.set()
        self._finished.wait(LONG_S)

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


@pytest.fixture
def upstream(serve):
    """A stream without the track's fields, read by a spectator that knows the track."""
    stream = Stream(serve, load_track("oval"))
    stream.send(PARAMETERS)
    stream.spectator.follow("car")
    yield stream
    stream.close()


PARAMETERS = b'{"type":"RaceParameters","numSegments":12,"track":"oval.json"}\n'


def on_oval(wire, part, turned_rad=0.0, **fields):
    """The status line of a car on the centre line of the oval at a part (0..1) of its length."""
    track = load_track("oval")
    x, z, heading = track.pose(part * track.length_m)
    half = (heading + turned_rad) / 2
    rotation = {"x": 0.0, "y": math.sin(half), "z": 0.0, "w": math.cos(half)}
    return wire.status(position={"x": x, "y": 0.048, "z": z}, rotation=rotation, **fields)


def without_fields(line):
    status = json.loads(line)
    for car in status["cars"]:
        del car["trackAngle"], car["trackSegment"]
    return json.dumps(status).encode() + b"\n"


def segments_of(stream, number):
    stream.spectator.wait_for("car", number, LONG_S)
    return [state.track_segment for state in stream.spectator.take_states("car")]


def event(kind, name="car", more=""):
    return f'{{"type":"{kind}","timestamp":1,"car":{{"name":"{name}","teamId":"t"}}{more}}}\n'.encode()


def test_unreachable_names_the_address():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(SimulatorUnreachable, match=rf"127\.0\.0\.1:{port}"):
        Spectator("127.0.0.1", port)


@pytest.mark.parametrize("number", ["1", "0", "1001", "null", '"many"', "1" + 400 * "0"])
def test_segments_by_which_no_lap_can_be_counted_are_refused(stream, number):
    stream.send(b'{"type":"RaceParameters","numSegments":%s,"track":"oval.json"}\n' % number.encode())
    with pytest.raises(SegmentsRefused) as refusal:
        stream.spectator.wait_for_parameters(LONG_S)
    told = {"null": "None", '"many"': "'many'"}.get(number, number)[:40]
    host, port = stream.server.address
    assert str(refusal.value) == (
        f"the simulator at {host}:{port} sends numSegments {told}, but counting laps takes 2 to 1000: "
        "set numSegments in its RaceParameters.json"
    )


def far_away(wire, number):
    """The status of a car in the middle of the oval, by a simulator that sends the track fields."""
    return wire.status(frames_sent=number, position={"x": 0.0, "y": 0.048, "z": 0.0})


@pytest.fixture
def told(serve):
    """A stream with the track's fields, read by a spectator that knows a track of that name."""
    stream = Stream(serve, load_track("oval"))
    stream.send(PARAMETERS)
    stream.spectator.follow("car")
    yield stream
    stream.close()


def test_a_car_that_drives_outside_the_walls_is_on_another_geometry_of_that_name(told, wire):
    told.send(b"".join(far_away(wire, number) for number in range(1, 62)))
    with pytest.raises(TrackMismatch) as mismatch:
        told.spectator.wait_for("car", 61, LONG_S)
    host, port = told.server.address
    assert re.sub(r"\d\.\d\d m", "... m", str(mismatch.value)) == (
        f"car 'car' is ... m from the line of track 'oval.json' ({load_track('oval').path}): the simulator at {host}:{port} "
        "drives on another geometry of that name; give the file of its track with --track"
    )


def test_a_car_that_leaves_the_walls_in_every_lap_is_noticed_too(told, wire):
    """Its times outside are short, but there are too many of them."""
    lap = 20 * far_away(wire, 1) + 100 * on_oval(wire, 0.3)
    told.send(8 * lap)
    with pytest.raises(TrackMismatch, match="another geometry"):
        told.spectator.wait_for("car", 1000, LONG_S)


def test_flights_over_the_wall_that_end_in_a_return_are_none(told, wire):
    flight = on_oval(wire, 0.1) + 50 * far_away(wire, 1)
    told.send(10 * (flight + event("CarReturnedToTrack")) + on_oval(wire, 0.6, frames_sent=1000))
    assert told.spectator.wait_for("car", 1000, LONG_S).returns == 10


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
    state = stream.spectator.wait_for("car", 7, LONG_S)
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
    assert stream.spectator.wait_for("car", 1, LONG_S).heading_rad == pytest.approx(yaw)


def test_waits_for_the_frame_asked_for(stream, wire):
    stream.spectator.follow("car")
    stream.send(wire.status(frames_sent=1))
    assert stream.spectator.wait_for("car", 1, LONG_S).frames_sent == 1
    with pytest.raises(StateTimeout, match=r"'car' for its frame 3 .* 0\.05 s \(have frame 1, \d+\.\d s old\)"):
        stream.spectator.wait_for("car", 3, 0.05)
    timer = threading.Timer(0.05, stream.send, [wire.status(frames_sent=2) + wire.status(frames_sent=3)])
    timer.start()
    assert stream.spectator.wait_for("car", 3, LONG_S).frames_sent == 3
    timer.join()


def test_without_frame_numbers_the_newest_state_is_taken(stream, wire, monkeypatch):
    monkeypatch.setattr(spectator_module, "STALE_S", LONG_S)
    stream.spectator.follow("car")
    with pytest.raises(StateTimeout, match="none at all"):
        stream.spectator.wait_for("car", 100, 0.05)
    stream.send(wire.status())
    assert stream.spectator.wait_for("car", 100, LONG_S).frames_sent == -1


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
    stream.spectator.wait_for("car", 3, LONG_S)
    states = stream.spectator.take_states("car")
    assert [(state.crashes, state.bumps, state.returns) for state in states] == [(1, 0, 0), (2, 1, 1), (3, 1, 1)]
    assert stream.spectator.take_states("car") == []


def test_a_car_that_joins_again_starts_without_a_state(stream, wire):
    stream.spectator.follow("car")
    stream.send(wire.status(frames_sent=500))
    stream.spectator.wait_for("car", 500, LONG_S)
    stream.send(event("CarRemoved"))
    with pytest.raises(StateTimeout, match="none at all"):
        stream.spectator.wait_for("car", 1, 0.2)
    stream.send(event("CarAdded") + wire.status(frames_sent=1))
    assert stream.spectator.wait_for("car", 1, LONG_S).frames_sent == 1


def test_a_second_status_of_the_same_moment_takes_no_time(stream, wire):
    stream.spectator.follow("car")
    line = wire.status(frames_sent=1)
    stream.send(line + line + wire.status(frames_sent=2))
    assert stream.spectator.wait_for("car", 2, LONG_S).game_time_s == pytest.approx(2 / 60)


def test_parameters(stream, wire):
    assert stream.spectator.parameters is None
    stream.spectator.follow("car")
    stream.send(b'{"type":"RaceParameters","numSegments":30,"track":"a.json"}\n' + wire.status())
    stream.spectator.wait_for("car", 0, LONG_S)
    assert stream.spectator.parameters["numSegments"] == 30


def test_a_lost_stream_is_an_error_after_its_last_state(stream, wire):
    stream.spectator.follow("car")
    stream.send(wire.status(frames_sent=1))
    stream.spectator.wait_for("car", 1, LONG_S)
    stream.hang_up()
    with pytest.raises(SpectatorLost, match=r"127\.0\.0\.1:\d+ lost: closed"):
        stream.spectator.wait_for("car", 2, LONG_S)
    assert stream.spectator.state("car").frames_sent == 1


@pytest.mark.parametrize("pitch_deg", [-20, -3, 0, 8])
@pytest.mark.parametrize("yaw", [-2.0, 0.0, 0.7])
def test_speed_along_a_slope(stream, wire, yaw, pitch_deg):
    """Unity turns by yaw about y, then about the car's own x, where positive is nose down."""
    stream.spectator.follow("car")
    pitch = math.radians(pitch_deg)
    half_yaw, half_pitch = yaw / 2, -pitch / 2
    rotation = {
        "x": math.cos(half_yaw) * math.sin(half_pitch),
        "y": math.sin(half_yaw) * math.cos(half_pitch),
        "z": -math.sin(half_yaw) * math.sin(half_pitch),
        "w": math.cos(half_yaw) * math.cos(half_pitch),
    }
    forward = {
        "x": math.cos(pitch) * math.sin(yaw),
        "y": math.sin(pitch),
        "z": math.cos(pitch) * math.cos(yaw),
    }
    up_hill = {axis: -2.5 * part for axis, part in forward.items()}
    up_hill["x"], up_hill["z"] = up_hill["x"] + math.cos(yaw), up_hill["z"] - math.sin(yaw)  # and 1 m/s to the right
    stream.send(wire.status(frames_sent=1, rotation=rotation, velocity=up_hill))
    state = stream.spectator.wait_for("car", 1, LONG_S)
    assert state.forward_speed_m_s == pytest.approx(-2.5)
    assert state.speed_m_s == pytest.approx(math.hypot(2.5, 1.0))
    assert state.heading_rad == pytest.approx(yaw)


def test_fields_that_are_not_sent_are_computed(upstream, wire):
    lines = [on_oval(wire, part / 40, 0.2, frames_sent=part + 1) for part in range(38)]
    upstream.send(b"".join(map(without_fields, lines)))
    # A fortieth of the oval a frame is 0.34 m; the twelve triggers stand at thirteenths.
    expected = [-1, *(max(0, math.floor(13 * part / 40) - 1) for part in range(1, 38))]
    assert segments_of(upstream, 38) == expected
    assert upstream.spectator.state("car").track_angle_deg == pytest.approx(math.degrees(0.2))


def test_fields_that_are_sent_are_believed(upstream, wire):
    upstream.send(on_oval(wire, 0.5, frames_sent=1) + on_oval(wire, 0.51, frames_sent=2, segment=29, trackAngle=170.5))
    assert segments_of(upstream, 2) == [3, 29]
    assert upstream.spectator.state("car").track_angle_deg == 170.5


def test_one_state_without_its_fields_among_others_is_a_bad_event(upstream, wire):
    lines = [on_oval(wire, 0.5, frames_sent=number) for number in (1, 2, 3)]
    upstream.send(lines[0] + without_fields(lines[1]) + lines[2])
    assert segments_of(upstream, 3) == [3, 3]
    assert upstream.spectator.bad_events == 1


def test_a_computed_segment_follows_a_put_back_and_forgets_a_car_that_left(upstream, wire):
    def line(number, part):
        return without_fields(on_oval(wire, part, frames_sent=number))

    upstream.send(line(1, 0.14) + line(2, 0.16) + event("CarReturnedToTrack") + line(3, 0.6) + line(4, 0.62))
    assert segments_of(upstream, 4) == [-1, 1, 6, 7]
    upstream.send(event("CarRemoved") + event("CarAdded") + line(5, 0.6) + line(6, 0.62))
    assert segments_of(upstream, 6) == [-1, 7]


@pytest.mark.parametrize("session", ["FreePracticeStart", "QualifyingStart", "StartingGridInit", "RaceStart"])
def test_a_new_session_forgets_the_computed_segment(upstream, wire, session):
    lines = [without_fields(on_oval(wire, part, frames_sent=number)) for number, part in enumerate((0.6, 0.62, 0.62, 0.7), 1)]
    upstream.send(lines[0] + lines[1] + b'{"type":"%s","timestamp":1}\n' % session.encode() + lines[2] + lines[3])
    assert segments_of(upstream, 4) == [-1, 7, -1, 8]


def test_a_state_that_is_no_number_does_not_disturb_the_computed_ones(upstream, wire):
    broken = without_fields(on_oval(wire, 0.15, frames_sent=2)).replace(b'"y": 0.048', b'"y": NaN')
    upstream.send(without_fields(on_oval(wire, 0.14, frames_sent=1)) + broken)
    upstream.send(without_fields(on_oval(wire, 0.16, frames_sent=3)))
    assert segments_of(upstream, 3) == [-1, 1]
    assert upstream.spectator.bad_events == 1


def test_a_car_of_another_track_is_an_error_with_a_cure(upstream, wire):
    upstream.send(without_fields(wire.status(frames_sent=1, position={"x": 50.0, "y": 0.048, "z": 50.0})))
    with pytest.raises(TrackMismatch, match=r"'car' is \d\d\.\d\d m from .* track 'oval\.json' .*--track"):
        upstream.spectator.wait_for("car", 1, LONG_S)


def test_without_race_parameters_nothing_can_be_computed(serve, wire):
    stream = Stream(serve, load_track("oval"))
    stream.spectator.follow("car")
    stream.send(without_fields(on_oval(wire, 0.5, frames_sent=1)))
    with pytest.raises(TrackFieldsMissing, match="RaceParameters"):
        stream.spectator.wait_for("car", 1, LONG_S)
    stream.close()


def test_upstream_simulator_is_named(stream):
    stream.spectator.follow("car")
    stream.send(b'{"type":"GameStatus","cars":[{"name":"car","position":{},"velocity":{},"rotation":{}}]}\n')
    with pytest.raises(TrackFieldsMissing, match=r"127\.0\.0\.1:\d+ sends no trackAngle .* 'car': .* upstream .* --track"):
        stream.spectator.wait_for("car", 1, LONG_S)


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
    assert stream.spectator.wait_for("car", 1, LONG_S).frames_sent == 1
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
        {"trackAngle": 1e308},
        {"trackAngle": -361},
        {"trackSegment": 1000},
        {"trackSegment": -2},
        {"trackSegment": 10**400},
        {"position": {"x": 0, "y": -1e308, "z": 0}},
        {"position": {"x": 10**400, "y": 0, "z": 0}},
        {"velocity": {"x": 1e200, "y": 0, "z": 0}},
        {"velocity": {"x": 0, "y": 0, "z": 101}},
        {"rotation": {"x": 0, "y": 1e154, "z": 0, "w": 1}},
        {"frames_sent": "many"},
    ],
)
def test_states_that_are_not_numbers_are_skipped(stream, wire, fields):
    stream.spectator.follow("car")
    stream.send(wire.status(**{"frames_sent": 1, **fields}) + wire.status(frames_sent=2))
    assert stream.spectator.wait_for("car", 1, LONG_S).frames_sent == 2
    assert stream.spectator.bad_events == 1


@pytest.mark.parametrize("entry", [7, {}, {"name": "bad", "trackAngle": 1}, {"name": []}, None])
def test_an_entry_that_is_none_holds_back_no_other_car(stream, wire, entry):
    stream.spectator.follow("car")
    stream.spectator.follow("bad")
    status = json.loads(wire.status(frames_sent=1))
    status["cars"] = [entry, *status["cars"], entry]
    stream.send(json.dumps(status).encode() + b"\n")
    assert stream.spectator.wait_for("car", 1, LONG_S).frames_sent == 1
    assert stream.spectator.bad_events == 2 == stream.spectator.take_bad_lines()


def test_a_name_that_no_text_can_hold_is_skipped_and_counted(serve, wire):
    made = Stream(serve)
    spectator = Spectator("127.0.0.1", 0, sock=made.spectator._stream._socket, follow_all=True)
    status = json.loads(wire.status(frames_sent=1))
    status["cars"] = [{**status["cars"][0], "name": "\ud800"}, *status["cars"]]
    made.send(json.dumps(status).encode() + b"\n")
    eventually(lambda: spectator.drain() or spectator.followed, "the sound car is followed")
    assert spectator.followed == ["car"] and spectator.bad_events == 1
    made.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(data=st.binary(max_size=300), position=st.integers(0, 10**6))
def test_noise_in_the_stream_never_ends_it(wire, data, position):
    """The reader without its socket: a sound GameStatus, one with bytes put in somewhere, and a sound one."""
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    spectator = Spectator("127.0.0.1", 0, sock=reader)
    spectator.follow("car")
    line = wire.status(frames_sent=1)
    position %= len(line)
    with writer:
        writer.sendall(line + line[:position] + data + line[position:] + b"\n" + wire.status(frames_sent=2))
        assert spectator.wait_for("car", 2, LONG_S).frames_sent == 2
    spectator.close()


def test_ten_thousand_lines_are_read_in_one_drain_each(stream, wire):
    stream.spectator.follow("car")
    writer = threading.Thread(target=lambda: [stream.send(wire.status(frames_sent=number)) for number in range(1, 10_001)])
    writer.start()
    assert stream.spectator.wait_for("car", 10_000, LONG_S).frames_sent == 10_000
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
    stream.spectator.wait_for("car", 1, LONG_S)
    age_s = stream.spectator.status_age_s
    with pytest.raises(StateTimeout):
        stream.spectator.wait_for("car", 2, 0.1)
    assert stream.spectator.status_age_s >= age_s + 0.1
