"""The car socket and the spectator socket, row by row, with plain sockets; no test depends on the machine's speed."""

import json
import socket
import struct
import subprocess
import sys
import time

import pytest

from robotini_ray.simulator.server import peer as peer_module
from robotini_ray.simulator.server import server as server_module
from robotini_ray.simulator.server.listener import SimulatorError
from robotini_ray.simulator.server.server import LOGIN_TIMEOUT_S, SimulatorServer
from robotini_ray.simulator.world.race_parameters import ListedCar, RaceParameters
from robotini_ray.track.track import load_track
from tests.fake_time import FakeTime
from tests.waiting import eventually

CAR_FIELDS = {"teamId", "name", "color", "texture", "type", "timestamp"}


def png_size(png):
    return struct.unpack(">II", png[16:24])


@pytest.mark.parametrize(("width", "size"), [(64, (64, 40)), (8, (8, 5)), (128, (128, 80)), (7, (128, 80)), (None, (128, 80))])
def test_login_brings_a_frame_of_the_width_asked_for(world, width, size):
    assert png_size(world.car(imageWidth=width).png()) == size


def test_frames_are_8_bit_rgb(world):
    png = world.car().png()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert png[24:29] == bytes([8, 2, 0, 0, 0])


def test_a_missing_image_width_means_128(world):
    car = world.stranger()
    car.say({"name": "a", "teamId": "t", "color": "#ff0000"})
    assert png_size(car.png()) == (128, 80)


def test_nothing_waits_for_a_fuller_packet(world):
    world.car().png()
    world.spectator().next()
    (driver,), (spectator,) = world.server._drivers.values(), world.server._spectators
    for peer in (driver.peer, spectator):
        assert peer.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_the_server_listens_for_this_machine_only(world):
    assert world.server.car_address[0] == world.server.log_address[0] == "127.0.0.1"


def test_a_frame_is_not_sent_before_the_line_is_whole(world):
    car = world.car(lockstep=False)
    car.png()
    car.socket.sendall(b'{"action": "forward", "value": 0.1}')
    assert not car.has_frame()
    car.socket.sendall(b"\n")
    assert car.png()


@pytest.mark.parametrize("change", [{"name": ""}, {"teamId": ""}, {"name": None}, {"teamId": None}])
def test_logins_without_name_or_team_are_closed_without_a_word(world, change):
    assert world.car(**change).png() is None


def test_a_name_on_the_track_is_refused_and_its_owner_drives_on(world):
    first = world.car("same")
    assert first.png()
    assert world.car("same").png() is None
    first.drive(0.1, 0.0)
    assert first.png()


def test_a_listed_team_races_under_its_listed_name(make_world):
    world = make_world(parameters=RaceParameters(cars=(ListedCar("team", "listed"),)))
    spectator = world.spectator()
    world.car("own name")
    assert spectator.until("CarAdded")["car"]["name"] == "listed"


def test_frames_are_pulled(world):
    car = world.car()
    assert car.png()
    assert not car.has_frame()
    car.say("")
    assert car.png()
    assert not car.has_frame()


@pytest.mark.parametrize("line", ["", {"move": True}, {"action": "fly"}, {"action": "turn", "value": 0.1}])
def test_every_line_asks_for_a_frame(world, line):
    car = world.car(lockstep=False)
    car.png()
    car.say(line)
    assert car.png()
    assert not car.has_frame(0.1)


def test_at_most_one_request_is_outstanding(world):
    car = world.car()
    car.png()
    car.say(*[{"action": "forward", "value": 0.1}] * 20, "")
    assert car.png()
    assert not car.has_frame()


def test_several_commands_in_one_packet_all_count(world):
    car, spectator = world.car(), world.spectator()
    car.png()
    for _ in range(20):
        car.say({"action": "turn", "value": 1.0}, {"action": "forward", "value": 0.05}, "")
        car.png()
    status = spectator.status(21)
    assert status["velocity"]["x"] < -0.1
    assert status["velocity"]["z"] < -0.05  # it drives to -x: left is -z


