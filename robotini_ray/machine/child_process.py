"""Starts child processes that end with the thread that started them, in sessions of their own.

A session of its own keeps the terminal's signals, such as Ctrl-C, away from the child.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import IO, Any

from robotini_ray.machine.progress_watch import ProgressWatch

STOP_TIMEOUT_S = 3.0
POLL_S = 0.2
NICENESS = 10

# A fresh interpreter runs this: it calls prctl(PR_SET_PDEATHSIG, signal) and then becomes the program. Doing the same in
# the preexec_fn of ``subprocess`` could deadlock, because the parent has threads.
_DIE_WITH_PARENT = """
import ctypes, os, sys
if ctypes.CDLL(None, use_errno=True).prctl(1, int(sys.argv[2]), 0, 0, 0) != 0:
    sys.exit(f"prctl(PR_SET_PDEATHSIG) failed: {os.strerror(ctypes.get_errno())}")
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent process has ended")
os.execv(sys.argv[3], sys.argv[3:])
"""


def start_child(
    command: list[str],
    stderr: IO[Any] | int | None,
    stdout: IO[Any] | int | None,
    cwd: Path | None = None,
    death_signal: int = signal.SIGKILL,
    more_environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Starts a program in a session of its own, without standard input.

    The kernel sends it ``death_signal`` when the *thread* that calls this function ends, so the calling thread must live as
    long as the program should.

    Args:
        command: The program's absolute path and its arguments.
        stderr: The file for its standard error; None inherits that of this process.
        stdout: The file for its standard output; None inherits that of this process.
        cwd: The working directory; None inherits that of this process.
        death_signal: The signal that ends it with the calling thread.
        more_environment: Environment variables added to, or replacing, those of this process.
    """
    launcher = [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), str(int(death_signal))]
    return subprocess.Popen(
        [*launcher, *command],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        cwd=cwd,
        start_new_session=True,
        env={**os.environ, **(more_environment or {})},
    )


def run_in_own_session(command: list[str]) -> int:
    """Runs a program to its end in a session of its own and forwards Ctrl-C and SIGTERM to it alone.

    Otherwise a signal to this process's group (a terminal's Ctrl-C, ``timeout``, a job scheduler) would also end the processes
    that the program starts, Ray's among them, before it could end them in order. If this process is killed, the program gets
    SIGTERM. Must be called from the main thread, because it installs signal handlers.

    Returns:
        The program's exit code; 128 + N if signal N ended it.
    """
    child: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def forward(number: int, frame: FrameType | None) -> None:
        if child is None:
            early.append(number)
        else:
            child.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, forward)
    child = start_child(command, stderr=None, stdout=None, death_signal=signal.SIGTERM)
    for received in early:
        child.send_signal(received)
    code = child.wait()
    return code if code >= 0 else 128 - code


def step_back(process_id: int) -> None:
    """Lowers the priority of a process that only displays things, so that cars and learner get the processor first.

    One whose priority is lower already, as under ``nice``, keeps it: only root may raise it.

    Where the kernel schedules by session (autogroup), niceness counts only within a session; so if the process leads its
    session, the priority of the session is lowered too. The kernel rejects this when it is done too often, and some
    containers always reject it: then only the niceness of the process changes.
    """
    os.setpriority(os.PRIO_PROCESS, process_id, max(NICENESS, os.getpriority(os.PRIO_PROCESS, process_id)))
    if os.getsid(process_id) == process_id:
        with contextlib.suppress(OSError):
            Path(f"/proc/{process_id}/autogroup").write_text(str(NICENESS))


def wait_for_line(
    process: subprocess.Popen[bytes],
    pattern: re.Pattern[str],
    patience_s: float,
    say: Callable[[str], None] = lambda line: None,
) -> re.Match[str] | None:
    """Waits until the output of a child matches a pattern; returns the match.

    The limit looks at the child's progress and not at the clock: a child that prints, or uses its processor, is waited for.

    Args:
        process: A child whose standard output is a pipe. What it has printed so far is consumed.
        pattern: The regular expression to search for.
        patience_s: The longest time without progress, in seconds of wall time.
        say: Gets every whole line that the child prints before the match.

    Returns:
        The first match, or None if the child ends or makes no progress before there is one.
    """
    output = process.stdout
    assert output is not None
    printed, passed_on = b"", 0
    watch = ProgressWatch(process.pid, patience_s)
    while True:
        stands_still = watch.stands_still()
        if not select.select([output], [], [], POLL_S)[0]:
            if stands_still:
                return None
            continue
        said = os.read(output.fileno(), 4096)  # ``readline`` would buffer further lines out of sight of ``select``
        if not said:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(patience_s)  # a process ends a little later than its output
            return None
        printed += said
        match = pattern.search(printed.decode(errors="replace"))
        if match:
            return match
        watch.saw_progress()
        *lines, _ = printed.split(b"\n")
        for line in lines[passed_on:]:
            say(line.decode(errors="replace"))
        passed_on = len(lines)


def stop_child(process: subprocess.Popen[bytes]) -> None:
    """Sends SIGTERM to a child, and SIGKILL after 3 s; returns when it has ended."""
    process.terminate()
    try:
        process.wait(timeout=STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class ChildProgram:
    """A program in a child process; subclasses start it."""

    _process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """The process id of the child."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """True while the child runs."""
        return self._process.poll() is None

    def failure(self, patience_s: float) -> str:
        """Returns how a start has failed, for a message, once it has: the child has ended, or made no progress for so long."""
        code = self._process.poll()
        return f"made no progress for {patience_s:g} s" if code is None else f"ended with code {code}"

    def close(self) -> None:
        """Stops the child and waits until it has ended."""
        stop_child(self._process)
