"""TensorBoard as a child process of whoever trains."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

from robotini_ray.errors import RobotiniError
from robotini_ray.machine.child_process import start_child, step_back, stop_child

HOST = "127.0.0.1"
PORT = 6006
START_TIMEOUT_S = 60.0
POLL_S = 0.2


class TensorBoardUnavailable(RobotiniError):
    """TensorBoard did not start; the message is one line for a person."""


def tensorboard_command(run_dir: Path, port: int) -> list[str]:
    """What serves a run's curves on this machine only."""
    logdir = str(run_dir / "tensorboard")
    return [sys.executable, "-m", "tensorboard.main", "--logdir", logdir, "--host", HOST, "--port", str(port)]


class TensorBoardProcess:
    """``tensorboard``; ``close`` ends it, and so does the end of the starting thread.

    Args:
        run_dir: of the run.
        port: on 127.0.0.1, free.
        log_path: where its messages go.
    """

    def __init__(self, run_dir: Path, port: int, log_path: Path) -> None:
        self._port = port
        self._log_path = log_path
        with open(log_path, "ab") as log:
            self._process = start_child(tensorboard_command(run_dir, port), stderr=log, stdout=subprocess.DEVNULL)
        step_back(self._process.pid)

    def address(self) -> str:
        """What to open in a browser; waits until it can be.

        Raises:
            TensorBoardUnavailable: it is not ready in time, or has ended.
        """
        deadline = time.monotonic() + START_TIMEOUT_S
        while self._process.poll() is None and time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex((HOST, self._port)) == 0:
                    return f"http://{HOST}:{self._port}"
            time.sleep(POLL_S)
        what = "did not listen in time" if self._process.poll() is None else f"ended with code {self._process.returncode}"
        self.close()
        raise TensorBoardUnavailable(f"TensorBoard {what}; see {self._log_path}")

    def close(self) -> None:
        """Ends TensorBoard."""
        stop_child(self._process)