def test_commands_split_over_packets_count_once_whole(world):
    car = world.car()
    car.png()
    for part in ('{"action": "for', 'ward", "value": 0.1}', "\n", "\n"):
        car.socket.sendall(part.encode())
        time.sleep(0.02)
    assert car.png()


@pytest.mark.parametrize("line", ["nonsense", "{", "[]", "5", '{"action": "turn", "value": NaN}'])
def test_a_line_that_is_no_json_object_closes_that_car_only(world, line):
    bad, good = world.car("bad"), world.car("good")
    assert bad.png() and good.png()
    bad.say(line)
    assert bad.png() is None
    good.drive(0.1, 0.0)
    assert good.png()


def test_a_car_that_leaves_is_announced(world):
    spectator = world.spectator()
    stays, leaves = world.car("stays"), world.car("leaves")
    stays.png()
    leaves.png()
    leaves.close()
    for kind in ("CarDisconnected", "CarRemoved"):
        assert spectator.until(kind)["car"]["name"] == "leaves"
    stays.drive(0.1, 0.0)
    assert [car["name"] for car in spectator.until("GameStatus")["cars"]] == ["stays"]


def test_a_spectator_hears_the_parameters_and_who_is_there(world):
    world.car("a").png()
    world.car("b").png()
    spectator = world.spectator()
    first = spectator.next()
    assert (first["type"], first["numSegments"], first["track"]) == ("RaceParameters", 30, "oval.json")
    assert [(spectator.next()["type"], spectator.seen[-1]["car"]["name"]) for _ in "ab"] == [
        ("CarAdded", "a"),
        ("CarAdded", "b"),
    ]


def test_every_event_has_a_type_and_a_timestamp_and_every_car_all_its_fields(world):
    spectator, car = world.spectator(), world.car()
    for _ in range(90):
        assert car.png()
        car.drive(0.08, -1.0)  # into the wall
    car.close()
    spectator.until("CarRemoved")
    seen = {event["type"]: event for event in spectator.seen}
    assert set(seen) >= {"RaceParameters", "GameStatus", "CurrentStandings", "CarCrashed", "CarReturnedToTrack"}
    assert set(seen) >= {"CarConnected", "CarAdded", "CarDisconnected", "CarRemoved"}
    for event in spectator.seen:
        assert isinstance(event["type"], str) and event["timestamp"] >= 0
        if "car" in event:
            assert set(event["car"]) == CAR_FIELDS
    for standing in seen["CurrentStandings"]["standings"]:
        assert set(standing) == {"type", "timestamp", "car", "lapCount", "lastLap", "bestLap", "totalTime", "dnf"}
    (status,) = seen["GameStatus"]["cars"]
    assert set(status["position"]) == set(status["velocity"]) == {"x", "y", "z"}
    assert set(status["rotation"]) == {"x", "y", "z", "w"}


def test_a_time_that_does_not_exist_is_a_bare_nan(world):
    spectator, car = world.spectator(), world.car()
    for _ in range(3):
        assert car.png()
        car.drive(0.1, 0.0)
    line = b""
    while b"CurrentStandings" not in line:
        line = spectator._reader.readline()
    assert b'"lastLap":NaN,' in line


def test_there_is_no_status_without_a_car(make_world):
    world = make_world(pace="realtime")
    spectator, car = world.spectator(), world.car()
    car.png()
    car.close()
    spectator.until("CarRemoved")
    world.car("next")
    assert spectator.next()["type"] == "CarConnected"


def test_events_come_before_the_status_of_their_frame(world):
    spectator = world.spectator()
    car = world.car()
    car.png()
    car.drive(0.1, 0.0)
    car.png()
    spectator.status(2)
    assert [event["type"] for event in spectator.seen] == [
        "RaceParameters",
        "CarConnected",
        "CarAdded",
        "GameStatus",
        "CurrentStandings",
        "GameStatus",
    ]


