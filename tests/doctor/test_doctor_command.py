import json
import subprocess
import sys

import pytest

from robotini_ray import launch
from robotini_ray.commands import doctor
from robotini_ray.doctor import checkup
from robotini_ray.doctor.finding import Finding
from robotini_ray.run.leftovers import Leftover
from tests.waiting import LONG_S


def test_the_real_one_says_something_of_everything(tmp_path):
    line = [sys.executable, "-m", "robotini_ray.launch", "doctor", "--run-dir", tmp_path / "run", "--json"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=LONG_S)
    assert done.stderr == "" and done.stdout.count("\n") == 1
    report = json.loads(done.stdout)
    checks = {finding["check"].split()[0] for finding in report["findings"]}
    wanted = {"platform", "versions", "redis-server", "leftovers", "cores", "memory", "shared", "disk", "simulator", "network"}
    assert checks >= wanted and checks & {"ports", "port"} and "Ray's" in checks
    assert done.returncode == (1 if report["errors"] else 0)
    assert not (tmp_path / "run").exists()


@pytest.fixture
def found(monkeypatch):
    """Has the checks find this."""

    def find(*findings):
        monkeypatch.setattr(doctor, "examine", lambda config, run_dir: iter(findings))

    return find


@pytest.mark.parametrize(("level", "code"), [("ok", 0), ("warning", 0), ("error", 1)])
def test_the_code_is_1_for_errors_alone(found, capsys, level, code):
    found(Finding("a", "ok", "fine"), Finding("b", level, "what", "" if level == "ok" else "mend it"))
    assert launch.main(["doctor"]) == code
    out = capsys.readouterr().out
    assert "b: what" in out and ("-> mend it" in out) == (level != "ok")
    assert out.endswith(f"{code} errors, {int(level == 'warning')} warnings\n")


def test_a_finding_without_a_cure_is_no_finding():
    with pytest.raises(AssertionError):
        Finding("a", "error", "what")
    with pytest.raises(AssertionError):
        Finding("a", "ok", "what", "cure")


def test_the_config_and_its_flags_count(monkeypatch):
    seen = []
    monkeypatch.setattr(doctor, "examine", lambda config, run_dir: seen.append((config, run_dir)) or iter(()))
    assert launch.main(["doctor", "--cars", "9", "--simulator", "h:1:2", "--replay.capacity", "5000"]) == 0
    ((config, run_dir),) = seen
    assert (config.collection.cars, config.simulator.address, config.replay.capacity) == (9, "h:1:2", 5000)
    assert str(run_dir) == "runs/quickstart"


def test_leftovers_are_a_warning_with_what_ends_them(tmp_path, monkeypatch):
    looked_at = []
    left = [Leftover(7, "a b", tmp_path / "x", 3)]
    monkeypatch.setattr(checkup, "find_leftovers", lambda run_dirs: looked_at.append(run_dirs) or left)
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "program.json").write_text("{}")
    (finding,) = checkup.check_leftovers(tmp_path / "run")
    assert finding.level == "warning" and "7 (a b)" in finding.what and finding.cure == "end them with: kill 7"
    assert looked_at == [{tmp_path / "run", tmp_path / "beside"}]
