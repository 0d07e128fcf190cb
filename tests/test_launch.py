import errno
import importlib
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from robotini_ray import launch
from robotini_ray.config import Config, load_config
from robotini_ray.policy.numpy_policy import NumpyPolicy
from robotini_ray.policy.policy_files import save_policy
from robotini_ray.policy.policy_spec import PolicySpec
from robotini_ray.track.lap_limit import lap_limit_s
from robotini_ray.track.track import load_track
from robotini_ray.watch.web_pages import PagePorts

PATIENCE_S = 600
VERBS = [
    "train",
    "simulate",
    "debug-policy",
    "monitor",
    "benchmark",
    "doctor",
    "status",
    "demo",
    "evaluate",
    "drive",
    "leaderboard",
    "record",
    "export",
    "import",
    "replay-log",
]
RECIPE_LIST = "ddpg, fastest_lap, original, quickstart, rdpg, realtime, rtd3, td3, transfer"
PACKAGE_PARENT = Path(launch.__file__).parents[1]
RESULT_KEYS = {
    "policy",
    "track",
    "episodes",
    "laps",
    "best_lap_s",
    "median_lap_s",
    "clean_laps",
    "crashes",
    "average_return",
    "average_episode_length",
    "average_speed_m_s",
    "limit_s",
    "ratio_to_limit",
}


@pytest.fixture(autouse=True)
def package_path(monkeypatch):
    """Processes find the package wherever the tests are started from; no cluster is looked for."""
    monkeypatch.setenv("PYTHONPATH", str(PACKAGE_PARENT))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def command(*arguments):
    return [sys.executable, "-m", "robotini_ray.launch", *map(str, arguments)]


def run(*arguments, cwd):
    """A real command line from start to end: exit code, stdout and stderr."""
    done = subprocess.run(command(*arguments), capture_output=True, text=True, cwd=cwd, timeout=PATIENCE_S)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def refused(capsys, tmp_path, monkeypatch):
    """Runs a command line that must be refused: one line on stderr, exit code 2 and nothing left behind; the line."""
    monkeypatch.chdir(tmp_path)

    def refuse(*arguments):
        if arguments[0] in ("evaluate", "debug-policy"):  # else the first to need TensorFlow would get its chatter
            importlib.import_module(f"robotini_ray.commands.{arguments[0].replace('-', '_')}")
            capsys.readouterr()
        before = sorted(tmp_path.iterdir())
        code = launch.main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert (code, out) == (2, "")
        assert err.startswith("robotini: ") and err.count("\n") == 1 and err.endswith("\n")
        assert sorted(tmp_path.iterdir()) == before
        return err.removeprefix("robotini: ").removesuffix("\n")

    return refuse