def test_timestamps_are_game_time(world):
    spectator, car = world.spectator(), world.car()
    times = []
    for frame in range(1, 8):
        car.png()
        spectator.status(frame)
        times.append(spectator.seen[-1]["timestamp"])
        time.sleep(0.01)
        car.drive(0.0, 0.0)
    assert times == pytest.approx([frame / 60 for frame in range(7)])


@pytest.mark.parametrize("line", ["nonsense", "{}", '{"type": "GameStatus"}', "x" * 600])
def test_bad_input_closes_that_spectator_only(world, line):
    bad, good, car = world.spectator(), world.spectator(), world.car()
    bad.socket.sendall(line.encode() + b"\n")
    while bad.next() is not None:
        pass
    car.png()
    good.status(1)


def test_ui_commands_are_off(world):
    spectator, car = world.spectator(), world.car()
    for kind in ("ProceedToNextPhase", "MotorsToggle", "ResetSimulator"):
        spectator.socket.sendall(json.dumps({"type": kind}).encode() + b"\n")
    car.png()
    for _ in range(30):
        car.drive(0.05, 0.0)
        car.png()
    assert spectator.status(31)["velocity"]["x"] < -0.1


def test_long_lines_close_the_connection(world):
    assert world.car("x" * 1100).png() is None
    car = world.car("y" * 900)
    assert car.png()
    car.say({"action": "turn", "value": 0.1, "more": "x" * 500})
    assert car.png() is None


def test_a_long_line_needs_no_end_to_be_refused(world):
    stranger = world.stranger()
    stranger.socket.sendall(b"x" * 1100)
    assert stranger.png() is None


def test_who_does_not_log_in_within_5_s_is_dropped(make_world, monkeypatch):
    clock = FakeTime(monkeypatch, server_module)
    monkeypatch.setattr(server_module, "LOGIN_TIMEOUT_S", LOGIN_TIMEOUT_S)  # that of the product, which tests lift
    world = make_world()
    stranger, other = world.stranger(), world.stranger()
    stranger.socket.sendall(b'{"name": ')
    eventually(lambda: len(world.server._strangers) == 2, "both are accepted")
    clock.now_s += 4.9
    assert not stranger.has_frame(0.7)  # longer than the server sleeps
    clock.now_s += 0.2
    assert stranger.png() is None and other.png() is None


def test_33_cars_are_one_too_many(world):
    cars = [world.car(str(k), imageWidth=8) for k in range(32)]
    assert all(car.png() for car in cars)
    assert world.car("one too many").png() is None
    cars[0].close()
    while (late := world.car("late")).png() is None:
        late.close()


def test_strangers_are_limited(make_world, monkeypatch):
    monkeypatch.setattr(server_module, "MAX_STRANGERS", 3)
    world = make_world()
    strangers = [world.stranger() for _ in range(4)]
    assert strangers[3].png() is None
    assert not strangers[0].has_frame(0.05)


def test_spectators_are_limited(make_world, monkeypatch):
    monkeypatch.setattr(server_module, "MAX_SPECTATORS", 1)
    world = make_world()
    assert world.spectator().next()
    assert world.spectator().next() is None


def test_a_spectator_that_does_not_read_is_dropped_and_blocks_nobody(make_world, monkeypatch):
    monkeypatch.setattr(peer_module, "SPECTATOR_BACKLOG_BYTES", 20_000)
    world = make_world()
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect(world.server.log_address)
    car = world.car()
    for _ in range(2500):
        assert car.png()
        car.drive(0.0, 0.0)
    assert world.server._spectators == []
    deaf.close()


def test_a_car_that_does_not_read_is_dropped_and_blocks_nobody(make_world, monkeypatch):
    monkeypatch.setattr(peer_module, "CAR_BACKLOG_BYTES", 20_000)
    world = make_world()
    good, spectator = world.car("good"), world.spectator()
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect(world.server.car_address)
    deaf.sendall(b'{"name": "deaf", "teamId": "t"}\n')
    for _ in range(2000):
        try:
            deaf.sendall(b"\n")
        except OSError:
            break
        assert good.png()
        good.drive(0.0, 0.0)
    assert spectator.until("CarDisconnected")["car"]["name"] == "deaf"
    deaf.close()


