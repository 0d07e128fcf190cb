import json
import os
import stat
import subprocess
import sys

import pytest

from robotini_ray.machine.processes import identify, this_process
from robotini_ray.run.program_file import PartState, ProgramFile, ProgramFileError, live_figures, read_program
from robotini_ray.run.progress import Progress
from robotini_ray.run.reports import LearnerReport, ReplayState

LEARNER = LearnerReport(10, 2.5, ReplayState(50, 60, 70, 100, 20, 8.0), 0.25, {})


@pytest.fixture
def program(tmp_path):
    program = ProgramFile(tmp_path)
    program.begin("unix:///tmp/x?db=0")
    return program


@pytest.fixture
def other():
    """Another process that is there."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield identify(process.pid)
        process.stdin.close()


def test_it_is_there_from_the_beginning_for_this_user_only(tmp_path, program):
    record = read_program(tmp_path)
    assert (record.launcher, record.redis_url) == (this_process(), "unix:///tmp/x?db=0")
    assert record.ended_at is None and record.parts == {} and record.figures == {}
    assert stat.S_IMODE((tmp_path / "program.json").stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["program.json"]


def test_an_older_file_that_others_could_read_is_closed(tmp_path):
    for name in ("program.json", ".program.new.json"):
        (tmp_path / name).write_text("")
        os.chmod(tmp_path / name, 0o644)
    ProgramFile(tmp_path).begin("unix:///tmp/x?db=0")
    assert stat.S_IMODE((tmp_path / "program.json").stat().st_mode) == 0o600


def running():
    """A part that runs in this process."""
    return PartState(this_process(), "running")


def test_parts_keep_their_entry_while_they_do_not_answer(tmp_path, program):
    program.update({"learner": running(), "replay": running()}, {"env_steps": 1})
    first = read_program(tmp_path)
    program.update({"replay": running()}, {"env_steps": 2})
    second = read_program(tmp_path)
    assert second.parts["learner"] == first.parts["learner"]
    assert second.parts["replay"].seen_at > first.parts["replay"].seen_at
    assert second.figures == {"env_steps": 2} and second.started_at == first.started_at


def test_a_part_without_a_process_keeps_its_last_one_and_says_where_it_is(tmp_path, program):
    program.update({"learner": running()}, {"env_steps": 1})
    program.update({"learner": PartState(None, "down"), "replay": PartState(None, "starting")}, None)
    record = read_program(tmp_path)
    assert (record.parts["learner"].process, record.parts["learner"].state) == (this_process(), "down")
    assert "replay" not in record.parts and record.figures == {"env_steps": 1}


def test_another_process_of_the_same_name_is_a_restart(tmp_path, program, other):
    for process, restarts in ((this_process(), 0), (this_process(), 0), (other, 1), (other, 1), (this_process(), 2)):
        program.update({"collector-0": PartState(process, "running")}, {})
        part = read_program(tmp_path).parts["collector-0"]
        assert (part.process, part.restarts) == (process, restarts)


def test_the_end_is_written_once_there_was_a_beginning(tmp_path, program):
    program.end()
    record = read_program(tmp_path)
    assert record.ended_at is not None and record.ended_at >= record.started_at
    (tmp_path / "program.json").unlink()
    ProgramFile(tmp_path).end()
    assert read_program(tmp_path) is None


def test_where_no_program_was_there_is_none(tmp_path):
    assert read_program(tmp_path) is read_program(tmp_path / "no") is None
    (tmp_path / "file").write_text("")
    assert read_program(tmp_path / "file") is None


@pytest.mark.parametrize("text", ["", "[]", "{}", "7", '{"format": 2}', '{"format": 1, "parts": {"a": 1}}', "\x00"])
def test_other_content_is_named(tmp_path, text):
    (tmp_path / "program.json").write_text(text)
    with pytest.raises(ProgramFileError, match=r"program\.json is not a program file of this version"):
        read_program(tmp_path)


def test_every_missing_key_is_noticed(tmp_path, program):
    whole = json.loads((tmp_path / "program.json").read_text())
    for key in whole:
        (tmp_path / "program.json").write_text(json.dumps({name: value for name, value in whole.items() if name != key}))
        with pytest.raises(ProgramFileError):
            read_program(tmp_path)


def test_figures_of_a_run_without_any_are_plain(tmp_path, program):
    figures = live_figures(Progress(), LEARNER, 100.0)
    program.update({}, figures)
    assert read_program(tmp_path).figures == figures
    assert (figures["replay_items"], figures["replay_capacity"], figures["train_steps_per_s"]) == (50, 100, 2.5)


def test_figures_that_are_not_finite_end_nothing(tmp_path, program):
    program.update({}, {"average_return": float("nan"), "laps": 3})
    assert read_program(tmp_path).figures == {"average_return": None, "laps": 3}
