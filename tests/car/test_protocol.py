import itertools
import json
import math
import subprocess
import sys
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robotini_ray.car.png_check import png_fault, png_header
from robotini_ray.car.protocol import EventDecoder, FrameDecoder, command_lines, image_height, login_line

fixtures_are_stateless = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def feed_in_pieces(decoder, stream, cuts):
    """Feeds `stream` cut at the given places; returns all that comes out."""
    borders = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [item for a, b in itertools.pairwise(borders) for item in decoder.feed(stream[a:b])]


class TestLogin:
    def test_is_one_json_line(self):
        line = login_line("Åsa \n x", "team", "#00ff7F", 64, lockstep=False)
        assert line.endswith(b"\n") and line.count(b"\n") == 1
        assert json.loads(line) == {"name": "Åsa \n x", "teamId": "team", "color": "#00ff7F", "imageWidth": 64}

    def test_lockstep_is_asked_for_only_when_wanted(self):
        assert json.loads(login_line("a", "b", "#000000", 8, lockstep=True))["lockstep"] is True

    @pytest.mark.parametrize(
        ("name", "team", "color", "width", "named"),
        [
            ("", "t", "#000000", 64, "name"),
            ("n", "", "#000000", 64, "teamId"),
            ("n", "t", "red", 64, "color"),
            ("n", "t", "#000000\n", 64, "color"),
            ("n", "t", "#000000", 7, "width is 7"),
            ("n", "t", "#000000", 129, "width is 129"),
            ("n" * 1100, "t", "#000000", 64, "1024"),
        ],
    )
    def test_refuses_what_the_simulator_would_refuse(self, name, team, color, width, named):
        with pytest.raises(ValueError, match=named):
            login_line(name, team, color, width, lockstep=False)

    def test_image_height(self):
        assert [image_height(width) for width in (8, 16, 32, 64, 127, 128)] == [5, 10, 20, 40, 79, 80]


class TestCommands:
    @given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
    def test_are_two_clamped_lines(self, throttle, turn):
        forward, steer, rest = command_lines(throttle, turn).split(b"\n")
        assert rest == b""
        assert json.loads(forward) == {"action": "forward", "value": pytest.approx(min(max(throttle, 0), 1), abs=1e-6)}
        assert json.loads(steer) == {"action": "turn", "value": pytest.approx(min(max(turn, -1), 1), abs=1e-6)}

    def test_lockstep_answers_end_with_one_line_that_is_no_command(self):
        assert command_lines(0.5, 0.25, lockstep=True) == command_lines(0.5, 0.25) + b"\n"

    @pytest.mark.parametrize(("throttle", "turn"), [(math.nan, 0.0), (0.0, math.inf), (-math.inf, 0.0)])
    def test_must_be_finite(self, throttle, turn):
        with pytest.raises(ValueError, match=f"throttle {throttle}, turn {turn}"):
            command_lines(throttle, turn)


class TestFrameDecoder:
    @fixtures_are_stateless
    @given(cuts=st.lists(st.integers(0, 10**6), max_size=12), count=st.integers(0, 4))
    def test_chunking_does_not_matter(self, wire, cuts, count):
        frames = [wire.png(extra=wire.chunk(b"tEXt", b"n\0%d" % number)) for number in range(count)]
        stream = b"".join(wire.framed(frame) for frame in frames)
        decoder = FrameDecoder(16, 10)
        assert feed_in_pieces(decoder, stream, cuts) == frames
        assert (decoder.frames_seen, decoder.bad_frames) == (count, 0)

    def test_single_bytes(self, wire):
        frame = wire.png()
        decoder = FrameDecoder(16, 10)
        assert [png for byte in wire.framed(frame) for png in decoder.feed(bytes([byte]))] == [frame]

    @pytest.mark.parametrize("width_height", [(16, 11), (17, 10), (4000, 5000)])
    def test_refuses_other_sizes(self, wire, width_height):
        decoder = FrameDecoder(16, 10)
        assert decoder.feed(wire.framed(wire.png(*width_height, pixels=b""))) == []
        assert decoder.bad_frames == 1
        assert "{}x{}".format(*width_height) in decoder.last_fault and "16x10" in decoder.last_fault

    def test_counts_bad_frames_and_goes_on(self, wire):
        good = wire.png()
        wrong_checksum = bytearray(good)
        wrong_checksum[50] ^= 1
        bad = [b"", b"x", b"not a png " * 9, good[:-1], good[:20], bytes(wrong_checksum), good[:-12]]
        decoder = FrameDecoder(16, 10)
        assert decoder.feed(b"".join(wire.framed(frame) for frame in bad)) == []
        assert (decoder.bad_frames, decoder.consecutive_bad_frames, decoder.frames_seen) == (7, 7, 7)
        assert decoder.feed(wire.framed(good) + wire.framed(b"")) == [good]
        assert (decoder.bad_frames, decoder.consecutive_bad_frames, decoder.frames_seen) == (8, 1, 9)

    @given(st.lists(st.binary(max_size=200), max_size=20))
    def test_survives_any_bytes(self, pieces):
        decoder = FrameDecoder(16, 10)
        for piece in pieces:
            assert decoder.feed(piece) == []

    def test_accepts_a_memoryview(self, wire):
        assert FrameDecoder(16, 10).feed(memoryview(bytearray(wire.framed(wire.png())))) == [wire.png()]


def test_packed_text_is_a_fault(wire):
    bomb = wire.chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(10**6)))
    assert "zTXt" in (png_fault(wire.png(extra=bomb), png_header(16, 10)) or "")


