"""``drive`` through the real command line: against the embedded simulator, and against a scripted one."""

import contextlib
import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np
import pytest

from robotini_ray import launch
from robotini_ray.config import Config
from robotini_ray.policy.named_policy import load_named_policy
from robotini_ray.policy.numpy_policy import NumpyPolicy
from robotini_ray.policy.policy_files import load_policy, save_policy
from robotini_ray.policy.policy_spec import PolicySpec
from robotini_ray.shipped.files import POLICIES, shipped_policies
from tests.waiting import LONG_S

ROOT = Path(launch.__file__).parents[1]
MOST_MEMORY_KB = 150_000
HEAVY = {"tensorflow", "tf_agents", "reverb", "ray", "redis", "numba", "scipy", "rich", "matplotlib"}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name in ("SIMULATOR", "teamid", "teamname"):
        monkeypatch.delenv(name, raising=False)


@contextlib.contextmanager
def driving(*arguments, cwd, **environment):
    """A real process; it is gone afterwards."""
    line = [sys.executable, "-m", "robotini_ray.launch", "drive", *map(str, arguments)]
    process = subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd, env={**os.environ, **environment}
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


class ScriptedSimulator:
    """Listens on both ports; sends one picture for each answer and keeps every line that the car says.

    Args:
        frames_per_connection: after which it hangs up; None for never.
    """

    def __init__(self, frames_per_connection=None):
        self.lines = queue.Queue()
        self._frames = frames_per_connection
        self._cars = socket.create_server(("127.0.0.1", 0))
        self._spectators = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._cars.getsockname()[1]}:{self._spectators.getsockname()[1]}"
        self._kept = []
        for target in (self._serve_cars, self._serve_spectators):
            threading.Thread(target=target, daemon=True).start()

    def _serve_spectators(self):
        with contextlib.suppress(OSError):
            while True:
                self._kept.append(self._spectators.accept()[0])

    def _serve_cars(self):
        with contextlib.suppress(OSError):
            while True:
                sock = self._cars.accept()[0]
                with sock, contextlib.suppress(OSError):
                    self._serve_car(sock)
                self.lines.put(None)

    def _serve_car(self, sock):
        file = sock.makefile("rb")
        login = json.loads(file.readline())
        self.lines.put(login)
        width = login["imageWidth"]
        png = cv2.imencode(".png", np.full((width * 80 // 128, width, 3), (0, 255, 0), np.uint8))[1].tobytes()
        sent = 0
        while self._frames is None or sent < self._frames:
            sock.sendall(len(png).to_bytes(2, "big") + png)
            sent += 1
            for _ in range(2):
                line = file.readline()
                if not line:
                    return
                self.lines.put(json.loads(line))

    def close(self):
        for server in (self._cars, self._spectators):
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            server.close()
        for sock in self._kept:
            sock.close()

    def next_line(self):
        return self.lines.get(timeout=LONG_S)

    def lines_to_the_end(self):
        """What the car says until it hangs up."""
        lines = []
        while (line := self.next_line()) is not None:
            lines.append(line)
        return lines


@pytest.fixture
def scripted():
    started = []

    def start(**settings):
        started.append(ScriptedSimulator(**settings))
        return started[-1]

    yield start
    for simulator in started:
        simulator.close()


class TestRacing:
    def test_laps_on_the_embedded_simulator(self, serve, tmp_path):
        with serve("oval", seed=3) as address, driving("--simulator", address, "--laps", 2, cwd=tmp_path) as process:
            assert process.wait(LONG_S) == 0
            lines = process.stderr.read().splitlines()
            assert process.stdout.read() == "" and list(tmp_path.iterdir()) == []
        assert lines[0].startswith("robotini_ray drives on 127.0.0.1:")
        assert re.fullmatch(r"2 laps, best \d+\.\d\d s, median \d+\.\d\d s, \d+ crashes, \d+ put-backs, \d+ frames", lines[-1])

    def test_it_needs_little_memory(self, serve, tmp_path):
        with serve("oval", seed=3) as address, driving("--simulator", address, cwd=tmp_path) as process:
            while not (line := process.stderr.readline()).startswith("lap 1: "):
                assert line
            peak_kb = int(re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())[1])
        assert peak_kb < MOST_MEMORY_KB

    def test_what_it_imports_is_light_and_is_what_the_race_entry_installs(self):
        code = (
            "import sys; before = set(sys.modules); import robotini_ray.commands.drive, robotini_ray.launch;"
            "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LONG_S, check=True)
        loaded = set(done.stdout.split())
        assert {"cv2", "numpy", "msgspec", "click"} <= loaded and not HEAVY & loaded
        owners = metadata.packages_distributions()
        needed = {name for module in loaded for name in owners.get(module, [])}
        needed -= {"robotini-ray", "setuptools", "typing_extensions"}  # msgspec takes the last one where it is there
        dockerfile = (ROOT / "launch" / "Dockerfile").read_text()
        installed = re.search(r"pip install --no-cache-dir -c constraints.txt (.+)", dockerfile)[1].split()
        assert {name.lower() for name in needed} == set(installed)


class TestTheConnection:
    def test_who_it_is_comes_from_the_race_host(self, scripted, tmp_path):
        simulator = scripted()
        environment = {"SIMULATOR": simulator.address, "teamid": "team-7", "teamname": "Les Bolides"}
        with driving(cwd=tmp_path, **environment):
            login = simulator.next_line()
        width = load_policy(POLICIES / "default")[0].spec.image_width
        assert login == {"name": "Les Bolides", "teamId": "team-7", "color": "#e01b24", "imageWidth": width}

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
    def test_a_signal_ends_it_with_zero_throttle(self, scripted, tmp_path, number, code):
        simulator = scripted()
        with driving("--simulator", simulator.address, "--name", "a", cwd=tmp_path) as process:
            for _ in range(9):
                simulator.next_line()
            process.send_signal(number)
            assert process.wait(LONG_S) == code
            lines = simulator.lines_to_the_end()
            said = process.stderr.read()
        assert lines[-2:] == [{"action": "forward", "value": 0.0}, {"action": "turn", "value": 0.0}]
        assert "0 laps" in said

    def test_it_comes_back_after_a_lost_connection(self, scripted, tmp_path):
        simulator = scripted(frames_per_connection=3)
        with driving("--simulator", simulator.address, "--name", "a", cwd=tmp_path) as process:
            logins = []
            while len(logins) < 3:
                line = simulator.next_line()
                logins += [line] if "imageWidth" in (line or {}) else []
            process.send_signal(signal.SIGTERM)
            assert process.wait(LONG_S) == 143
            said = process.stderr.read()
        assert logins[0] == logins[1] == logins[2]
        assert "connection of car 'a'" in said and "again in" in said

    def test_it_waits_for_a_simulator_only_if_told_to(self, tmp_path):
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = f"127.0.0.1:{server.getsockname()[1]}"
        with driving("--simulator", address, cwd=tmp_path) as process:
            assert process.wait(LONG_S) == 2
            said = process.stderr.read()
        assert f"robotini: no simulator at {address}" in said and "Traceback" not in said
        with driving("--simulator", address, "--wait", cwd=tmp_path) as process:
            while "again in" not in (line := process.stderr.readline()):
                assert line
            process.send_signal(signal.SIGTERM)
            assert process.wait(LONG_S) == 143


class TestRefusals:
    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("--color red", "color of car 'robotini_ray' is 'red'; write it as #rrggbb"),
            ("--simulator a:b", "simulator address is 'a:b'; allowed: HOST[:CAR_PORT[:LOG_PORT]], for example"),
            ("--simulator h --track oval", "--track is oval, but the simulator at h has its own track: leave --track out"),
            ("--policy nowhere", "nowhere is neither a directory nor a shipped policy; shipped are: default"),
        ],
    )
    def test_in_one_line(self, capsys, tmp_path, monkeypatch, line, message):
        monkeypatch.chdir(tmp_path)
        assert launch.main(["drive", *line.split()]) == 2
        err = capsys.readouterr().err
        assert f"robotini: {message}" in err and "Traceback" not in err


class TestShippedPolicies:
    def test_they_are_small_and_whole(self):
        assert "default" in shipped_policies()
        for name in shipped_policies():
            load_policy(POLICIES / name)
            assert sum(path.stat().st_size for path in (POLICIES / name).iterdir()) < 2_000_000

    def test_a_directory_goes_before_a_shipped_name(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        shipped, _ = load_named_policy(Path("default"))
        assert np.any(shipped.flat_weights())
        save_policy(tmp_path / "default", NumpyPolicy(PolicySpec.from_config(Config())), {"mine": True})
        mine, facts = load_named_policy(Path("default"))
        assert facts == {"mine": True} and not np.any(mine.flat_weights())
