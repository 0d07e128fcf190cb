"""A race over real sockets in lock-step, from the lobby to its files, and what spectators may command."""

import json
import time

import pytest

from robotini_ray.simulator.server import server as server_module
from robotini_ray.simulator.server.result_files import ResultsError
from robotini_ray.simulator.server.server import SimulatorServer
from robotini_ray.simulator.world.race_parameters import ListedCar, RaceParameters
from robotini_ray.track.track import load_track
from tests.fake_time import FakeTime
from tests.waiting import eventually

TEAMS = tuple(ListedCar(f"team {name}", name, "#00ff00") for name in ("fast", "slow", "slowest"))
MILESTONES = {
    *("QualifyingStart", "QualifyingResults", "StartingGridInit", "RaceStart"),
    *("CarFinished", "RaceWon", "RaceFinished"),
}


def race_parameters(**settings):
    return RaceParameters(
        **{
            "mode": "race",
            "lap_count": 1,
            "auto_start_qualifying_seconds": 1,
            "qualifying_duration_seconds": 1,
            "auto_start_race_seconds": 1,
            "race_timeout_seconds": 30,
            "race_timeout_after_winner_seconds": 5,
            **settings,
        }
    )


def send(spectator, kind):
    spectator.socket.sendall(json.dumps({"type": kind}).encode() + b"\n")


def test_a_whole_race(make_world, monkeypatch, tmp_path):
    log, result = tmp_path / "race.log", tmp_path / "result.json"
    world = make_world(
        parameters=race_parameters(cars=TEAMS, race_log_file=str(log), race_result_file=str(result)), car_contact=False
    )
    spectator = world.spectator()
    with monkeypatch.context() as patch:
        # Game time, which is real in the lobby, stands until all are there.
        FakeTime(patch, server_module).now_s = time.monotonic()
        cars = {name: world.car("own name", teamId=f"team {name}", imageWidth=32) for name in ("slowest", "fast", "slow")}
        for _ in cars:
            spectator.until("CarConnected")
    throttles = {"fast": 0.09, "slow": 0.08, "slowest": 0.07}
    spectator.until("QualifyingStart")
    assert world.car("late", teamId="team slow").png() is None
    while not result.exists():  # in lock-step it is there before the next frame
        for name, car in cars.items():
            car.drive_by_colour(throttles[name])
    finished = spectator.until("RaceFinished")

    assert [event["type"] for event in spectator.seen if event["type"] in MILESTONES] == [
        *("QualifyingStart", "QualifyingResults", "StartingGridInit", "RaceStart"),
        *("CarFinished", "RaceWon", "CarFinished", "CarFinished", "RaceFinished"),
    ]
    standings = [(standing["car"]["name"], standing["lapCount"], standing["dnf"]) for standing in finished["standings"]]
    assert standings == [("fast", 1, False), ("slow", 1, False), ("slowest", 1, False)]
    assert [event["car"]["name"] for event in spectator.seen if event["type"] == "RaceWon"] == ["fast"]

    assert json.loads(result.read_text()) == finished
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["type"] for line in lines[:3]] == ["RaceParameters", "RaceLobbyInit", "SecondsRemaining"]
    connected = next(index for index, line in enumerate(lines) if line["type"] == "CarConnected")
    end = lines.index(finished)
    assert repr(lines[connected : end + 1]) == repr(spectator.seen[1:])  # a time that does not exist is not equal to itself


def test_cars_in_the_lobby_see_nothing_and_time_is_real(make_world):
    world = make_world(parameters=race_parameters(auto_start_qualifying_seconds=3600))
    spectator = world.spectator()
    car = world.car()
    assert not car.has_frame(0.2)
    car.drive(0.1, 0.0)
    assert not car.has_frame(0.1)
    assert spectator.until("SecondsRemaining")["secondsRemaining"] == 3599
    assert spectator.seen[-1]["timestamp"] == pytest.approx(1.0, abs=0.02)
    assert {"GameStatus", "CarAdded"}.isdisjoint(event["type"] for event in spectator.seen)