MEMORY_LIMIT_SCRIPT = """
import resource, struct, sys
import cv2
from robotini_ray.car.protocol import FrameDecoder
from robotini_ray.environment.observation import BadFrame, decode_png

cv2.setNumThreads(1)
corpus = sys.stdin.buffer.read()
decoder = FrameDecoder(16, 10)
decoder.feed(b"")
with open("/proc/self/statm") as statm:
    used = int(statm.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 5_000_000,) * 2)
good = 0
for png in decoder.feed(corpus):
    try:
        decode_png(png, 16, 10)
        good += 1
    except BadFrame:
        pass
print(decoder.frames_seen, decoder.bad_frames, good)
"""


def test_hostile_frames_take_no_memory(wire):
    def bomb(size):
        return zlib.compress(bytes(size), 9)

    frames = [
        wire.png(),
        wire.png(4500, 4500, pixels=bomb(60_000_000)),  # refused by its header
        wire.png(pixels=bomb(60_000_000)),  # right size in the header, too much behind it
        wire.png(pixels=bomb(100)),  # too little
        wire.png(pixels=b"no zlib stream"),
        wire.png(extra=wire.chunk(b"iCCP", b"x\0\0" + bomb(7_900_000))),
    ]
    stream = b"".join(wire.framed(frame) for frame in frames)
    result = subprocess.run([sys.executable, "-c", MEMORY_LIMIT_SCRIPT], input=stream, capture_output=True, timeout=60)
    assert result.returncode == 0, result.stderr.decode()
    assert result.stdout.split() == [b"6", b"2", b"2"]


class TestEventDecoder:
    def test_several_objects_on_a_line_and_in_a_chunk(self):
        decoder = EventDecoder()
        assert decoder.feed(b'{"type":"A"}{"type":"B"} {"type":"C"}\n\n  \n{"type":"D"}\r\n{"ty') == [
            {"type": "A"}, {"type": "B"}, {"type": "C"}, {"type": "D"},
        ]  # fmt: skip
        assert decoder.feed(b'pe":"E"}\n') == [{"type": "E"}]
        assert decoder.bad_lines == 0

    def test_bare_nan_is_accepted(self):
        decoder = EventDecoder()
        (event,) = decoder.feed(b'{"type":"LapCompleted","lastLap":NaN,"bestLap":Infinity}\n')
        assert math.isnan(event["lastLap"]) and math.isinf(event["bestLap"])
        assert decoder.bad_lines == 0

    @pytest.mark.parametrize(
        "line",
        [
            b"garbage", b"{", b'{"type":"A"', b"[1]", b"7", b'{"type":7}', b'{"kind":"A"}', b'"type"', b"\xff\xfe{}",
            b'{"type":"\xc3"}', b"[" * 200_000, b'{"type":' * 200_000, b'{"type":"A","x":' + b"9" * 100_000 + b"x}",
        ],
    )  # fmt: skip
    def test_bad_lines_are_skipped_and_counted(self, line):
        decoder = EventDecoder()
        assert decoder.feed(line + b'\n{"type":"next"}\n') == [{"type": "next"}]
        assert decoder.bad_lines == 1

    def test_what_comes_before_a_fault_in_a_line_counts(self):
        decoder = EventDecoder()
        assert decoder.feed(b'{"type":"A"}{"type":7}{"type":"B"}{]\n') == [{"type": "A"}, {"type": "B"}]
        assert decoder.bad_lines == 2

    @pytest.mark.parametrize("piece_bytes", [1 << 16, 1 << 24])
    def test_an_endless_line_is_dropped_and_the_next_one_read(self, piece_bytes):
        stream = b'{"type":"A"}\n' + b'{"type":"' + b"x" * 10_000_000 + b'"}\n{"type":"B"}\n'
        decoder = EventDecoder()
        events = [
            event for start in range(0, len(stream), piece_bytes) for event in decoder.feed(stream[start : start + piece_bytes])
        ]
        assert events == [{"type": "A"}, {"type": "B"}]
        assert decoder.bad_lines == 1

    @given(
        names=st.lists(st.text(max_size=8), max_size=6),
        cuts=st.lists(st.integers(0, 10**6), max_size=12),
    )
    def test_chunking_does_not_matter(self, names, cuts):
        events = [{"type": "CarAdded", "car": {"name": name}} for name in names]
        stream = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events).encode("utf-8")
        decoder = EventDecoder()
        assert feed_in_pieces(decoder, stream, cuts) == events
        assert decoder.bad_lines == 0

    @given(
        line=st.recursive(
            st.none() | st.floats() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        ),
        position=st.integers(0, 10**6),
        byte=st.integers(0, 255),
    )
    def test_any_mutation_costs_at_most_its_line(self, line, position, byte):
        mutated = bytearray(json.dumps({"type": "A", "x": line}).encode())
        mutated[position % len(mutated)] = byte
        decoder = EventDecoder()
        events = decoder.feed(bytes(mutated) + b'\n{"type":"last"}\n')
        assert events[-1] == {"type": "last"}
        assert all(isinstance(event["type"], str) for event in events)

    def test_pieces_of_a_long_line_are_not_scanned_again_and_again(self):
        decoder = EventDecoder()
        for _ in range(16_000):
            assert decoder.feed(b"x" * 64) == []  # 1 MB in 64-byte pieces: quadratic work would take minutes
        assert decoder.feed(b"\n") == []
        assert decoder.bad_lines == 1