class TestRefusals:
    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("trian", "unknown verb trian; did you mean train?"),
            ("debug_policy", "unknown verb debug_policy; did you mean debug-policy?"),
            ("zzz", f"unknown verb zzz; allowed: {', '.join(VERBS)}"),
            ("train --card 3", "unknown flag --card of train; did you mean --cars?"),
            ("--run-dri x", "unknown flag --run-dri of train; did you mean --run-dir?"),
            ("simulate --trak oval", "unknown flag --trak of simulate; did you mean --track?"),
            ("evaluate --polcy x", "unknown flag --polcy of evaluate; did you mean --policy?"),
            ("debug-policy --secnds=3", "unknown flag --secnds of debug-policy; did you mean --seconds?"),
            ("train --agent.horizons 3", "unknown key agent.horizons; did you mean agent.horizon_s?"),
            ("--agnet.horizon_s=3", "unknown section agnet; did you mean agent?"),
            ("debug-policy --colection.cars 3", "unknown section colection; did you mean collection?"),
            ("train --agent.horizon_s", "--agent.horizon_s has no value"),
            ("train --agent.horizon_s -1", "agent.horizon_s is -1; allowed: a number from 0.1 to 10000"),
            ("train --agent.horizon_s=3=4", "agent.horizon_s is '3=4'; allowed: a number from 0.1 to 10000"),
            ("train --agent.algorithm ddgp", "agent.algorithm is 'ddgp'; did you mean ddpg?"),
            ("train --cars 0", "collection.cars is 0; allowed: a whole number from 1 to 10000"),
            ("train --minutes nan", "run.minutes is nan; allowed: a number from 0.05 to 43200"),
            ("train --train-steps 0", "run.train_steps is 0; allowed: a whole number from 1 to 1000000000"),
            ("debug-policy --cars 0", "collection.cars is 0; allowed: a whole number from 1 to 10000"),
            ("train no.yaml", "config no.yaml cannot be read: No such file or directory; launch/ has examples"),
            ("no.yml", "config no.yml cannot be read: No such file or directory; launch/ has examples"),
            ("train tdd3", f"config tdd3 is neither a file nor a shipped recipe; did you mean td3? All recipes: {RECIPE_LIST}"),
            ("train zzz", f"config zzz is neither a file nor a shipped recipe; allowed: {RECIPE_LIST}"),
            ("doctor zzz", f"config zzz is neither a file nor a shipped recipe; allowed: {RECIPE_LIST}"),
            ("debug-policy zzz", f"config zzz is neither a file nor a shipped recipe; allowed: {RECIPE_LIST}"),
            ("no.yaml --cars 3", "config no.yaml cannot be read: No such file or directory; launch/ has examples"),
            (
                "simulate --agent.horizon_s 3",
                "simulate takes config values of section randomisation only: --agent.horizon_s",
            ),
            (
                "evaluate --agent.horizon_s=3",
                "evaluate takes config values of section randomisation only: --agent.horizon_s",
            ),
        ],
    )
    def test_names_and_values_of_ours(self, refused, line, message):
        assert refused(*line.split()) == message

    @pytest.mark.parametrize(
        ("line", "named"),
        [
            ("train --cars many", ["--cars", "'many'"]),
            ("train a.yaml b.yaml", ["b.yaml"]),
            ("train --run-dir", ["--run-dir"]),
            ("simulate extra", ["extra"]),
            ("simulate --pace fast", ["--pace", "'fast'", "realtime", "max"]),
            ("simulate --car-port 70000", ["--car-port", "70000", "65535"]),
            ("simulate --num-segments 1", ["--num-segments", "1", "2"]),
            ("simulate --seed -1", ["--seed", "-1", "0", "2147483647"]),
            ("evaluate --seed -1", ["--seed", "-1"]),
            ("record -o lap.png --seed 2147483648", ["--seed", "2147483648"]),
            ("demo --seed=-1", ["--seed", "-1"]),
            ("simulate --track no-such", ["no-such", "default"]),
            ("simulate --parameters no.json", ["no.json"]),
            ("debug-policy --seconds 0", ["--seconds", "0"]),
            ("evaluate --policy", ["--policy"]),
            ("record -o lap.mp4", ["lap.mp4", ".webm, .gif, .png"]),
            ("record -o no/lap.png", ["no/lap.png", "no directory no"]),
            ("record -o lap.png --simulator h --randomisation.grip [0.5,0.5]", ["--randomisation", "cars of h"]),
            ("evaluate --simulator h --track oval --track long", ["--track", "2 times", "h drives"]),
            ("evaluate --policy x --laps 0", ["--laps", "0"]),
        ],
    )
    def test_what_click_refuses(self, refused, line, named):
        message = refused(*line.split())
        assert all(name in message for name in named)

    def test_keys_of_a_file(self, refused, tmp_path):
        (tmp_path / "run.yaml").write_text("agent:\n  horizons: 3\n")
        assert refused("run.yaml") == "unknown key agent.horizons; did you mean agent.horizon_s?"

    def test_a_port_that_is_taken_is_named(self, refused):
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            assert f"127.0.0.1:{port}" in refused("simulate", "--car-port", port, "--log-port", 0)

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("trian", "unknown verb trian; did you mean train?"),
            ("debug-policy --colection.cars 3", "unknown section colection; did you mean collection?"),
        ],
    )
    def test_a_real_process_says_the_same_and_nothing_else(self, tmp_path, line, message):
        assert run(*line.split(), cwd=tmp_path) == (2, "", f"robotini: {message}\n")
        assert list(tmp_path.iterdir()) == []


class TestWaysToCallIt:
    def test_the_command_passes_its_words_and_exits_with_the_code(self, monkeypatch, capsys):
        monkeypatch.setattr(sys, "argv", ["/somewhere/bin/robotini", "trian"])
        with pytest.raises(SystemExit) as ended:
            launch.command_line()
        assert ended.value.code == 2
        assert capsys.readouterr().err == "robotini: unknown verb trian; did you mean train?\n"

    @pytest.mark.parametrize("module", ["robotini_ray", "robotini_ray.launch"])
    def test_both_modules_are_the_program(self, tmp_path, module):
        line = [sys.executable, "-m", module, "demo", "--help"]
        done = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, timeout=PATIENCE_S)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("Usage: robotini demo [OPTIONS]\n")


