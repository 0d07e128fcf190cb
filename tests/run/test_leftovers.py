"""Launchers are real processes here that start real children and are killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from robotini_ray.machine.processes import identify, process_stat
from robotini_ray.run import leftovers, program_file
from robotini_ray.run.leftovers import describe_leftovers, find_leftovers, run_dirs_in
from tests.waiting import eventually

LAUNCHER = """
import os, subprocess, sys
from pathlib import Path
from robotini_ray.run.process_mark import mark_this_process

run_dir, mark, environment, session = Path(sys.argv[1]), sys.argv[2] == "mark", sys.argv[3], sys.argv[4] == "own"
if mark:
    mark_this_process(run_dir)
whole = dict(os.environ) if environment == "whole" else {}
child = subprocess.Popen(["/bin/sleep", "600"], env=whole, start_new_session=session, stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def launch(tmp_path, monkeypatch):
    """Starts a launcher with one child, and writes the program.json that it would; returns both."""
    monkeypatch.delenv("ROBOTINI_RAY_RUN", raising=False)
    started = []

    def start(mark: str, environment: str, session: str):
        run_dir = tmp_path / "run"
        run_dir.mkdir()
        command = [sys.executable, "-c", LAUNCHER, str(run_dir), mark, environment, session]
        environ = {**os.environ, "PYTHONPATH": str(Path(leftovers.__file__).parents[2])}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        launcher = subprocess.Popen(command, **pipes, env=environ, start_new_session=True)
        child = int(launcher.stdout.readline())
        started.append((launcher, child))
        with monkeypatch.context() as patch:
            patch.setattr(program_file, "this_process", lambda: identify(launcher.pid))
            program = program_file.ProgramFile(run_dir)
            program.begin("unix:///nowhere?db=0")
        if environment == "listed":
            program.update({"part": program_file.PartState(identify(child), "running")}, {})
        return launcher, child

    yield start
    for launcher, child in started:
        launcher.kill()
        launcher.wait()
        launcher.stdin.close()
        launcher.stdout.close()
        if identify(child) is not None:
            os.kill(child, signal.SIGKILL)


def of(run_dir, found):
    """Without those that other programs on this machine may have left."""
    return [leftover for leftover in found if leftover.run_dir == run_dir]


@pytest.mark.parametrize(
    ("mark", "environment", "session"),
    [("mark", "whole", "own"), ("none", "listed", "own"), ("none", "empty", "shared")],
    ids=["by its mark", "by program.json", "by its session"],
)
def test_what_a_killed_launcher_leaves_is_found(tmp_path, launch, mark, environment, session):
    run_dir = tmp_path / "run"
    launcher, child = launch(mark, environment, session)
    assert of(run_dir, find_leftovers([run_dir])) == []  # it is looked after
    launcher.kill()
    launcher.wait()
    (found,) = of(run_dir, find_leftovers([run_dir]))
    assert (found.pid, found.launcher_pid, found.command) == (child, launcher.pid, "/bin/sleep 600")
    os.kill(child, signal.SIGTERM)
    eventually(lambda: process_stat(child) is None or identify(child) is None, "it has ended")
    assert of(run_dir, find_leftovers([run_dir])) == []


def test_marks_are_enough_where_the_run_directory_is_not_known(tmp_path, launch):
    launcher, child = launch("mark", "whole", "own")
    launcher.kill()
    launcher.wait()
    assert [found.pid for found in of(tmp_path / "run", find_leftovers([]))] == [child]


def test_a_process_with_another_environment_in_the_session_is_somebody_elses(tmp_path, launch):
    """It tells what it was started with, and that is no program of ours."""
    launcher, _ = launch("none", "whole", "shared")
    launcher.kill()
    launcher.wait()
    assert of(tmp_path / "run", find_leftovers([tmp_path / "run"])) == []


def test_a_session_number_in_use_again_is_another_session(tmp_path, launch, monkeypatch):
    launcher, _ = launch("none", "empty", "shared")
    launcher.kill()
    launcher.wait()
    real = leftovers.process_stat
    monkeypatch.setattr(leftovers, "process_stat", lambda pid: real(os.getpid() if pid == launcher.pid else pid))
    assert of(tmp_path / "run", find_leftovers([tmp_path / "run"])) == []


def test_a_program_file_that_is_none_stops_nothing(tmp_path, launch):
    launcher, child = launch("mark", "whole", "own")
    launcher.kill()
    launcher.wait()
    (tmp_path / "run" / "program.json").write_text("{")
    assert [found.pid for found in of(tmp_path / "run", find_leftovers([tmp_path / "run"]))] == [child]


def test_they_are_described_in_one_line_with_what_ends_them(tmp_path, launch):
    launcher, child = launch("mark", "whole", "own")
    launcher.kill()
    launcher.wait()
    text = describe_leftovers(of(tmp_path / "run", find_leftovers([])))
    assert text.endswith(f"end them with: kill {child}") and "\n" not in text
    assert f"{tmp_path}/run (its launcher was {launcher.pid})" in text and f"{child} (/bin/sleep 600)" in text


def test_run_directories_are_those_with_a_program_file(tmp_path):
    for name in ("b", "a", "none"):
        (tmp_path / name).mkdir()
    for name in ("b", "a"):
        (tmp_path / name / "program.json").write_text("{}")
    assert run_dirs_in(tmp_path) == [tmp_path / "a", tmp_path / "b"]
    assert run_dirs_in(tmp_path / "no") == []
