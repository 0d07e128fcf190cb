"""Outputs that cannot be written are refused before the work, and lose nothing after it."""

import os

import pytest

from robotini_ray import launch
from robotini_ray.commands import benchmark, evaluate, export, record
from robotini_ray.commands.output import OutputError, written
from tests.full_disk import fill, mounted

LINES = {
    "record -o {}/lap.png": record,
    "record -o {}/lap.webm": record,
    "evaluate --json-file {}/e.json": evaluate,
    "benchmark --json-file {}/b.json": benchmark,
    "export --format npz -o {}/policy": export,
    "import old -o {}/policy": export,
}


@pytest.fixture
def no_work(monkeypatch):
    """Fails the test if a verb begins its work."""

    def work(**settings):
        raise AssertionError("the work has begun")

    for module in (record, evaluate, benchmark):
        monkeypatch.setattr(module, "run", work)
    for name in ("run_export", "run_import"):
        monkeypatch.setattr(export, name, work)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("state", ["full", "read-only"])
def test_a_place_that_cannot_be_written_is_named_before_the_work(tmp_path, capsys, line, state):
    disk = tmp_path / "disk"
    with mounted(disk, "ro" if state == "read-only" else "size=64k"):
        fill(disk)
        before = os.listdir(disk)
        words = line.format(disk).split()
        assert launch.main(words) == 2
        reason = "Read-only file system" if state == "read-only" else "No space left on device"
        expected = f"{words[-2]} is {words[-1]}, which cannot be written: {reason}; give another place"
        assert capsys.readouterr() == ("", f"robotini: {expected}\n")
        assert os.listdir(disk) == before


@pytest.mark.usefixtures("no_work")
def test_a_directory_is_no_file(tmp_path, capsys):
    assert launch.main(["evaluate", "--json-file", str(tmp_path)]) == 2
    expected = f"--json-file is {tmp_path}, which is a directory: give a file"
    assert capsys.readouterr().err == f"robotini: {expected}\n"


def test_the_trial_leaves_an_existing_file_alone(tmp_path, monkeypatch):
    (tmp_path / "b.json").write_text("earlier")
    monkeypatch.setattr(benchmark, "run", lambda **settings: 0)
    assert launch.main(["benchmark", "--json-file", str(tmp_path / "b.json")]) == 0
    assert (tmp_path / "b.json").read_text() == "earlier" and os.listdir(tmp_path) == ["b.json"]


def test_a_device_is_a_place_too(monkeypatch):
    monkeypatch.setattr(benchmark, "run", lambda **settings: 0)
    assert launch.main(["benchmark", "--json-file", "/dev/null"]) == 0


def test_an_error_after_the_work_says_what_has_become_of_it(tmp_path):
    with (
        pytest.raises(
            OutputError, match=r"e\.json cannot be written: No such file or directory; the results are those printed"
        ),
        written(tmp_path / "e.json", "the results are those printed"),
    ):
        (tmp_path / "no" / "e.json").write_text("")