class TestHelp:
    def test_of_the_program(self, capsys):
        assert launch.main(["--help"]) == 0
        out, err = capsys.readouterr()
        assert all(verb in out for verb in VERBS) and err == ""
        assert sorted(launch.cli.commands) == sorted(VERBS)

    @pytest.mark.parametrize("verb", VERBS)
    def test_of_a_verb_explains_every_flag(self, capsys, verb):
        assert launch.main([verb, "--help"]) == 0
        out = capsys.readouterr().out
        for parameter in launch.cli.commands[verb].params:
            if parameter.opts[0].startswith("--"):
                assert parameter.opts[0] in out and parameter.help
        assert ("--section.key" in out) == (verb in ("train", "debug-policy", "doctor"))

    def test_reading_a_line_needs_nothing_heavy(self, tmp_path):
        code = "import sys, robotini_ray.launch; print(*sorted({name.split('.')[0] for name in sys.modules}))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=PATIENCE_S)
        loaded = done.stdout.split()
        assert "click" in loaded
        assert not {"tensorflow", "tf_agents", "reverb", "ray", "numba", "scipy", "cv2", "redis"} & set(loaded)


@pytest.fixture
def trained(monkeypatch):
    """What `train` would be started with, instead of a training."""
    from robotini_ray.commands import train

    calls = []
    monkeypatch.setattr(train, "run", lambda *arguments: calls.append(arguments) or 0)

    def call(*arguments):
        assert launch.main([str(argument) for argument in arguments]) == 0
        return calls.pop()

    return call


class TestConfigOfALine:
    def test_flag_goes_over_key_goes_over_file_goes_over_default(self, trained, tmp_path):
        path = tmp_path / "my-run.yaml"
        path.write_text("collection: {cars: 2, noise_low: 0.1, noise_high: 0.2}\nrun: {seed: 1}\n")
        line = [path, "--collection.cars", "3", "--cars", "4", "--collection.noise_high=0.3"]
        for words in (line, ["train", *line], ["train", *line[1:], path], [path, *line[3:], *line[1:3]]):
            config, run_dir, address, fresh, wait, ports, _ = trained(*words)
            collection = config.collection
            assert (collection.cars, collection.noise_high, collection.noise_low) == (4, 0.3, 0.1)
            assert config.run.seed == 1 and collection.noise_damping == Config().collection.noise_damping
            assert (run_dir, address, fresh, wait) == (Path("runs/my-run"), "local", False, False)
            assert ports == PagePorts(monitor=8080, tensorboard=None)

    def test_every_named_flag_arrives(self, trained, tmp_path):
        place = "--run-dir r --simulator h:1:2 --wait --track oval --address auto --fresh"
        numbers = "--cars 5 --seed 6 --minutes 7 --train-steps 8 --monitor-port 9 --tensorboard --tensorboard-port 10"
        config, run_dir, address, fresh, wait, ports, _ = trained("train", *place.split(), *numbers.split())
        assert (config.simulator.address, config.simulator.track) == ("h:1:2", "oval")
        assert (config.collection.cars, config.run.seed, config.run.minutes, config.run.train_steps) == (5, 6, 7.0, 8)
        assert (run_dir, address, fresh, wait) == (Path("r"), "auto", True, True)
        assert ports == PagePorts(monitor=9, tensorboard=10)

    def test_pages_are_left_out_and_tensorboard_has_its_usual_port(self, trained):
        assert trained("train", "--no-monitor", "--tensorboard")[5] == PagePorts(monitor=None, tensorboard=6006)
        assert trained("train", "--tensorboard-port", "7")[5] == PagePorts(monitor=8080, tensorboard=None)

    def test_without_a_config_it_is_the_quickstart(self, trained):
        quickstart = load_config(PACKAGE_PARENT / "launch" / "quickstart.yaml", {})
        for words in ([], ["train"]):
            config, run_dir, *_ = trained(*words)
            assert (config, run_dir) == (quickstart, Path("runs/quickstart"))

    @pytest.mark.parametrize("words", [["train", "td3"], ["td3.yaml"], ["launch/td3.yaml"], ["train", "--fresh", "td3"]])
    def test_a_recipe_may_be_named(self, trained, tmp_path, monkeypatch, words):
        monkeypatch.chdir(tmp_path)
        config, run_dir, *_ = trained(*words)
        assert (config, run_dir) == (load_config(PACKAGE_PARENT / "launch" / "td3.yaml", {}), Path("runs/td3"))

    def test_a_yml_file_is_a_config_too(self, trained, tmp_path):
        path = tmp_path / "my.yml"
        path.write_text("run: {seed: 5}")
        config, run_dir, *_ = trained(path)
        assert (config.run.seed, run_dir) == (5, Path("runs/my"))

    def test_flags_that_repeat_the_zero_value_are_given(self, trained, tmp_path):
        path = tmp_path / "a.yaml"
        path.write_text("run: {seed: 5}")
        assert trained(path, "--seed", 0)[0].run.seed == 0

    def test_the_cluster_may_come_from_the_environment(self, trained, monkeypatch):
        monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
        assert trained("train")[2] == "10.0.0.1:6379"

    def test_negative_numbers_and_lists_are_values(self, trained):
        config = trained("train", "--agent.actor_layers", "[32, 16]", "--environment.merge_frames", "true")[0]
        assert config.agent.actor_layers == (32, 16) and config.environment.merge_frames

    def test_the_exit_code_is_that_of_the_verb(self, monkeypatch):
        from robotini_ray.commands import train

        monkeypatch.setattr(train, "run", lambda *arguments: 143)
        assert launch.main([]) == 143