def test_a_reset_connection_is_a_departure(world):
    spectator, car = world.spectator(), world.car()
    car.png()
    car.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    car.close()
    assert spectator.until("CarRemoved")["car"]["name"] == "red"


def test_real_time_is_at_most_60_frames_a_second(make_world):
    world = make_world(pace="realtime")
    car = world.car()
    assert car.png()
    started_s = time.monotonic()
    for _ in range(30):
        car.drive(0.05, 0.0)
        assert car.png()
    assert time.monotonic() - started_s > 29 / 60 - 0.06


def test_a_faster_client_gets_no_more_than_60_frames_a_second(make_world, monkeypatch):
    clock = FakeTime(monkeypatch, server_module)
    world = make_world(pace="realtime")
    car = world.car()
    for _ in range(5):
        eventually(lambda: world.driver().wants_frame, "the request has come")
        clock.now_s += 0.95 / 60
        assert not car.has_frame(0.06)
        clock.now_s += 0.05 / 60 + 1e-6
        assert car.png()
        car.drive(0.1, 0.0)
        car.say("", "", "")


def test_lost_time_is_not_caught_up_with(make_world, monkeypatch):
    clock = FakeTime(monkeypatch, server_module)
    world = make_world(pace="realtime")
    spectator, car = world.spectator(), world.car()
    spectator.until("CarAdded")
    clock.now_s += 10.0
    assert spectator.until("GameStatus")["timestamp"] == pytest.approx(1 / 60)
    assert car.png()
    car.say("")
    eventually(lambda: world.driver().wants_frame, "the request has come")
    assert not car.has_frame(0.1)
    clock.now_s += 1 / 60
    assert spectator.until("GameStatus")["timestamp"] == pytest.approx(2 / 60)


def test_real_time_goes_on_without_answers(make_world):
    world = make_world(pace="realtime")
    spectator, car = world.spectator(), world.car()
    car.png()
    first = spectator.until("GameStatus")["timestamp"]
    for _ in range(5):
        last = spectator.until("GameStatus")["timestamp"]
    assert last - first == pytest.approx(5 / 60)
    assert not car.has_frame(0.05)


def test_time_stands_still_without_cars(make_world):
    world = make_world(pace="realtime")
    spectator, car = world.spectator(), world.car()
    car.png()
    car.close()
    left_s = spectator.until("CarRemoved")["timestamp"]
    time.sleep(0.2)
    world.car("next").png()
    assert spectator.until("CarAdded")["timestamp"] == left_s


def test_300_ms_without_a_command_stop_the_car_and_blank_lines_do_not_count(world):
    spectator, car = world.spectator(), world.car()
    frame = 1
    car.png()
    speeds = []
    for line in [""] * 60:
        if frame < 30:
            car.say({"action": "forward", "value": 0.05}, "")
        else:
            car.say(line)
        car.png()
        frame += 1
        speeds.append(-spectator.status(frame)["velocity"]["x"])
    assert speeds[44] > 0.5
    assert speeds[58] < 0.5 * speeds[44]


def test_any_object_keeps_the_car_going(world):
    spectator, car = world.spectator(), world.car()
    car.png()
    car.say({"action": "forward", "value": 0.05}, "")
    for _ in range(60):
        car.png()
        car.say({"move": True})
    assert -spectator.status(61)["velocity"]["x"] > 0.5


def test_a_port_in_use_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SimulatorError, match=f"127.0.0.1:{port}.*choose another port"):
            SimulatorServer(load_track("oval"), RaceParameters(), car_port=0, log_port=port)


def test_stop_before_run_ends_it_at_once():
    server = SimulatorServer(load_track("oval"), RaceParameters(), car_port=0, log_port=0)
    server.stop()
    server.run()
    server.stop()


def test_the_simulator_never_imports_tensorflow_or_ray():
    code = (
        "import sys, robotini_ray.simulator.server.server;"
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'ray', 'redis', 'reverb')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
