"""``demo`` through the real command line."""

import contextlib
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from robotini_ray import launch
from robotini_ray.car.laps import Lap
from robotini_ray.commands.demo import CARS
from robotini_ray.racing.demo import ranking
from robotini_ray.shipped.files import POLICIES

PATIENCE_S = 600
pytestmark = pytest.mark.timeout(2 * PATIENCE_S)  # a busy machine makes a race slower
NAMES_IN_ORDER = [name for name, _ in CARS]
NAMES = set(NAMES_IN_ORDER)


@pytest.fixture(autouse=True)
def package_path(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(launch.__file__).parents[1]))


@contextlib.contextmanager
def racing(*arguments, cwd):
    """A real process; it is gone afterwards."""
    line = [sys.executable, "-m", "robotini_ray.launch", "demo", *map(str, arguments)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd) as process:
        try:
            yield process
        finally:
            process.kill()


def rows(table):
    """The cells of each car's line."""
    lines = table.splitlines()
    assert lines[0].split()[:3] == ["car", "policy", "laps"]
    return {cells[0]: cells[1:] for cells in map(str.split, lines[2:])}


def test_six_cars_race_on_the_page_until_ctrl_c(tmp_path, watch_page):
    with racing("--track", "oval", "--monitor-port", 0, cwd=tmp_path) as process:
        assert process.stdout.readline().startswith("6 cars race on oval (")
        address = re.match(r"watch them: (http://127\.0\.0\.1:\d+/) ", process.stdout.readline())[1]
        assert process.stdout.readline() == "Ctrl-C ends the race\n"
        seen = watch_page(
            address,
            lambda seen: (
                seen.with_picture == NAMES
                and max(car["laps"] or 0 for car in seen.cars.values()) >= 1
                and {car["status"] for car in seen.cars.values()} == {"driving"}
            ),
        )
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 130
        table = rows(process.stdout.read())
    assert seen.track == "oval.json"
    assert {name: car["color"] for name, car in seen.cars.items()} == dict(CARS)
    assert len({(car["x"], car["z"]) for car in seen.cars.values()}) == len(CARS)
    assert set(table) == NAMES and max(int(cells[1]) for cells in table.values()) >= 1
    assert list(tmp_path.iterdir()) == []


def test_it_ends_by_itself_after_its_game_time_and_several_policies_drive_in_turn(tmp_path):
    line = ["--seconds", 1.5, "--no-monitor", "--policy", "default", "--policy", "other", "--track", "oval"]
    (tmp_path / "other").symlink_to(POLICIES / "default")
    with racing(*line, cwd=tmp_path) as process:
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert "watch them" not in out and "the race ends after 1.5 s of game time" in out and "policy: default, other" in out
    table = rows(out.split("game time\n")[1])
    assert {name: table[name][0] for name, _ in CARS} == dict(zip(NAMES_IN_ORDER, ["default", "other"] * 3, strict=True))
    assert all(cells[1:] == ["0", "0", "0", "0", "-", "-"] for cells in table.values())
    assert "other is not in a run directory of yours" in err and "Traceback" not in err


def test_without_redis_it_says_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("robotini_ray.machine.redis_server.shutil.which", lambda name: None)
    monkeypatch.setattr("robotini_ray.machine.redis_server.importlib.util.find_spec", lambda name: None)
    monkeypatch.chdir(tmp_path)
    assert launch.main(["demo", "--seconds", "1"]) == 2
    assert "no Redis server: install one" in capsys.readouterr().err


def test_more_laps_go_before_faster_ones():
    cars = {
        name: SimpleNamespace(name=name, score=SimpleNamespace(laps=[Lap(time_s, True) for time_s in times_s]))
        for name, times_s in {"none": [], "two": [9.0, 8.0], "fast": [3.0, 7.0], "one": [1.0]}.items()
    }
    assert [car.name for car in ranking(list(cars.values()))] == ["fast", "two", "one", "none"]
