import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from robotini_ray.machine import child_process, progress_watch
from robotini_ray.machine.child_process import (
    NICENESS,
    start_child,
    step_back,
    stop_child,
    wait_for_line,
)
from robotini_ray.machine.processes import cpu_time_s
from tests.fake_time import FakeTime
from tests.waiting import LONG_S, eventually

READY = re.compile("^ready", re.MULTILINE)
SLEEPER = "import sys, time; print('up', flush=True); time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
PARENT = """
import subprocess, sys
from robotini_ray.machine.child_process import start_child

child = start_child([sys.executable, "-c", sys.argv[1]], stderr=subprocess.DEVNULL, stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
sys.stdin.read()
"""
OWN_SESSION = """
import sys
from robotini_ray.machine.child_process import run_in_own_session

sys.exit(run_in_own_session([sys.executable, *sys.argv[1:]]))
"""
PROGRAM = """
import os, signal, subprocess, sys, time
from pathlib import Path

helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])

def end(number, frame):
    time.sleep(0.3)  # in which whoever else got the signal would die of it
    helper_lives = helper.poll() is None
    helper.kill()
    helper.wait()
    Path(sys.argv[1]).write_text(f"{signal.Signals(number).name} {helper_lives}")
    sys.exit(42)

for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, end)
print(os.getpid(), os.getsid(0), flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def package_path(monkeypatch):
    """Children find the package wherever the tests are started from."""
    monkeypatch.setenv("PYTHONPATH", str(Path(child_process.__file__).parents[2]))


def is_running(pid):
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def start(code):
    return start_child([sys.executable, "-c", code], stderr=subprocess.DEVNULL, stdout=subprocess.PIPE)


@pytest.fixture
def child():
    """Starts children that are up, and ends what a test has left of them."""
    children = []

    def make(code):
        children.append(start(code))
        assert children[-1].stdout.readline() == b"up\n"
        return children[-1]

    yield make
    for process in children:
        process.kill()
        process.wait()
        process.stdout.close()


class TestChildProcess:
    def test_stop_ends_it_with_sigterm(self, child, monkeypatch):
        monkeypatch.setattr(child_process, "STOP_TIMEOUT_S", LONG_S)
        process = child(SLEEPER)
        stop_child(process)
        assert process.returncode == -signal.SIGTERM

    def test_stop_kills_what_does_not_listen(self, child, monkeypatch):
        monkeypatch.setattr(child_process, "STOP_TIMEOUT_S", 0.2)
        process = child(STUBBORN)
        stop_child(process)
        assert process.returncode == -signal.SIGKILL

    def test_stop_of_one_that_has_ended(self, child):
        process = child("print('up')")
        process.wait()
        stop_child(process)
        assert process.returncode == 0

    def test_it_is_out_of_reach_of_ctrl_c_and_has_no_input(self):
        process = start("import os, sys; print(os.getsid(0), os.getpid(), repr(sys.stdin.read()))")
        session, pid, said = process.communicate(timeout=LONG_S)[0].decode().split()
        assert session == pid == str(process.pid) and said == "''"

    def test_arguments_arrive_as_they_are(self):
        command = [sys.executable, "-c", "import sys; print(sys.argv[1:])", "a b", "", "-x", "'q'", "$HOME"]
        process = start_child(command, stderr=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert process.communicate(timeout=LONG_S)[0].decode().strip() == str(command[3:])

    def test_it_runs_where_it_is_told_to(self, tmp_path):
        command = [sys.executable, "-c", "import os; print(os.getcwd())"]
        process = start_child(command, stderr=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=tmp_path)
        assert process.communicate(timeout=LONG_S)[0].decode().strip() == str(tmp_path.resolve())

    @pytest.mark.parametrize("code", [SLEEPER, STUBBORN])
    def test_it_dies_with_its_parent_however_that_dies(self, code):
        parent = subprocess.Popen([sys.executable, "-c", PARENT, code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with parent:
            pid = int(parent.stdout.readline())
            assert is_running(pid)
            parent.kill()
        eventually(lambda pid=pid: not is_running(pid), f"process {pid} has ended")

    def test_it_dies_with_the_thread_that_started_it(self):
        children, may_end = [], threading.Event()

        def life():
            children.append(start(SLEEPER))
            children[0].stdout.readline()
            may_end.wait(LONG_S)

        thread = threading.Thread(target=life)
        thread.start()
        with contextlib.closing(Ended(children)):
            eventually(lambda: children, "it has started")
            assert children[0].poll() is None
            may_end.set()
            thread.join(LONG_S)
            assert children[0].wait(LONG_S) == -signal.SIGKILL


class Ended:
    """Kills children that a failed test leaves."""

    def __init__(self, children):
        self._children = children

    def close(self):
        for child in self._children:
            child.kill()
            child.wait()
            child.stdout.close()


def in_own_session(*arguments):
    """A process that runs Python with these arguments in a session of its own, itself the leader of a process group."""
    return subprocess.Popen(
        [sys.executable, "-c", OWN_SESSION, *map(str, arguments)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )


class TestRunInOwnSession:
    @pytest.mark.parametrize(
        ("code", "exit_code"),
        [("pass", 0), ("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 15)", 143), ("import os; os.abort()", 134)],
    )
    def test_the_exit_code_is_handed_on(self, code, exit_code):
        with in_own_session("-c", code) as process:
            assert process.wait(LONG_S) == exit_code

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_to_the_group_reaches_the_program_and_not_what_it_started(self, tmp_path, number):
        with in_own_session("-c", PROGRAM, tmp_path / "said") as process:
            pid, session = map(int, process.stdout.readline().split())
            assert pid == session != process.pid
            os.killpg(process.pid, number)
            assert process.wait(LONG_S) == 42
        assert (tmp_path / "said").read_text() == f"{number.name} True"
        assert not is_running(pid)

    def test_if_it_is_killed_the_program_can_still_end_in_order(self, tmp_path):
        with in_own_session("-c", PROGRAM, tmp_path / "said") as process:
            pid, _ = map(int, process.stdout.readline().split())
            process.kill()
        eventually(lambda pid=pid: not is_running(pid), f"process {pid} has ended")
        assert (tmp_path / "said").read_text() == "SIGTERM True"


EARLY = """
import os, signal, sys
from robotini_ray.machine import child_process, progress_watch

