import dataclasses
import json
import os
import time

import pytest

from robotini_ray import launch
from robotini_ray.car import state_store
from robotini_ray.car.state_store import CarStateStore
from robotini_ray.commands.status import run as run_status
from robotini_ray.machine.processes import this_process
from robotini_ray.machine.redis_server import RedisServer
from robotini_ray.machine.terminal_text import launch_line
from robotini_ray.run import program_file
from robotini_ray.run.program_file import PartState, ProgramFile, ProgramFileError, live_figures, read_program
from robotini_ray.run.progress import Progress
from robotini_ray.run.reports import LearnerReport, ReplayState
from robotini_ray.watch import status
from robotini_ray.watch.status import find_run_dir, read_status
from tests.fake_time import FakeTime
from tests.waiting import LONG_S, eventually, stored_cars

LEARNER = LearnerReport(1234, 56.0, ReplayState(500, 60, 70, 1000, 20, 8.0), 0.25, {})
HOSTILE = "\x1b]0;owned\x07[red]<b>\n"
DEAD = dataclasses.replace(this_process(), start_ticks=1)


def figures(**changes):
    progress = Progress(env_steps=5000, train_steps=1234, laps=7, reconnects=3)
    progress.last_evaluation = {"train_step": 1000, "clean_laps": 2, "laps": [5.0, 6.0, 7.0], "median_lap_s": 6.0}
    progress.weights_version, progress.weights_age_s = 1200, 0.5
    return {**live_figures(progress, LEARNER, 321.0), **changes}


