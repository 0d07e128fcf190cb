"""Child processes that end with the thread that started them, and that Ctrl-C in the terminal does not reach."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

STOP_TIMEOUT_S = 3.0

# Run by a fresh interpreter: prctl(PR_SET_PDEATHSIG, SIGKILL), then it becomes the program. The same in subprocess's
# preexec_fn could deadlock, because the parent has threads.
_DIE_WITH_PARENT = """
import ctypes, os, sys
if ctypes.CDLL(None, use_errno=True).prctl(1, 9, 0, 0, 0) != 0:
    sys.exit(f"prctl(PR_SET_PDEATHSIG) failed: {os.strerror(ctypes.get_errno())}")
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent process is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


def start_child(command: list[str], stderr: IO[Any], stdout: IO[Any] | int, cwd: Path | None = None) -> subprocess.Popen[bytes]:
    """Starts a program (an absolute path and its arguments) in a session of its own, without standard input.

    The kernel kills it when the *thread* that calls this ends: call it from a thread that lives as long as it should.
    """
    launcher = [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid())]
    return subprocess.Popen(
        [*launcher, *command],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        cwd=cwd,
        start_new_session=True,
    )


def stop_child(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, and SIGKILL after 3 s; returns when the process is gone."""
    process.terminate()
    try:
        process.wait(timeout=STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
