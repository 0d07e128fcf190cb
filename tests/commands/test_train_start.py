"""What ``train`` sees to before anything is started."""

import json
import os
import shlex
import socket
import sys

import pytest

from robotini_ray.car.laps import Lap
from robotini_ray.commands import train
from robotini_ray.config import Config, RunConfig
from robotini_ray.machine.terminal_text import wrapped
from robotini_ray.run.directory import RunDirectory
from robotini_ray.run.leftovers import Leftover
from robotini_ray.run.progress import Progress
from robotini_ray.run.reports import Evaluation, EvaluationResult
from robotini_ray.watch.web_pages import PagePorts, PortTaken


class Display:
    """Keeps what is said."""

    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)


@pytest.fixture
def outer(monkeypatch, tmp_path):
    """Runs ``train`` as far as its own session; returns the environment that it would get."""
    monkeypatch.delenv(train.IN_OWN_SESSION, raising=False)
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", train.STEADY_METRICS[0]):
        monkeypatch.setenv(name, "")  # so that it is as before afterwards
        monkeypatch.delenv(name)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(train, "run_in_own_session", lambda command: 7)

    def run(address, ports=PagePorts()):  # noqa: B008
        assert train.run(Config(), tmp_path / "run", address, fresh=False, wait=False, ports=ports, line=[]) == 7
        monkeypatch.setenv(train.IN_OWN_SESSION, "")
        monkeypatch.delenv(train.IN_OWN_SESSION)
        return dict(os.environ)

    return run


def test_an_own_ray_asks_for_a_token_that_is_private(outer, tmp_path):
    assert outer("local")["RAY_AUTH_MODE"] == "token"
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600


def test_an_own_ray_exports_its_metrics_the_steady_way(outer, monkeypatch):
    name, value = train.STEADY_METRICS
    assert outer("local")[name] == value
    monkeypatch.setenv(name, "1")
    assert outer("local")[name] == "1", "who sets it means it"


def test_a_taken_port_of_tensorboard_ends_the_start_with_one_line(outer, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(PortTaken) as caught:
            outer("local", PagePorts(tensorboard=port))
    message = str(caught.value)
    assert "\n" not in message and f"port {port} of 127.0.0.1 is taken by process {os.getpid()}" in message
    assert "--tensorboard-port" in message
    assert not (tmp_path / "run").exists() and not (tmp_path / "token").exists(), "nothing has been started or made"
    assert outer("local", PagePorts(tensorboard=port)), "now it is free"


@pytest.mark.parametrize("address", ["auto", "10.0.0.1:6379"])
def test_a_cluster_that_is_joined_decides_itself(outer, tmp_path, address):
    assert "RAY_AUTH_MODE" not in outer(address)
    assert not (tmp_path / "token").exists()


def test_a_public_address_is_warned_of(monkeypatch):
    display = Display()
    monkeypatch.setattr(train, "public_addresses", lambda: ["8.8.8.8"])
    train._say_warnings([], display)
    (warning,) = display.said
    assert "8.8.8.8" in warning and "Ray and Reverb listen on all interfaces" in warning


def test_leftovers_are_named_with_what_ends_them(monkeypatch, tmp_path):
    display = Display()
    monkeypatch.setattr(train, "public_addresses", list)
    train._say_warnings([Leftover(41, "ray::Agent", tmp_path, 40)], display)
    (warning,) = display.said
    assert "41 (ray::Agent)" in warning and warning.endswith("kill 41")
    train._say_warnings([], display)
    assert len(display.said) == 1


@pytest.fixture
def ended(tmp_path, monkeypatch):
    """Says the summary of a run that has ended, from the folder that its runs/ is in; returns what is said."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "robotini").touch()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    directory = RunDirectory(tmp_path / "runs" / "quickstart", fresh=False)
    directory.path.mkdir(parents=True)

    def say(progress, config=None):
        (directory.path / "summary.json").write_text(json.dumps(progress.summary(5.0)))
        display = Display()
        train._say_summary(config or Config(), directory, display)
        return display.said

    say.run_dir = directory.path
    return say


def commands_of(said):
    """The commands in what is said, as a shell would read them."""
    lines = "\n".join(said).replace(" \\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line.startswith("  ")]


def test_a_run_ends_with_the_next_commands(ended):
    progress = Progress(train_steps=5000, env_steps=60_000, faults={"stalled": 2, "dropped": 0})
    progress.add_evaluation(Evaluation(5000, EvaluationResult([Lap(9.5, True)], 0, [], 570, 19.4), True), 5.0)
    (ended.run_dir / "policies" / "best").mkdir(parents=True)
    said = ended(progress)
    board = ["bin/python", "-m", "tensorboard.main", "--logdir", "runs/quickstart/tensorboard"]
    assert commands_of(said) == [
        ["bin/robotini", "evaluate", "--policy", "runs/quickstart/policies/best"],
        ["bin/robotini", "monitor", "--run-dir", "runs/quickstart"],
        [*board, "--host", "127.0.0.1", "--port", "6006"],
        ["bin/robotini", "train", "runs/quickstart/config.yaml", "--run-dir", "runs/quickstart"],
    ]
    assert "trained 5,000 steps on 60,000 camera frames" in said[0] and "faults survived: stalled 2" in said[0]
    assert any("best lap 9.50 s" in line for line in said)


def test_no_line_of_the_summary_is_longer_than_eighty_on_a_terminal(ended):
    faults = dict.fromkeys(("stalled", "dropped", "bad_frame", "process ended", "no answer", "checkpoint failed"), 12_345)
    progress = Progress(train_steps=5_000_000, env_steps=60_000_000, faults=faults)
    progress.add_evaluation(Evaluation(5000, EvaluationResult([Lap(9.5, True)], 0, [], 570, 19.4), True), 5.0)
    (ended.run_dir / "policies" / "best").mkdir(parents=True)
    lines = [line for text in ended(progress) for line in wrapped(text, 80).splitlines()]
    assert [line for line in lines if len(line) > 80 and len(line.split()[0]) < 70] == [], "but for a long path of Python"


def test_a_run_without_a_lap_has_no_policy_to_drive_and_one_at_its_end_is_told_how_to_go_on(ended):
    said = ended(Progress(train_steps=60), Config(run=RunConfig(train_steps=60)))
    assert [command[1] for command in commands_of(said)] == ["monitor", "-m", "train"]
    assert commands_of(said)[-1][-2:] == ["--train-steps", "120"]
    assert "no faults" in said[0] and any("no evaluation has finished a lap yet" in line for line in said)


def test_a_best_policy_without_a_lap_beside_one_with_laps_and_crashes(ended):
    progress = Progress(train_steps=60)
    progress.add_evaluation(Evaluation(50, EvaluationResult([Lap(9.5, False)], 3, [], 570, 19.4), True), 5.0)
    progress.add_evaluation(Evaluation(60, EvaluationResult([], 0, [], 570, 19.4), True), 5.0)
    assert "best lap 9.50 s, though not by the best policy, which had fewer crashes: train longer" in ended(progress)


def test_without_a_summary_it_is_said_that_there_is_none(ended):
    display = Display()
    train._say_summary(Config(), RunDirectory(ended.run_dir, fresh=False), display)
    assert display.said == [f"there is no {ended.run_dir / 'summary.json'}, because it could not be written"]
