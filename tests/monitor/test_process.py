"""The monitor as a process: alone, as the child of a training, and where it cannot listen."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import psutil
import pytest

from robotini_ray.machine.terminal_text import launch_command
from robotini_ray.monitor.process import MonitorProcess, MonitorUnavailable
from robotini_ray.program.side_processes import SideProcesses
from robotini_ray.watch.web_pages import PagePorts, Pages
from tests.waiting import LONG_S, eventually


@pytest.fixture
def taken_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def monitor_command(*arguments):
    return [sys.executable, "-m", "robotini_ray.launch", "monitor", *map(str, arguments)]


def words_of(process):
    """Its command line, empty if it has just ended."""
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []


def listeners(pid):
    return {connection.laddr.ip for connection in psutil.Process(pid).net_connections("inet") if connection.status == "LISTEN"}


def test_it_serves_alone_on_this_machine_only_and_ends_with_a_signal(run_dir):
    process = subprocess.Popen(monitor_command("--run-dir", run_dir, "--port", 0), stdout=subprocess.PIPE, text=True)
    try:
        words = process.stdout.readline().split()
        assert words[0] == "ready" and words[1].startswith("http://127.0.0.1:")
        with urllib.request.urlopen(words[1], timeout=LONG_S) as answer:
            assert answer.status == 200 and b"<title>" in answer.read()
        assert listeners(process.pid) == {"127.0.0.1"}
        assert os.getpriority(os.PRIO_PROCESS, process.pid) >= 10, "cars and learner come first"
        process.send_signal(signal.SIGTERM)
        assert process.wait(LONG_S) == 0
    finally:
        process.kill()


def test_another_address_needs_the_token_that_is_printed(run_dir):
    command = monitor_command("--run-dir", run_dir, "--port", 0, "--host", "0.0.0.0")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        address = process.stdout.readline().split()[1]
        assert address.count("/?token=") == 1
        port = address.split("/?token=")[0].rsplit(":", 1)[1]
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=LONG_S)
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("where", ["nowhere", None])
def test_a_run_that_is_not_there_is_named(where, tmp_path):
    chosen = ["--run-dir", where] if where else []
    done = subprocess.run(monitor_command(*chosen), cwd=tmp_path, capture_output=True, text=True, timeout=LONG_S)
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert str(tmp_path) in line and ("there is no such directory" if where else "there is no run in") in line


def test_the_newest_run_is_shown_by_default(run_dir, tmp_path):
    older = tmp_path / "runs" / "older"
    older.mkdir(parents=True)
    (older / "config.yaml").write_text("run:\n  seed: 1\n")
    os.utime(older / "config.yaml", (1, 1))
    run_dir.rename(tmp_path / "runs" / "newer")
    process = subprocess.Popen(monitor_command("--port", 0), cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline().startswith("ready ")
        assert os.readlink(f"/proc/{process.pid}/cwd") == str(tmp_path)
    finally:
        process.kill()
        process.wait()


def test_a_taken_port_is_said_with_the_cure(run_dir, taken_port):
    command = monitor_command("--run-dir", run_dir, "--port", taken_port)
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONG_S)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"robotini: port {taken_port} of 127.0.0.1 is taken; give another\n"


class TestInATraining:
    def test_a_child_that_ends_with_its_parent(self, run_dir, tmp_path):
        monitor = MonitorProcess(run_dir, "unix:///nowhere.sock", 0, tmp_path / "monitor.log")
        with urllib.request.urlopen(monitor.address(), timeout=LONG_S) as answer:
            assert answer.status == 200
        children = [child for child in psutil.Process().children() if str(run_dir) in words_of(child)]
        assert len(children) == 1
        monitor.close()
        assert not psutil.wait_procs(children, timeout=LONG_S)[1]

    def test_one_that_ends_is_said_counted_and_started_again_on_its_port(self, run_dir):
        (run_dir / "logs").mkdir()
        said, counted = [], []
        pages = Pages(run_dir, PagePorts(monitor=0), said.append)
        pages.start("unix:///nowhere.sock")
        try:
            pages.announce("", "")
            address, first = said[0].removeprefix("monitor: "), pages.monitor.pid
            side = SideProcesses(said.append, lambda *each: counted.append(each))
            side.add("monitor", pages.monitor, "its page cannot be opened")
            os.kill(first, signal.SIGKILL)

            def is_back():
                side.tick()
                with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=LONG_S) as answer:
                    return answer.status == 200
                return False

            eventually(is_back, "the page is back at its address")
            assert pages.monitor.pid != first and counted == [("monitor", "process ended")]
            assert "monitor has ended: its page cannot be opened until it is back" in said
        finally:
            pages.close()

    def test_a_taken_port_does_not_hold_a_training_up(self, run_dir, taken_port, tmp_path):
        (run_dir / "logs").mkdir()
        said = []
        pages = Pages(run_dir, PagePorts(monitor=taken_port), said.append)
        pages.start("unix:///nowhere.sock")
        pages.announce("", "http://127.0.0.1:9/metrics")
        pages.close()
        assert said[0].startswith(f"monitor: going on without it: port {taken_port} of 127.0.0.1 is taken")
        assert "--monitor-port" in said[0] and "--no-monitor" in said[0]

    def test_what_went_wrong_is_found_in_the_log_and_an_older_fault_is_not(self, tmp_path):
        log_path = tmp_path / "monitor.log"
        log_path.write_text("robotini: an old fault\n")
        monitor = MonitorProcess(tmp_path / "nowhere", "unix:///nowhere.sock", 0, log_path)
        with pytest.raises(MonitorUnavailable, match=r"^--run-dir is .*/nowhere, but there is no such directory \(log: "):
            monitor.address()

    def test_the_pages_that_do_not_run_are_named_with_their_commands(self, run_dir):
        said = []
        pages = Pages(run_dir, PagePorts(), said.append)
        pages.start("unix:///nowhere.sock")
        pages.announce("", "http://127.0.0.1:9/metrics")
        pages.close()
        monitor, tensorboard, dashboard, metrics = said
        assert monitor == f"monitor: off; this starts it:\n{launch_command('monitor', '--run-dir', run_dir)}"
        assert "train --tensorboard" in tensorboard and "make tensorboard" in tensorboard
        assert "ray start --head --include-dashboard=true" in dashboard and "--address auto" in dashboard
        assert metrics == "Ray metrics: http://127.0.0.1:9/metrics"
        pages.announce("127.0.0.1:8265", "")
        assert said[-2] == "Ray dashboard: http://127.0.0.1:8265"
