"""``replay-log`` through the real command line, and the pace of what it sends."""

import contextlib
import json
import math
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from robotini_ray import launch
from robotini_ray.car.spectator import Spectator
from robotini_ray.racing.race_log_server import EventLog, LogReplayError, RaceLogServer
from robotini_ray.simulator.server.wire import encode_event
from tests.waiting import LONG_S


def car_event(kind, name, timestamp, **more):
    return {"type": kind, "car": {"name": name, "teamId": name}, "timestamp": timestamp, **more}


def status(names, timestamp, x=0.0):
    car = {
        "position": {"x": x, "y": 0.05, "z": 2.0},
        "velocity": {"x": 0.0, "y": 0.0, "z": 1.0},
        "rotation": {"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0},
        "trackAngle": 1.0,
        "trackSegment": 4,
    }
    return {"type": "GameStatus", "timestamp": timestamp, "cars": [{"name": name, **car} for name in names]}


PARAMETERS = {"type": "RaceParameters", "timestamp": 100.0, "track": "oval.json", "numSegments": 30}
EVENTS = [
    PARAMETERS,
    car_event("CarAdded", "a", 100.0),
    car_event("CarAdded", "b", 100.0),
    status("ab", 100.5, x=1.0),
    car_event("LapCompleted", "a", 101.0, lapCount=0, lastLap=math.nan),
    car_event("CarRemoved", "b", 101.0),
    status("a", 101.5, x=2.0),
]


@pytest.fixture
def log_file(tmp_path):
    path = tmp_path / "race.log"
    path.write_bytes(b"".join(map(encode_event, EVENTS)))
    return path


def same(found, expected):
    """NaN is NaN."""
    return json.dumps(found) == json.dumps(expected)


@contextlib.contextmanager
def served(log, speed):
    """A replay in a thread; it has ended afterwards, so long as somebody was there to see it."""
    replay = RaceLogServer(log, "127.0.0.1", 0, speed)
    thread = threading.Thread(target=replay.run, args=(lambda: False,))
    thread.start()
    try:
        yield replay
    finally:
        thread.join(LONG_S)
        replay.close()


class TestStream:
    def test_what_is_sent_is_what_was_recorded(self, log_file):
        with served(EventLog(log_file), speed=100.0) as replay, socket.create_connection(replay.address, LONG_S) as sock:
            lines = sock.makefile("rb")
            events = [json.loads(lines.readline()) for _ in EVENTS]
        assert same(events, EVENTS)

    def test_it_is_never_ahead_of_its_pace(self, log_file):
        began_s = time.monotonic()
        with served(EventLog(log_file), speed=2.0) as replay, socket.create_connection(replay.address, LONG_S) as sock:
            lines = sock.makefile("rb")
            for event in EVENTS:
                assert same(json.loads(lines.readline()), event)
                assert time.monotonic() - began_s >= (event["timestamp"] - 100.0) / 2

    def test_a_late_spectator_learns_who_is_there(self, log_file):
        gate = threading.Event()

        class Gated(EventLog):
            def __iter__(self):
                for event in super().__iter__():
                    if event["timestamp"] > 101.0:
                        assert gate.wait(LONG_S)
                    yield event

        with served(Gated(log_file), speed=10.0) as replay, socket.create_connection(replay.address, LONG_S) as first:
            lines = first.makefile("rb")
            while json.loads(lines.readline())["type"] != "CarRemoved":
                pass
            with socket.create_connection(replay.address, LONG_S) as second:
                gate.set()
                late = second.makefile("rb")
                assert same([json.loads(late.readline()) for _ in range(3)], [PARAMETERS, EVENTS[1], EVENTS[-1]])

    def test_our_spectator_reads_it(self, log_file):
        with served(EventLog(log_file), speed=5.0) as replay:
            spectator = Spectator(*replay.address)
            spectator.follow("a")
            while (state := spectator.wait_for("a", 1, LONG_S)).x < 2.0:
                pass
            assert spectator.parameters["track"] == "oval.json" and state.track_segment == 4
            spectator.close()

    def test_a_spectator_that_leaves_or_talks_disturbs_nobody(self, log_file):
        with served(EventLog(log_file), speed=2.0) as replay, socket.create_connection(replay.address, LONG_S) as sock:
            with socket.create_connection(replay.address, LONG_S) as rude:
                rude.sendall(b'{"type":"ResetSimulator"}\n')
            lines = sock.makefile("rb")
            assert same([json.loads(lines.readline()) for _ in EVENTS], EVENTS)

    def test_time_that_goes_back_is_another_session(self, tmp_path):
        path = tmp_path / "two.log"
        events = [status("a", 5000.0), status("a", 0.0), status("a", 0.1)]
        path.write_bytes(b"".join(map(encode_event, events)))
        with served(EventLog(path), speed=1.0) as replay, socket.create_connection(replay.address, LONG_S) as sock:
            lines = sock.makefile("rb")
            assert [json.loads(lines.readline())["timestamp"] for _ in events] == [5000.0, 0.0, 0.1]


class TestLog:
    def test_lines_that_are_none_are_counted_and_the_last_needs_no_end(self, tmp_path):
        path = tmp_path / "a.log"
        path.write_bytes(b"garbage\n" + encode_event(EVENTS[0]) + encode_event(EVENTS[1]).strip() + b"\n{\n" + b'{"type":"x"}')
        log = EventLog(path)
        assert [event["type"] for event in log] == ["RaceParameters", "CarAdded", "x"]
        assert log.bad_lines == 2

    @pytest.mark.parametrize("content", [b"", b"no json\n", b"[]\n"])
    def test_a_file_without_events_is_refused(self, tmp_path, content):
        path = tmp_path / "a.log"
        path.write_bytes(content)
        with pytest.raises(LogReplayError, match=r"a\.log holds no events"):
            list(EventLog(path))


class TestCommandLine:
    def test_a_log_is_sent_to_its_end(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PYTHONPATH", str(Path(launch.__file__).parents[1]))
        path = tmp_path / "race.log"
        path.write_bytes(b"".join(map(encode_event, EVENTS)))
        line = [
            sys.executable,
            "-m",
            "robotini_ray.launch",
            "replay-log",
            str(path),
            "--port",
            "0",
            "--speed",
            "20",
            "--no-monitor",
        ]
        with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                host, port = re.match(r"ready log=(\S+):(\d+); ", process.stdout.readline()).groups()
                with socket.create_connection((host, int(port)), LONG_S) as sock:
                    lines = sock.makefile("rb").read().splitlines()
                assert process.wait(LONG_S) == 0
                assert process.stderr.read() == f"{path}: {len(EVENTS)} events sent\n"
            finally:
                process.kill()
        assert same([json.loads(line) for line in lines], EVENTS)

    def test_cars_that_no_page_can_show_are_left_out_and_counted(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PYTHONPATH", str(Path(launch.__file__).parents[1]))
        path = tmp_path / "race.log"
        added = car_event("CarAdded", "a", 100.0)
        added["car"]["color"] = "\ud800"
        lines = [PARAMETERS, added, status(["\ud800", "a"], 100.1), status(["a"], 100.2)]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        line = [sys.executable, "-m", "robotini_ray.launch", "replay-log", str(path), "--port", "0", "--monitor-port", "0"]
        done = subprocess.run(line, capture_output=True, text=True, timeout=LONG_S)
        assert done.stderr == f"{path}: 4 events sent, 1 entries left out of the page that are no states of cars\n"
        assert done.returncode == 0

    def test_it_is_seen_on_the_page(self, tmp_path, monkeypatch, watch_page):
        monkeypatch.setenv("PYTHONPATH", str(Path(launch.__file__).parents[1]))
        path = tmp_path / "race.log"
        added = car_event("CarAdded", "a", 100.0)
        added["car"]["color"] = "#123456"
        driving = [status("a", 100.0 + k / 60, x=k / 100) for k in range(120)]
        path.write_bytes(b"".join(map(encode_event, [PARAMETERS, added, *driving])))
        line = [sys.executable, "-m", "robotini_ray.launch", "replay-log", str(path), "--port", "0", "--loop"]
        with subprocess.Popen(
            [*line, "--monitor-port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                assert re.match(r"ready log=\S+:\d+\n", process.stdout.readline())
                address = re.match(r"watch it: (http://127\.0\.0\.1:\d+/) ?", process.stdout.readline())[1]
                places = set()

                def has_moved(seen):
                    places.update(car["x"] for car in seen.cars.values())
                    return len(places) > 3 and seen.track

                seen = watch_page(address, has_moved)
                process.send_signal(signal.SIGINT)
                assert process.wait(LONG_S) == 130
                assert process.stderr.read() == ""
            finally:
                process.kill()
        assert seen.track == "oval.json" and set(seen.cars) == {"a"} and seen.with_picture == set()
        car = seen.cars["a"]
        assert (car["color"], car["role"], car["z"], car["speed_m_s"], car["throttle"]) == ("#123456", "racer", 2.0, 1.0, None)
        assert places <= {round(k / 100, 4) for k in range(120)}

    @pytest.mark.parametrize("events", [EVENTS[1:], [{**PARAMETERS, "track": "of-a-friend.json"}]])
    def test_a_track_that_nobody_knows_is_asked_for(self, capsys, tmp_path, events):
        path = tmp_path / "race.log"
        path.write_bytes(b"".join(map(encode_event, events)))
        assert launch.main(["replay-log", str(path), "--port", "0"]) == 2
        name = events[0].get("track")
        assert f"race.log was driven on {name!r}, not a shipped track: give its file with --track, or use --no-monitor" in (
            capsys.readouterr().err
        )

    def test_what_cannot_be_read_is_named(self, capsys, tmp_path):
        assert launch.main(["replay-log", str(tmp_path / "no.log")]) == 2
        assert f"{tmp_path}/no.log cannot be read: No such file or directory" in capsys.readouterr().err
