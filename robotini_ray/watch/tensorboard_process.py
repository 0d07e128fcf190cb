"""Runs TensorBoard as a child process of the training."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

from robotini_ray.errors import RobotiniError
from robotini_ray.machine.child_process import ChildProgram, start_child, step_back
from robotini_ray.machine.progress_watch import ProgressWatch

HOST = "127.0.0.1"
PORT = 6006
START_PATIENCE_S = 60.0
"""The longest time that a start may make no progress; see ``ProgressWatch``."""

POLL_S = 0.2


class TensorBoardUnavailable(RobotiniError):
    """Raised when TensorBoard did not start; the message is one line for a person."""


def tensorboard_command(run_dir: Path, port: int) -> list[str]:
    """Returns the command that serves a run's curves on 127.0.0.1."""
    logdir = str(run_dir / "tensorboard")
    return [sys.executable, "-m", "tensorboard.main", "--logdir", logdir, "--host", HOST, "--port", str(port)]


class TensorBoardProcess(ChildProgram):
    """A TensorBoard process; it is ended by ``close`` and by the end of the thread that started it.

    Args:
        run_dir: The run directory; the curves are in its folder ``tensorboard``.
        port: A free port on 127.0.0.1.
        log_path: The file that TensorBoard's messages are appended to.
    """

    def __init__(self, run_dir: Path, port: int, log_path: Path) -> None:
        self._port = port
        self._log_path = log_path
        with open(log_path, "ab") as log:
            self._process = start_child(tensorboard_command(run_dir, port), stderr=log, stdout=subprocess.DEVNULL)
        step_back(self._process.pid)

    def address(self) -> str:
        """Returns the address to open in a browser; waits until it can be opened.

        Raises:
            TensorBoardUnavailable: TensorBoard has ended, or makes no progress for ``START_PATIENCE_S``.
        """
        watch = ProgressWatch(self.pid, START_PATIENCE_S)
        stands_still = False
        while self.alive and not stands_still:
            stands_still = watch.stands_still()
            with socket.socket() as probe:
                if probe.connect_ex((HOST, self._port)) == 0:
                    return f"http://{HOST}:{self._port}"
            time.sleep(POLL_S)
        failure = self.failure(START_PATIENCE_S)
        self.close()
        raise TensorBoardUnavailable(f"TensorBoard {failure}; see {self._log_path}")