def test_33_cars_are_refused_before_anything_is_made(tmp_path, capsys):
    assert launch.main(["train", "--cars", "33", "--run-dir", str(tmp_path / "run"), "--address", "local"]) == 2
    assert "an embedded simulator takes 32" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_output_that_the_terminal_cannot_show_is_replaced(tmp_path):
    words = command("status", "--run-dir", tmp_path / "\u0161koda")
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "PYTHONIOENCODING": "ascii"}, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert "/?koda" in done.stdout


class TestSimulate:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_it_says_when_it_is_ready_and_ends_with_a_signal(self, tmp_path, number):
        line = command("simulate", "--track", "oval", "--car-port", 0, "--log-port", 0, "--num-segments", 9, "--pace", "max")
        process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
        with process:
            try:
                lines = itertools.dropwhile(lambda line: "compil" in line, iter(process.stdout.readline, ""))
                ready = re.fullmatch(r"ready car=127\.0\.0\.1:(\d+) log=127\.0\.0\.1:(\d+)\n", next(lines))
                assert ready
                with (
                    socket.create_connection(("127.0.0.1", int(ready[1])), timeout=PATIENCE_S),
                    socket.create_connection(("127.0.0.1", int(ready[2])), timeout=PATIENCE_S) as spectator,
                ):
                    event = json.loads(spectator.makefile().readline())
                    assert (event["track"], event["numSegments"]) == ("oval.json", 9)
                    process.send_signal(number)
                    assert process.wait(PATIENCE_S) == 0
                assert (process.stdout.read(), process.stderr.read()) == ("", "")
            finally:
                process.kill()


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    """The directory of a policy with random weights."""
    made = NumpyPolicy(PolicySpec.from_config(load_config(None, {"environment.image_width": 32, "simulator.track": "oval"})))
    made.set_weights(np.random.default_rng(0).normal(0, 0.05, made.flat_weights().shape).astype(np.float32))
    directory = tmp_path_factory.mktemp("policies") / "random"
    save_policy(directory, made, {})
    return directory


