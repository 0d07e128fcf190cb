"""TensorBoard as the child of a training."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import portpicker
import psutil
import pytest

from robotini_ray.run.tensorboard_files import RunSummaries
from robotini_ray.watch import tensorboard_process
from robotini_ray.watch.web_pages import PagePorts, Pages
from tests.waiting import LONG_S, eventually

pytestmark = pytest.mark.timeout(1800)  # TensorBoard steps back for others: beside busy programs it takes minutes to start


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run with something to show."""
    (tmp_path / "logs").mkdir()
    RunSummaries(tmp_path / "tensorboard").write("training", 7, {"losses/critic": 0.5})
    return tmp_path


def listeners(pid: int) -> set[str]:
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    found = [connection for process in processes for connection in process.net_connections("inet")]
    return {connection.laddr.ip for connection in found if connection.status == "LISTEN"}


def runs_shown(port: int) -> list[str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/data/runs", timeout=LONG_S) as answer:
        return list(json.load(answer))


def test_it_shows_the_run_on_this_machine_only_and_ends_with_the_pages(run_dir: Path) -> None:
    port = portpicker.pick_unused_port()
    said: list[str] = []
    pages = Pages(run_dir, PagePorts(tensorboard=port), said.append)
    others = set(psutil.Process().children())
    pages.start("unix:///nowhere.sock")
    try:
        pages.announce("", "")
        assert f"TensorBoard: http://127.0.0.1:{port}" in said
        (child,) = set(psutil.Process().children()) - others
        eventually(lambda: "training" in runs_shown(port), "it shows the run")
        assert listeners(child.pid) <= {"127.0.0.1", "::1"}
        assert child.nice() >= 10, "cars and learner come first"
        family = [child, *child.children(recursive=True)]
    finally:
        pages.close()
    assert not psutil.wait_procs(family, timeout=LONG_S)[1]


def test_one_that_stands_still_is_given_up_and_ended(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorboard_process, "START_PATIENCE_S", 0.3)
    monkeypatch.setattr(tensorboard_process, "tensorboard_command", lambda run_dir, port: ["/bin/sleep", "600"])
    said: list[str] = []
    pages = Pages(run_dir, PagePorts(tensorboard=portpicker.pick_unused_port()), said.append)
    others = set(psutil.Process().children())
    pages.start("unix:///nowhere.sock")
    family = set(psutil.Process().children()) - others
    pages.announce("", "")
    (line,) = (line for line in said if line.startswith("TensorBoard: "))
    log = run_dir / "logs" / "tensorboard.log"
    assert line == f"TensorBoard: going on without it: TensorBoard made no progress for 0.3 s; see {log}"
    assert family and not psutil.wait_procs(family, timeout=LONG_S)[1]


def test_one_that_cannot_listen_does_not_hold_a_training_up(run_dir: Path) -> None:
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        listener.close()
        with socket.socket() as bound:  # taken, but nobody listens: what comes between the look and the start
            bound.bind(("127.0.0.1", port))
            pages = Pages(run_dir, PagePorts(tensorboard=port), said.append)
            pages.start("unix:///nowhere.sock")
            pages.announce("", "")
            pages.close()
    (line,) = (line for line in said if line.startswith("TensorBoard: "))
    assert line.startswith("TensorBoard: going on without it: TensorBoard ended with code ")
    assert line.endswith(f"see {run_dir}/logs/tensorboard.log")
    assert "port" in (run_dir / "logs" / "tensorboard.log").read_text()


PARENT = """
import sys, time
from pathlib import Path
from robotini_ray.watch.tensorboard_process import TensorBoardProcess
board = TensorBoardProcess(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[1]) / "log")
print(board.address(), flush=True)
time.sleep(1000)
"""


def test_it_ends_when_the_launcher_is_killed(run_dir: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(run_dir), str(portpicker.pick_unused_port())]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None and parent.stdout.readline().startswith("http://127.0.0.1:")
    family = psutil.Process(parent.pid).children(recursive=True)
    assert family
    os.kill(parent.pid, signal.SIGKILL)
    parent.communicate()
    assert not psutil.wait_procs(family, timeout=LONG_S)[1]
