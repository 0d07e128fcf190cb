"""What clients may say, and how it is told apart; no sockets."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robotini_ray.simulator.server import wire
from robotini_ray.simulator.server.wire import Command, LineBuffer, Login, WireError


@given(lines=st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")), max_size=8), data=st.data())
def test_lines_are_the_same_however_they_arrive(lines, data):
    stream = b"".join(line + b"\n" for line in lines)
    buffer, found, start = LineBuffer(64), [], 0
    while start < len(stream):
        end = data.draw(st.integers(start + 1, len(stream)))
        found += buffer.feed(stream[start:end])
        start = end
    assert found == lines


@pytest.mark.parametrize("data", [b"x" * 65, b"x" * 65 + b"\n", b"ok\n" + b"x" * 65])
def test_long_lines_are_refused_finished_or_not(data):
    with pytest.raises(WireError, match="64 bytes"):
        list(LineBuffer(64).feed(data))


def test_the_limit_may_change_between_lines():
    buffer = LineBuffer(10)
    lines = buffer.feed(b"0123456789\n012345\n")
    next(lines)
    buffer.limit_bytes = 5
    with pytest.raises(WireError):
        next(lines)


def test_a_whole_login():
    line = b'{"name": "n", "teamId": "t", "color": "#00ff00", "imageWidth": 64, "lockstep": true}'
    assert wire.parse_login(line) == Login("n", "t", "#00ff00", 64, True)


@pytest.mark.parametrize("width", [None, 7, 129, 0, -5, "64", 64.0, True])
def test_other_image_widths_mean_128(width):
    assert wire.parse_login(json.dumps({"name": "n", "teamId": "t", "imageWidth": width}).encode()).image_width == 128


@pytest.mark.parametrize("width", [8, 32, 128])
def test_allowed_image_widths(width):
    assert wire.parse_login(json.dumps({"name": "n", "teamId": "t", "imageWidth": width}).encode()).image_width == width


@pytest.mark.parametrize(
    "line",
    [b"", b"{}", b'{"name": "n"}', b'{"teamId": "t"}', b'{"name": "", "teamId": "t"}', b'{"name": 1, "teamId": "t"}'],
)
def test_logins_without_name_or_team_are_refused(line):
    with pytest.raises(WireError):
        wire.parse_login(line)


@pytest.mark.parametrize("action", ["forward", "turn", "brake", "reverse"])
def test_commands(action):
    assert wire.parse_command(json.dumps({"action": action, "value": 0.25}).encode()) == Command(action, 0.25)
    assert wire.parse_command(json.dumps({"action": action}).encode()) == Command(action, 0.0)


@pytest.mark.parametrize("line", [b"", b"  ", b"\r"])
def test_blank_lines(line):
    assert wire.parse_command(line) == Command(blank=True)


@pytest.mark.parametrize(
    "line",
    [
        b'{"move": true}',
        b"{}",
        b'{"action": "fly", "value": 1}',
        b'{"action": ["turn"], "value": 1}',
        b'{"action": null}',
        b'{"action": "turn", "value": "1"}',
        b'{"action": "turn", "value": true}',
        b'{"action": "turn", "value": {}}',
    ],
)
def test_other_objects_only_ask_for_a_frame(line):
    assert wire.parse_command(line) == Command(None)


@pytest.mark.parametrize("line", [b"x", b"{", b"5", b"[]", b'"turn"', b"NaN", b"\xff", b"{}{}", b"[" * 400])
def test_lines_that_are_no_json_object_are_refused(line):
    with pytest.raises(WireError):
        wire.parse_command(line)


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers())
def test_values_count_as_sent_within_what_physics_can_compute(value):
    command = wire.parse_command(json.dumps({"action": "turn", "value": value}).encode())
    assert command == Command("turn", max(-100.0, min(100.0, value)))


@given(st.binary(max_size=80))
def test_any_bytes_are_understood_or_refused(line):
    try:
        wire.parse_command(line)
    except WireError as error:
        assert "JSON object" in str(error)


def test_a_huge_whole_number_is_survived():
    assert wire.parse_command(b'{"action": "turn", "value": 1' + b"0" * 400 + b"}").value in (0.0, 100.0)


@pytest.mark.parametrize("kind", ["ProceedToNextPhase", "MotorsToggle", "ResetSimulator"])
def test_ui_commands(kind):
    assert wire.parse_ui_command(json.dumps({"type": kind}).encode()) == kind


@pytest.mark.parametrize("line", [b"", b"{}", b'{"type": "GameStatus"}', b'{"type": []}', b"x", b"[]"])
def test_anything_else_from_a_spectator_is_refused(line):
    with pytest.raises(WireError):
        wire.parse_ui_command(line)


def test_events_are_lines_with_bare_nan():
    line = wire.encode_event({"type": "LapCompleted", "lastLap": math.nan, "car": {"name": "a\nb"}})
    assert line.count(b"\n") == 1
    assert b'"lastLap":NaN' in line
    assert json.loads(line)["car"]["name"] == "a\nb"


def test_a_frame_has_its_length_in_front():
    assert wire.encode_frame(b"x" * 258) == b"\x01\x02" + b"x" * 258