def rewrite(run_dir, **changes):
    """Changes program.json by hand, as time or a kill would have."""
    path = run_dir / "program.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """The clock of who looks at a program: it stands still, so that nothing becomes stale while a test is slow."""
    return FakeTime(monkeypatch, status, time.time())


@pytest.fixture(autouse=True)
def patient_store(monkeypatch):
    """Cars stay in Redis until the test has looked, and Redis may take its time."""
    monkeypatch.setattr(state_store, "EXPIRY_S", 3600)
    monkeypatch.setattr(state_store, "_SOCKET_TIMEOUT_S", LONG_S)


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    with RedisServer(tmp_path_factory.mktemp("redis") / "redis.log") as server:
        yield server


@pytest.fixture
def program(tmp_path, redis):
    """A program that runs in this very process."""
    run_dir = tmp_path / f"run of {tmp_path.name}"  # its name tells its cars in Redis from those of other tests
    run_dir.mkdir()
    program = ProgramFile(run_dir)
    program.begin(redis.url)
    running = PartState(this_process(), "running")
    program.update({"learner": running, "collector-0": running}, figures())
    (run_dir / "summary.json").write_text(json.dumps({"best_lap_s": 5.5, "faults": {"stalls": 2, "refusals": 0}}))
    return program


@pytest.fixture
def run_dir(program, tmp_path):
    return tmp_path / f"run of {tmp_path.name}"


@pytest.fixture
def drive(redis):
    """Puts cars into Redis as a part does, and waits until they are there."""
    stores = []

    def put(run_name, **cars):
        store = CarStateStore(redis.url, run_name)
        stores.append(store)
        for name, fields in cars.items():
            store.put(name, fields, b"png")
        eventually(lambda: len(stored_cars(store)) == len(cars), "the cars are there")
        return store

    yield put
    for store in stores:
        store.close()


def test_a_sound_program_with_its_cars(run_dir, drive):
    drive(run_dir.name, **{HOSTILE: {"role": "collector", "speed_m_s": 1.5, "track_segment": 4, "weights_version": 1200}})
    drive("other-run", elsewhere={})
    found = read_status(run_dir)
    assert (found.state, found.problems, found.launcher_pid) == ("running", [], os.getpid())
    assert found.is_sound
    assert [(part.name, part.pid, part.alive, part.restarts) for part in found.parts] == [
        ("collector-0", os.getpid(), True, 0),
        ("learner", os.getpid(), True, 0),
    ]
    (car,) = found.cars
    assert (car.name, car.role) == (HOSTILE, "collector")
    assert found.faults == {"stalls": 2, "refusals": 0}
    assert found.figures["train_steps_per_s"] == 56.0 and found.figures["last_evaluation"]["train_step"] == 1000


def test_people_read_it_and_names_cannot_touch_their_terminal(run_dir, drive, capsys):
    drive(run_dir.name, **{HOSTILE: {"role": "collector", "speed_m_s": 1.5, "track_segment": 4}})
    assert run_status(run_dir, False, False) in (0, 1)
    out = capsys.readouterr().out
    shown = (
        "321/s",
        "56/s",
        "25 %",
        "500 of 1,000 (50 %)",
        "2 clean of 3 laps, median 6.00 s",
        "1.50 m/s",
        "stalls 2",
        "5.50 s",
    )
    assert [text for text in shown if text not in out] == []
    assert "\\x1b]0;owned\\x07[red]<b>\\x0a" in out and "\x1b" not in out and "refusals" not in out


def test_the_fields_of_a_car_are_somebody_elses_too(run_dir, drive, capsys):
    fields = {"role": HOSTILE, "status": HOSTILE, "speed_m_s": "fast", "track_segment": HOSTILE, "weights_version": HOSTILE}
    drive(run_dir.name, car=fields)
    run_status(run_dir, False, False)
    assert "\x1b" not in capsys.readouterr().out


def test_json_is_one_line_and_the_code_says_whether_all_is_well(run_dir, drive, capsys):
    assert launch.main(["status", "--run-dir", str(run_dir), "--json"]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out)["state"] == "running" and json.loads(out)["parts"][1]["name"] == "learner"
    rewrite(run_dir, launcher=dataclasses.asdict(DEAD))
    assert launch.main(["status", "--run-dir", str(run_dir), "--json"]) == 1


def test_a_car_that_is_no_longer_written_is_stale_and_it_says_since_when(run_dir, drive, clock):
    drive(run_dir.name, car={"role": "collector"})
    clock.now_s = time.time() + 5
    (car,) = read_status(run_dir).cars
    assert car.age_s >= 5 and car.state.startswith("stale since ")


def test_before_the_first_figures_it_is_starting(tmp_path, redis):
    ProgramFile(tmp_path).begin(redis.url)
    found = read_status(tmp_path)
    assert (found.state, found.problems, found.is_sound) == ("starting", [], False)
    rewrite(tmp_path, written_at=time.time() - 1000)
    assert "has written nothing since" in read_status(tmp_path).problems[0]


def test_a_launcher_that_writes_nothing_is_named_with_the_time(run_dir):
    rewrite(run_dir, written_at=time.time() - 3600)
    (problem,) = read_status(run_dir).problems
    assert f"the launcher (pid {os.getpid()}) has written nothing since" in problem and f"{run_dir}/logs" in problem


def test_dead_and_silent_parts_are_named_with_the_time_and_their_log(run_dir, program):
    program.update({"collector-0": PartState(DEAD, "running")}, figures())
    rewrite_seen(run_dir, "learner", time.time() - 100)
    dead, silent = read_status(run_dir).problems
    assert f"collector-0 (pid {os.getpid()}) is dead; it last answered at" in dead
    assert f"{run_dir}/logs/collector-0.log" in dead
    assert f"learner (pid {os.getpid()} on" in silent and "has not answered since" in silent
    assert next(part for part in read_status(run_dir).parts if part.name == "collector-0").restarts == 1


def rewrite_seen(run_dir, name, seen_at):
    parts = json.loads((run_dir / "program.json").read_text())["parts"]
    parts[name]["seen_at"] = seen_at
    rewrite(run_dir, parts=parts)


def test_old_weights_are_a_problem_once_there_are_any(run_dir, program):
    program.update({}, figures(weights_age_s=90.0))
    assert ["weights from" in problem for problem in read_status(run_dir).problems] == [True]
    program.update({}, figures(weights_age_s=90.0, weights_version=-1))
    assert read_status(run_dir).problems == []


def test_a_cache_that_does_not_answer_costs_only_the_cars(run_dir):
    rewrite(run_dir, redis_url="unix:///nowhere/redis.sock?db=0")
    found = read_status(run_dir)
    assert found.state == "running" and found.cars == []
    assert "the car cache does not answer" in found.problems[0]


def test_a_password_is_not_shown(run_dir, capsys):
    rewrite(run_dir, redis_url="redis://:s3cret@127.0.0.1:1/0")
    for as_json in (False, True):
        run_status(run_dir, as_json, False)
        assert "s3cret" not in capsys.readouterr().out


def test_a_program_that_has_ended_says_how_it_goes_on(run_dir, program, capsys):
    (run_dir / "config.yaml").write_text("{}")
    program.end()
    found = read_status(run_dir)
    assert (found.state, found.cars, found.parts, found.problems, found.is_sound) == ("ended", [], [], [], True)
    assert launch.main(["status", "--run-dir", str(run_dir)]) == 0
    command = launch_line("train", run_dir / "config.yaml", "--run-dir", run_dir)
    assert f"resume it with `{command}`" in " ".join(capsys.readouterr().out.split())


def test_a_killed_program_says_since_when_and_that_nothing_is_left(run_dir):
    rewrite(run_dir, launcher=dataclasses.asdict(DEAD))
    found = read_status(run_dir)
    assert found.state == "killed"
    assert "was killed after" in found.problems[0] and "goes on from its last checkpoint" in found.problems[0]


@pytest.mark.parametrize("made", [True, False])
def test_where_nothing_ever_ran_it_says_how_to_start(tmp_path, made, capsys):
    directory = tmp_path / "new"
    if made:
        directory.mkdir()
    assert launch.main(["status", "--run-dir", str(directory)]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert f"no program has run there; start one with `{launch_line('train', '--run-dir')} " in out
    assert directory.exists() == made


def test_paths_in_commands_are_quoted_for_a_shell(tmp_path):
    directory = tmp_path / "two words"
    (problem,) = read_status(directory).problems
    assert problem.endswith(f" train --run-dir '{directory}'`")
    directory.mkdir()
    (directory / "config.yaml").write_text("")
    (problem,) = read_status(directory).problems
    assert problem.endswith(f" train '{directory}/config.yaml' --run-dir '{directory}'`")


class TestWhichRun:
    def test_it_is_the_running_one_not_the_newest(self, run_dir, tmp_path):
        ended = tmp_path / "ended"
        ended.mkdir()
        other = ProgramFile(ended)
        other.begin("unix:///nowhere?db=0")
        other.end()
        assert find_run_dir(tmp_path) == run_dir
        rewrite(run_dir, ended_at=1.0, written_at=1.0)
        assert find_run_dir(tmp_path) == ended

    def test_without_any_it_says_how_to_start(self, tmp_path, capsys, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert launch.main(["status"]) == 2
        assert "no program has run in runs/ yet: start one with" in capsys.readouterr().err

    def test_files_that_are_none_are_named(self, run_dir):
        (run_dir / "summary.json").write_text("{")
        with pytest.raises(ProgramFileError, match=r"summary\.json is not JSON"):
            read_status(run_dir)


def test_watching_looks_again_until_ctrl_c(run_dir, capsys, monkeypatch):
    from robotini_ray.commands import status as command

    looks = []

    def sleep(seconds):
        looks.append(seconds)
        if len(looks) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(command.time, "sleep", sleep)
    assert launch.main(["status", "--run-dir", str(run_dir), "--watch", "--json"]) == 130
    assert [json.loads(line)["state"] for line in capsys.readouterr().out.splitlines()] == ["running"] * 3


def test_reading_changes_nothing(run_dir):
    before = read_program(run_dir)
    names = sorted(run_dir.iterdir())
    read_status(run_dir)
    assert read_program(run_dir) == before and sorted(run_dir.iterdir()) == names
    assert program_file.NAME in [path.name for path in names]