start_child = child_process.start_child

def start_late(*arguments, **keywords):
    os.kill(os.getpid(), signal.SIGTERM)
    return start_child(*arguments, **keywords)

child_process.start_child = start_late
sys.exit(child_process.run_in_own_session([sys.executable, "-c", "import time; time.sleep(600)"]))
"""


def test_a_signal_that_comes_before_the_program_reaches_it_too():
    with subprocess.Popen([sys.executable, "-c", EARLY], start_new_session=True) as process:
        assert process.wait(LONG_S) == 128 + signal.SIGTERM


def test_one_that_steps_back_takes_its_session_along():
    own = os.getpriority(os.PRIO_PROCESS, 0)
    process = start_child([sys.executable, "-c", SLEEPER], stderr=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        step_back(process.pid)
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == max(NICENESS, own), "lower than it was, never higher"
        autogroup = Path(f"/proc/{process.pid}/autogroup")
        if autogroup.exists() and os.getuid() == 0:  # of others the kernel takes one wish in a tenth of a second
            assert autogroup.read_text().split()[-1] == str(NICENESS)
        assert os.getpriority(os.PRIO_PROCESS, 0) == own
    finally:
        stop_child(process)


def test_one_that_is_behind_already_stays_there():
    process = start_child([sys.executable, "-c", SLEEPER], stderr=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        os.setpriority(os.PRIO_PROCESS, process.pid, 19)
        step_back(process.pid)
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == 19
    finally:
        stop_child(process)


class ComputingTime(FakeTime):
    """A clock that runs only while a child computes: ten seconds for each second of its processor time."""

    def __init__(self, monkeypatch, module, child):
        super().__init__(monkeypatch, module)
        self._child = child

    def monotonic(self):
        return 10 * cpu_time_s(self._child.pid)


class TestWaitForLine:
    """The limit looks at progress: a child that works or prints is waited for, one that stands still is not."""

    @pytest.fixture
    def run(self):
        """Starts children with pipes to and from them, and ends them."""
        children = []

        def make(code):
            command = [sys.executable, "-c", code]
            children.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
            return children[-1]

        yield make
        for child in children:
            child.kill()
            child.communicate()

    def test_a_child_that_computes_longer_than_the_patience_is_waited_for(self, run, monkeypatch):
        child = run("import time\nwhile time.process_time() < 1: pass\nprint('ready', flush=True); time.sleep(600)")
        ComputingTime(monkeypatch, progress_watch, child)
        assert wait_for_line(child, READY, patience_s=3.0)

    def test_a_child_that_prints_is_waited_for_and_its_lines_are_passed_on(self, run, monkeypatch):
        clock = FakeTime(monkeypatch, progress_watch)
        child = run("for k in range(8): print('step', k, flush=True); input()\nprint('ready', flush=True); input()")
        said = []

        def say(line):
            said.append(line)
            clock.now_s += 2
            child.stdin.write(b"\n")
            child.stdin.flush()

        assert wait_for_line(child, READY, patience_s=3.0, say=say)
        assert said == [f"step {k}" for k in range(8)]

    def test_a_child_that_stands_still_is_given_up(self, run):
        assert wait_for_line(run("import time; time.sleep(600)"), READY, patience_s=0.5) is None

    def test_a_child_that_ends_is_not_waited_for(self, run):
        child = run("print('so long')")
        assert wait_for_line(child, READY, patience_s=LONG_S) is None
        assert child.poll() == 0
