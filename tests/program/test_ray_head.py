"""Ray's own limits for its start are too short for a busy machine: what is too late is started again."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from robotini_ray.program import ray_head
from robotini_ray.program.ray_head import ATTEMPTS, RayStartError, start_head

TIMED_OUT = RayStartError("Ray did not start: The current node timed out during startup.")

SLOW_AGENT = """
import sys, time
from pathlib import Path
if any(argument.endswith("dashboard/agent.py") for argument in sys.orig_argv):
    try:
        Path(__file__).with_name("was_slow").touch(exist_ok=False)
    except FileExistsError:
        pass
    else:
        time.sleep(60)
"""
"""Holds up the first agent of the node process, as a busy machine does."""

SCRIPT = """
import ray
from robotini_ray.program.ray_start import start_ray
print(start_ray("local", lambda: None, print))
print(ray.get(ray.remote(num_cpus=0)(lambda: "it works").remote()))
ray.shutdown()
"""


class Start:
    """Leaves a child process behind and fails, until its errors are used up."""

    def __init__(self, *errors: RayStartError) -> None:
        self._errors = list(errors)
        self.children: list[subprocess.Popen[bytes]] = []

    def __call__(self) -> str:
        self.children.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))
        if self._errors:
            raise self._errors.pop(0)
        return "started"


def end(start: Start) -> None:
    for child in start.children:
        child.kill()
        child.communicate()


def test_a_start_that_was_too_late_is_made_again_without_what_the_first_one_left() -> None:
    start, said, looks = Start(TIMED_OUT, TIMED_OUT), list[str](), list[str]()
    assert start_head(start, lambda: looks.append("look"), said.append) == "started"
    first, second, third = start.children
    assert (first.wait(timeout=60), second.wait(timeout=60), third.poll()) == (-9, -9, None)
    assert looks == ["look", "look"]
    assert [line.rpartition("; ")[2] for line in said] == [f"attempt 2 of {ATTEMPTS}", f"attempt 3 of {ATTEMPTS}"]
    end(start)


def test_the_attempts_end() -> None:
    start = Start(*[TIMED_OUT] * (ATTEMPTS + 1))
    with pytest.raises(RayStartError, match="timed out"):
        start_head(start, lambda: None, lambda line: None)
    assert len(start.children) == ATTEMPTS
    end(start)


def test_another_error_is_final() -> None:
    start = Start(RayStartError("Ray did not start: no space left"))
    with pytest.raises(RayStartError, match="no space left"):
        start_head(start, lambda: None, pytest.fail)
    assert len(start.children) == 1
    end(start)


def test_who_wants_to_stop_does_not_wait_for_another_attempt() -> None:
    def look() -> None:
        raise KeyboardInterrupt

    start = Start(TIMED_OUT)
    with pytest.raises(KeyboardInterrupt):
        start_head(start, look, pytest.fail)
    assert len(start.children) == 1
    end(start)


def test_a_long_start_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_head, "SAY_AFTER_S", 0.0)
    said, spoken = list[str](), threading.Event()

    def say(line: str) -> None:
        said.append(line)
        spoken.set()

    assert start_head(lambda: spoken.wait(60), lambda: None, say)
    assert said == ["Ray is still starting, which takes long on a busy machine"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_ray_whose_agent_is_too_late_is_started_again(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(SLOW_AGENT)
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH"), os.getcwd()])])
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="rr-") as folder:  # pytest's own folder is too long for sockets
        environment = {**os.environ, "RAY_TMPDIR": folder, "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": path}
        environment.pop("RAY_ADDRESS", None)
        done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, timeout=500)
    assert (tmp_path / "was_slow").exists()
    assert "it works" in done.stdout.splitlines(), done
    assert f"attempt 2 of {ATTEMPTS}" in done.stdout and "Ray is still starting" in done.stdout, done