def test_a_car_may_leave_the_lobby_and_come_back(make_world):
    world = make_world(parameters=race_parameters(auto_start_qualifying_seconds=3600))
    spectator = world.spectator()
    world.car().close()
    assert spectator.until("CarDisconnected") and spectator.until("CarRemoved")
    world.car()
    assert spectator.until("CarConnected")["car"]["name"] == "red"


def test_unlisted_teams_are_refused_in_race_mode(make_world):
    world = make_world(parameters=race_parameters(cars=TEAMS, auto_start_qualifying_seconds=3600))
    assert world.car(teamId="another team").png() is None
    spectator = world.spectator()
    world.car(teamId="team fast")
    assert spectator.until("CarConnected")["car"]["name"] == "fast"


def test_unlisted_teams_are_welcome_in_development_mode(make_world):
    world = make_world(parameters=RaceParameters(cars=TEAMS))
    assert world.car(teamId="another team").png()


def test_allowed_ui_commands_are_obeyed(make_world):
    world = make_world(parameters=race_parameters(auto_start_qualifying_seconds=3600), allow_ui_commands=True)
    spectator = world.spectator()
    car = world.car()
    spectator.until("CarConnected")
    for kind in ("QualifyingStart", "StartingGridInit", "RaceStart", "RaceFinished", "RaceLobbyInit", "QualifyingStart"):
        send(spectator, "ProceedToNextPhase")
        spectator.until(kind)
    assert car.png()
    send(spectator, "ResetSimulator")
    spectator.until("RaceLobbyInit")


def test_an_allowed_motors_toggle_stops_the_motor(make_world):
    world = make_world(allow_ui_commands=True)
    spectator, car = world.spectator(), world.car()
    car.png()
    send(spectator, "MotorsToggle")
    send(spectator, "ResetSimulator")  # which puts motors on again, and says so
    spectator.until("FreePracticeStart")
    send(spectator, "MotorsToggle")
    send(spectator, "nonsense")  # closes the connection, after the toggle
    while spectator.next() is not None:
        pass
    spectator = world.spectator()
    for _ in range(30):
        car.drive(0.1, 0.0)
        assert car.png()
    assert spectator.status(31)["velocity"]["x"] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("kind", ["ProceedToNextPhase", "ResetSimulator"])
def test_ui_commands_are_ignored_unless_allowed(make_world, caplog, kind):
    caplog.set_level("INFO")
    world = make_world(parameters=race_parameters(auto_start_qualifying_seconds=3600))
    spectator, other = world.spectator(), world.spectator()
    world.car()
    spectator.until("CarConnected")
    send(spectator, kind)
    eventually(lambda: f"{kind} from a spectator is ignored" in caplog.text, "the command has come")
    world.car("later")
    while other.until("CarConnected")["car"]["name"] != "later":
        pass
    assert {"QualifyingStart", "RaceLobbyInit"}.isdisjoint(event["type"] for event in other.seen)
    assert spectator.until("SecondsRemaining")  # and its connection stays


def test_upstream_sends_neither_angle_nor_segment(make_world):
    world = make_world(upstream=True)
    spectator, car = world.spectator(), world.car()
    car.png()
    assert set(spectator.status(1)) == {"name", "position", "velocity", "rotation", "frames_sent"}


def test_a_log_is_written_in_development_mode_too(make_world, tmp_path):
    log = tmp_path / "race.log"
    world = make_world(parameters=RaceParameters(race_log_file=str(log)))
    car = world.car()
    for _ in range(3):
        assert car.png()
        car.drive(0.1, 0.0)
    types = [json.loads(line)["type"] for line in log.read_text().splitlines()]
    assert types[:5] == ["RaceParameters", "FreePracticeStart", "CarConnected", "CarAdded", "GameStatus"]
    assert types.count("GameStatus") >= 3


@pytest.mark.parametrize("key", ["race_log_file", "race_result_file"])
def test_a_file_that_cannot_be_written_is_refused_at_start(tmp_path, key):
    path = str(tmp_path / "missing" / "file")
    with pytest.raises(ResultsError, match="missing/file"):
        SimulatorServer(load_track("oval"), race_parameters(**{key: path}), car_port=0, log_port=0)
