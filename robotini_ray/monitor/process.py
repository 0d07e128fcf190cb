"""Runs the monitor as a child process of a training or another verb."""

from __future__ import annotations

import re
import select
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from robotini_ray.errors import RobotiniError
from robotini_ray.machine.child_process import ChildProgram, start_child, wait_for_line
from robotini_ray.machine.terminal_text import PROGRAM

START_PATIENCE_S = 60.0
"""The longest time that a start may make no progress; see ``wait_for_line``."""

REDIS_VARIABLE = "ROBOTINI_RAY_REDIS_URL"
"""Environment variable that replaces the option ``--redis`` of ``monitor``."""

_READY = re.compile(r"^ready (\S+)\n", re.MULTILINE)


class MonitorUnavailable(RobotiniError):
    """Raised if the monitor did not start; the message is one line for a person."""


class MonitorProcess(ChildProgram):
    """A process of ``launch monitor``; it ends with ``close``, or when the thread that started it ends.

    Args:
        run_dir: Directory of the run to show.
        redis_url: URL of the Redis server with the cars' live state.
        port: Port on 127.0.0.1; 0 takes a free one.
        log_path: File to which the process's stderr is appended.
    """

    def __init__(self, run_dir: Path, redis_url: str, port: int, log_path: Path) -> None:
        self._log_path = log_path
        self._log_start_bytes = log_path.stat().st_size if log_path.exists() else 0
        self._command = [sys.executable, "-m", "robotini_ray.launch", "monitor", "--run-dir", str(run_dir)]
        self._hidden = {REDIS_VARIABLE: redis_url}  # it may contain a password, and all users see a process's arguments
        self._start(port)

    def _start(self, port: int) -> None:
        self._port = port
        command = [*self._command, "--port", str(port)]
        with open(self._log_path, "ab") as log:
            self._process = start_child(command, stderr=log, stdout=subprocess.PIPE, more_environment=self._hidden)

    def is_ready(self) -> bool:
        """Returns whether ``address`` has an answer, or an error, without waiting."""
        output = self._process.stdout  # the process prints nothing there but the line that it is ready
        assert output is not None
        return bool(select.select([output], [], [], 0)[0])

    def address(self) -> str:
        """Waits until the page can be opened and returns its URL.

        Raises:
            MonitorUnavailable: The process has ended, or makes no progress for ``START_PATIENCE_S``; the message is the last
                line of its log.
        """
        ready = wait_for_line(self._process, _READY, START_PATIENCE_S)
        if ready is not None:
            self._port = urlsplit(ready[1]).port or self._port
            return ready[1]
        failure = self.failure(START_PATIENCE_S)
        self.close()
        said = self._log_path.read_bytes()[self._log_start_bytes :].decode(errors="replace").strip().splitlines()
        reason = said[-1].removeprefix(f"{PROGRAM}: ") if said else f"it {failure} and printed nothing"
        raise MonitorUnavailable(f"{reason} (log: {self._log_path})")

    def answers(self) -> bool:
        """Returns True always: a busy machine may keep the monitor, which has the lowest priority, waiting for long."""
        return True

    def revive(self) -> None:
        """Restarts the monitor on the same port, without waiting until it listens; open tabs connect again by themselves."""
        self.close()
        self._start(self._port)
