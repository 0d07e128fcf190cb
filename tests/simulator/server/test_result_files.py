"""The files of a race: what is refused at once, what stands in them, a disk that fails."""

import errno
import json
import math
import os
from pathlib import Path

import pytest

from robotini_ray.errors import RobotiniError
from robotini_ray.simulator.server.result_files import RaceFiles, ResultsError

FINISHED = {"type": "RaceFinished", "timestamp": 1.5, "standings": [{"car": {"name": "ä"}, "bestLap": math.nan, "dnf": True}]}


def test_nothing_is_written_when_nothing_is_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with RaceFiles("", "") as files:
        assert not files.has_log
        files.log(b"line\n")
        files.write_result(FINISHED)
    assert list(tmp_path.iterdir()) == []


def test_every_line_is_on_the_disk_at_once(tmp_path):
    path = tmp_path / "race.log"
    path.write_text("of an earlier race\n")
    with RaceFiles(str(path), "") as files:
        assert files.has_log
        for count in (1, 2, 3):
            files.log(b"line\n")
            assert path.read_bytes() == b"line\n" * count


def test_the_result_is_valid_json_and_comes_only_at_the_end(tmp_path):
    path = tmp_path / "result.json"
    files = RaceFiles("", str(path))
    assert not path.exists()
    files.write_result(FINISHED)
    content = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert content == {**FINISHED, "standings": [{"car": {"name": "ä"}, "bestLap": None, "dnf": True}]}


def test_an_earlier_result_stays_until_there_is_a_new_one(tmp_path):
    path = tmp_path / "result.json"
    path.write_text("earlier")
    files = RaceFiles("", str(path))
    assert path.read_text() == "earlier"
    files.write_result(FINISHED)
    assert json.loads(path.read_text())["type"] == "RaceFinished"


@pytest.mark.parametrize("bad", ["missing/file", ".", "zero\0byte"])
@pytest.mark.parametrize("key", ["raceLogFile", "raceResultFile"])
def test_a_file_that_cannot_be_written_is_refused_by_name(tmp_path, monkeypatch, key, bad):
    monkeypatch.chdir(tmp_path)
    log, result = (bad, "") if key == "raceLogFile" else ("", bad)
    with pytest.raises(ResultsError, match=key) as refusal:
        RaceFiles(log, result)
    assert repr(bad) in str(refusal.value)
    assert isinstance(refusal.value, RobotiniError)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_ends_the_log_and_not_the_race(caplog):
    files = RaceFiles("/dev/full", "")
    files.log(b"line\n")
    assert os.strerror(errno.ENOSPC) in caplog.text and "/dev/full" in caplog.text
    assert not files.has_log
    files.log(b"line\n")
    assert len(caplog.records) == 1


def test_a_directory_that_has_gone_loses_the_result_and_not_the_simulator(tmp_path, caplog):
    folder = tmp_path / "folder"
    folder.mkdir()
    files = RaceFiles("", str(folder / "result.json"))
    folder.rmdir()
    files.write_result(FINISHED)
    assert "result.json cannot be written" in caplog.text