@pytest.mark.timeout(2 * PATIENCE_S)
class TestEvaluate:
    def test_the_last_line_is_the_result_as_json(self, policy, tmp_path):
        file = tmp_path / "result.json"
        code, out, err = run("evaluate", "--policy", policy, "--seconds", 3, "--json", "--json-file", file, cwd=tmp_path)
        assert code == 0, err
        printed = json.loads(out.splitlines()[-1], parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
        assert set(printed) == {"results"}
        (result,) = printed["results"]
        assert set(result) == RESULT_KEYS
        assert (result["policy"], result["track"]) == (str(policy), "oval")
        assert result["limit_s"] == lap_limit_s(load_track("oval"))
        assert result["average_speed_m_s"] > 0
        assert isinstance(result["crashes"], int) and result["clean_laps"] == 0
        assert result["laps"] == []
        assert result["best_lap_s"] is result["median_lap_s"] is result["ratio_to_limit"] is None
        assert (result["average_return"] is None) == (result["episodes"] == 0)
        assert json.loads(file.read_text()) == printed
        assert [entry.name for entry in tmp_path.iterdir()] == ["result.json"]

    def test_several_policies_and_tracks_at_once(self, policy, tmp_path):
        line = ["evaluate", "--policy", policy, "--policy", "default", "--track", "oval", "--seconds", 1]
        code, out, err = run(*line, "--json-file", tmp_path / "result.json", cwd=tmp_path)
        assert code == 0, err
        found = json.loads((tmp_path / "result.json").read_text())
        assert [(row["policy"], row["track"]) for row in found["results"]] == [(str(policy), "oval"), ("default", "oval")]
        assert [(row["policy"], row["track"]) for row in found["references"]] == [("hand-written", "oval")]
        assert all(set(row) == RESULT_KEYS for row in found["results"] + found["references"])
        lines = [text.split() for text in out.splitlines()]
        assert [text[0] for text in lines[2:]] == [str(policy), "default", "hand-written", "limit"]
        assert lines[-1] == ["limit", "oval", *[f"{lap_limit_s(load_track('oval')):.2f}"] * 2, "1.00"]

    def test_without_json_a_person_reads_it(self, policy, capsys):
        assert launch.main(["evaluate", "--policy", str(policy), "--seconds", "1", "--track", "default"]) == 0
        out = capsys.readouterr().out
        assert "default, limit" in out and "crashes" in out and "best lap       -" in out and "None" not in out

    def test_a_simulator_that_is_not_there_is_named_and_so_is_how_to_start_one(self, policy, tmp_path):
        """Within five seconds on a quiet machine; TensorFlow alone takes as long, so it must not be needed to find out."""
        with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
            ports = first.getsockname()[1], second.getsockname()[1]
        address = f"127.0.0.1:{ports[0]}:{ports[1]}"
        code, out, err = run("evaluate", "--policy", policy, "--simulator", address, cwd=tmp_path)
        assert (code, out) == (2, "")
        assert any(f"127.0.0.1:{port}" in err for port in ports)
        assert re.search(r"start one with `\S.* simulate`", err), err
        announced, *said = err.splitlines()
        assert "is not in a run directory of yours" in announced
        assert len(said) == 1 and said[0].startswith("robotini: ")

    def test_a_policy_that_is_not_there_is_named(self, capsys, tmp_path):
        assert launch.main(["evaluate", "--policy", str(tmp_path / "no")]) == 2
        err = capsys.readouterr().err
        assert err.endswith(f"robotini: {tmp_path}/no holds no policy: policy.json is missing\n")
        assert "Traceback" not in err


class TestDebugPolicy:
    def test_it_drives(self, capsys, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert launch.main(["debug-policy", "--cars", "2", "--seconds", "30", "--track", "oval"]) == 0
        last = capsys.readouterr().out.splitlines()[-1]
        figures = re.fullmatch(
            r"cars 2, game time (\d+\.\d) s, laps (\d+), best lap (-|\d+\.\d\d s), crashes (\d+), frames/s ([\d,]+)", last
        )
        assert figures, last
        game_time_s, laps, best_lap, crashes, frames_per_s = figures.groups()
        assert float(game_time_s) == 30.0
        assert int(laps) >= 1 and best_lap != "-" and int(crashes) <= 20
        assert int(frames_per_s.replace(",", "")) > 0
        assert list(tmp_path.iterdir()) == []

    def test_a_simulator_that_is_not_there(self, capsys, tmp_path):
        with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
            ports = first.getsockname()[1], second.getsockname()[1]
        assert launch.main(["debug-policy", "--simulator", f"127.0.0.1:{ports[0]}:{ports[1]}"]) == 2
        err = capsys.readouterr().err
        assert any(f"127.0.0.1:{port}" in err for port in ports) and "Traceback" not in err


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_disk_that_takes_no_more_is_one_line_wherever_it_is_noticed(number, monkeypatch, capsys):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number), "/somewhere/file")

    monkeypatch.setattr(launch.cli, "main", fail)
    assert launch.main(["status"]) == 2
    expected = (
        f"status: /somewhere/file cannot be written: {os.strerror(number)}; free some space there, or choose another place"
    )
    assert capsys.readouterr().err == f"robotini: {expected}\n"
