"""Child processes that end with the thread that started them, in a session that the terminal's signals do not reach."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

STOP_TIMEOUT_S = 3.0
NICENESS = 10

# Run by a fresh interpreter: prctl(PR_SET_PDEATHSIG, signal), then it becomes the program. The same in subprocess's
# preexec_fn could deadlock, because the parent has threads.
_DIE_WITH_PARENT = """
import ctypes, os, sys
if ctypes.CDLL(None, use_errno=True).prctl(1, int(sys.argv[2]), 0, 0, 0) != 0:
    sys.exit(f"prctl(PR_SET_PDEATHSIG) failed: {os.strerror(ctypes.get_errno())}")
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent process is gone")
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
    """Starts a program (an absolute path and its arguments) in a session of its own, without standard input.

    The kernel sends it ``death_signal`` when the *thread* that calls this ends: call it from one that lives as long as it
    should. Output that is None goes where ours goes. Its environment is ours and what is given on top.
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
    """Runs a program to its end in a session of its own and hands Ctrl-C and SIGTERM on to it alone.

    A signal to our process group (a terminal's Ctrl-C, ``timeout``, a job scheduler) would else also end the processes that
    the program starts, Ray's among them, before it could end them in order. If we are killed, it gets SIGTERM.

    Returns:
        The program's exit code.
    """
    child = start_child(command, stderr=None, stdout=None, death_signal=signal.SIGTERM)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, frame: child.send_signal(received))
    code = child.wait()
    return code if code >= 0 else 128 - code


def step_back(process_id: int) -> None:
    """Cars and learner come first: a process that only shows things gets what processor time they leave.

    Where the kernel weighs sessions, niceness counts only within one, so the session of one that leads its own steps back with
    it. The kernel refuses that when asked too often, and some containers always: then it stays at the niceness.
    """
    os.setpriority(os.PRIO_PROCESS, process_id, NICENESS)
    if os.getsid(process_id) == process_id:
        with contextlib.suppress(OSError):
            Path(f"/proc/{process_id}/autogroup").write_text(str(NICENESS))


def wait_for_line(process: subprocess.Popen[bytes], pattern: re.Pattern[str], timeout_s: float) -> re.Match[str] | None:
    """The first match in what a child with piped output says; None if it ends or the time is over before."""
    output = process.stdout
    assert output is not None
    printed = b""
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        if select.select([output], [], [], 0.2)[0]:
            said = os.read(output.fileno(), 4096)  # readline would keep further lines where select sees none
            if not said:
                return None
            printed += said
            match = pattern.search(printed.decode(errors="replace"))
            if match:
                return match
    return None


def stop_child(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, and SIGKILL after 3 s; returns when the process is gone."""
    process.terminate()
    try:
        process.wait(timeout=STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
