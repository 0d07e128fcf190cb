"""``leaderboard`` through the command line, on run directories made here."""

import json

import pytest

from robotini_ray import launch
from robotini_ray.car.laps import Lap
from robotini_ray.config import load_config
from robotini_ray.policy.numpy_policy import NumpyPolicy
from robotini_ray.policy.policy_files import PolicyShelf, save_policy
from robotini_ray.policy.policy_spec import PolicySpec
from robotini_ray.run.reports import EvaluationResult

LIMIT_S = 4.0


@pytest.fixture
def make_run(tmp_path):
    def make(name, laps_s, crashes=0, track="oval", algorithm="td3", facts=None):
        config = load_config(None, {"simulator.track": track, "agent.algorithm": algorithm})
        shelf = PolicyShelf(tmp_path / "runs" / name / "policies")
        result = EvaluationResult([Lap(lap_s, True) for lap_s in laps_s], crashes, [], 600, 20.0)
        if facts is None:
            facts = {"train_step": 1234, "evaluation": result.to_json(LIMIT_S)}
        save_policy(shelf.version("one"), NumpyPolicy(PolicySpec.from_config(config)), facts)
        shelf.point("best", shelf.version("one"))

    return make


@pytest.fixture
def board(tmp_path, capsys):
    def show(*arguments):
        code = launch.main(["leaderboard", "--runs", str(tmp_path / "runs"), *arguments])
        return (code, *capsys.readouterr())

    return show


def test_runs_without_crashes_come_first_then_the_ratio_to_the_limit(make_run, board):
    make_run("slow", [8.0, 9.0, 10.0])
    make_run("quick", [5.0, 6.0, 7.0], algorithm="rdpg")
    make_run("wild", [4.4, 4.4], crashes=2)
    make_run("lost", [])
    code, out, err = board("--json")
    assert (code, err) == (0, "")
    rows = json.loads(out)["results"]
    assert [row["run"] for row in rows] == ["quick", "slow", "lost", "wild"]
    assert rows[0]["ratio_to_limit"] == 1.5 and rows[0]["algorithm"] == "rdpg" and rows[0]["train_step"] == 1234
    lines = board()[1].splitlines()
    assert lines[0].split()[:3] == ["run", "algorithm", "track"]
    assert lines[2].split() == ["quick", "rdpg", "oval", "3", "3", "0", "5.00", "6.00", "1.50", "1,234"]
    assert lines[4].split() == ["lost", "td3", "oval", "0", "0", "0", "-", "-", "-", "1,234"]
    assert len({len(line) for line in lines}) == 1, "columns stand under each other"


def test_only_one_track(make_run, board):
    make_run("a", [5.0], track="oval")
    make_run("b", [5.0], track="long")
    assert [row["run"] for row in json.loads(board("--track", "long", "--json")[1])["results"]] == ["b"]


def test_runs_with_nothing_to_show_are_named(make_run, board, tmp_path):
    make_run("good", [5.0])
    make_run("told-nothing", [], facts={"made_by": "hand"})
    (tmp_path / "runs" / "young" / "policies").mkdir(parents=True)
    (tmp_path / "runs" / "notes").mkdir()
    code, out, err = board()
    assert code == 0 and "good" in out and "young" not in out
    assert [line.split()[0] for line in err.splitlines()] == ["left"] * 2
    assert "young" in err and "told-nothing" in err and "'evaluation'" in err


def test_no_runs_at_all(board, tmp_path):
    code, _, err = board()
    assert code == 2 and "--runs" in err
    (tmp_path / "runs").mkdir()
    assert board()[:2] == (0, f"no run in {tmp_path / 'runs'} has an evaluated policy yet\n")


HOSTILE = "\x1b]0;owned\x07\x1b[2J\n"


def test_escape_sequences_of_a_stranger_do_not_reach_the_terminal(make_run, board, tmp_path):
    for name in ("good", "format", "spec", "facts"):
        make_run(name, [5.0])
    changes = {
        "good": {"track": HOSTILE, "algorithm": HOSTILE},
        "format": {"format": HOSTILE},
        "spec": {HOSTILE: 1},
        "facts": {"facts": {"evaluation": {}, "train_step": HOSTILE}},
    }
    for name, fields in changes.items():
        path = tmp_path / "runs" / name / "policies" / "best" / "policy.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))
    (tmp_path / "runs" / "good").rename(tmp_path / "runs" / "\x1b[2Jgood")
    code, out, err = board()
    assert code == 0
    assert len(out.splitlines()) == 3 and "\\x1b[2Jgood" in out and "\\x1b]0;owned" in out
    assert len(err.splitlines()) == 3 and "\\x1b]0;owned" in err
    assert (out + err).replace("\n", "").isprintable()


@pytest.mark.parametrize(
    "change",
    [{"laps": "many"}, {"laps": ["x"]}, {"crashes": None}, {"best_lap_s": "\x1b"}, {"clean_laps": {}}],
)
def test_an_evaluation_of_other_things_than_numbers_is_left_out(make_run, board, change):
    evaluation = EvaluationResult([Lap(5.0, True)], 0, [], 600, 20.0).to_json(LIMIT_S)
    make_run("good", [5.0])
    make_run("other", [], facts={"train_step": 1, "evaluation": {**evaluation, **change}})
    code, out, err = board()
    assert code == 0 and len(out.splitlines()) == 3 and "other/policies/best has no usable evaluation in its facts" in err


def test_facts_with_a_number_too_long_to_read_are_named_as_such(make_run, board):
    make_run("good", [5.0])
    make_run("other", [], facts={"train_step": 1, "evaluation": {"limit_s": 10**400}})
    code, out, err = board()
    assert code == 0 and len(out.splitlines()) == 3
    assert "other/policies/best holds no readable policy: the number" in err and "has 401 digits" in err


def test_errors_of_any_verb_are_one_harmless_line(capsys, tmp_path):
    save_policy(tmp_path / "policy", NumpyPolicy(PolicySpec.from_config(load_config(None, {}))), {})
    path = tmp_path / "policy" / "policy.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {HOSTILE: 1}))
    assert launch.main(["drive", "--policy", str(tmp_path / "policy"), "--laps", "1"]) == 2
    err = capsys.readouterr().err
    assert "\\x1b]0;owned" in err and err.replace("\n", "").isprintable()
