import json
import subprocess
import sys
from pathlib import Path

import pytest

from robotini_ray import launch
from robotini_ray.benchmarks import catalog
from robotini_ray.benchmarks.apparatus import witness
from robotini_ray.benchmarks.apparatus.figure import Figure, Target
from robotini_ray.benchmarks.apparatus.pairs import Spread
from robotini_ray.commands import benchmark
from robotini_ray.machine.whole_files import write_whole
from tests.full_disk import file_size_limit

PATIENCE_S = 1500
KEYS = ["schema", "machine", "versions", "witness", "figures"]


@pytest.fixture
def measured(monkeypatch):
    """Two names, of which the second takes two measurements; what was measured, in order."""
    done = []

    def measurement(name):
        def measure(say):
            say(f"measuring {name}")
            done.append(name)
            return [Figure(name, Spread(2.0, 1.0, 3.0, 7), "x", Target("at least", 5.0))]

        return measure

    table = {"alpha": [measurement("alpha")], "beta": [measurement("beta"), measurement("beta_late")]}
    monkeypatch.setattr(catalog, "NAMES", tuple(table))
    monkeypatch.setattr(catalog, "LONG_NAMES", ())
    monkeypatch.setattr(benchmark, "measurements", table.__getitem__)
    monkeypatch.setattr(benchmark, "read_witness", lambda: witness.Witness(1.0 + len(done), 2.0))
    return done


def run(capsys, *arguments):
    code = launch.main(["benchmark", *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, out, err


def test_no_name_measures_all(measured, capsys):
    code, out, err = run(capsys)
    assert code == 0 and measured == ["alpha", "beta", "beta_late"]
    assert all(name in out for name in measured) and "noise witness" in out
    assert "measuring beta_late" in err and "measuring" not in out
    assert "{" not in out


def test_the_witness_stands_before_between_and_after(measured, capsys):
    content = json.loads(run(capsys, "--json")[1].splitlines()[-1])
    assert content["witness"]["matrix_product_gflop_s"] == [1.0, 2.0, 3.0, 4.0]


def test_names_choose(measured, capsys):
    code, out, _ = run(capsys, "alpha", "alpha")
    assert code == 0 and measured == ["alpha"] and "beta" not in out


def test_json_is_the_last_line_and_the_same_as_the_file(measured, capsys, tmp_path):
    path = tmp_path / "figures.json"
    code, out, _ = run(capsys, "--json", "--json-file", path)
    table, line = out.splitlines()[:-1], out.splitlines()[-1]
    assert code == 0 and any("alpha" in row for row in table)
    assert path.read_text() == line + "\n"
    content = json.loads(line)
    assert list(content) == KEYS
    assert [figure["name"] for figure in content["figures"]] == ["alpha", "beta", "beta_late"]
    assert content["figures"][0]["met"] is False


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("alhpa", "unknown figure alhpa; did you mean alpha?"),
        ("alpha x", "unknown figure x; allowed: alpha, beta"),
        ("--json-file no/where.json", "--json-file is no/where.json, but there is no directory no"),
        ("--jsn", "unknown flag --jsn of benchmark; did you mean --json?"),
        ("--run.seed 3", "benchmark takes no config values: --run.seed"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_measured(measured, capsys, line, message):
    assert run(capsys, *line.split()) == (2, "", f"robotini: {message}\n")
    assert measured == []


def test_figures_are_printed_even_if_their_file_cannot_be_written(measured, capsys, tmp_path, monkeypatch):
    file = tmp_path / "figures.json"
    with file_size_limit(5000):
        monkeypatch.setattr(benchmark, "write_whole", lambda path, text: write_whole(path, text * 100))
        code, out, err = run(capsys, "alpha", "--json-file", file)
    assert code == 2 and "alpha" in out
    assert err.splitlines()[-1] == f"robotini: {file} cannot be written: File too large; the figures are those printed"
    assert list(tmp_path.iterdir()) == []


def test_help_names_the_figures(capsys):
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert all(name in out for name in catalog.NAMES + catalog.LONG_NAMES)


@pytest.mark.slow
@pytest.mark.timeout(2 * PATIENCE_S)
def test_the_real_command_line(tmp_path):
    command = [sys.executable, "-m", "robotini_ray.launch", "benchmark", "simulator", "--json"]
    environment_path = str(Path(launch.__file__).parents[1])
    done = subprocess.run(
        ["env", f"PYTHONPATH={environment_path}", *command], capture_output=True, text=True, cwd=tmp_path, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout.splitlines()[-1])
    assert list(content) == KEYS and content["schema"] == 1
    figures = {figure["name"]: figure for figure in content["figures"]}
    assert figures["simulator"]["target"] == 15 and figures["simulator_width_32"]["target"] == 35
    assert all(figure["pairs"] >= 7 for figure in figures.values())
    assert {figure["pace"] for figure in figures.values()} == {"max", "realtime"}
    assert "round 7 of 7" in done.stderr
    assert list(tmp_path.iterdir()) == []
