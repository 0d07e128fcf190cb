"""The pages that show a run: starts the monitor, and says where each page is or what would start it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from robotini_ray.monitor.process import MonitorProcess, MonitorUnavailable

TENSORBOARD_PORT = 6006


class Pages:
    """The pages of one invocation of ``train``. Nothing here ends a run.

    Args:
        run_dir: of the run.
        monitor_port: where the monitor listens; None for no monitor.
        say: shows a line to the person who trains.
    """

    def __init__(self, run_dir: Path, monitor_port: int | None, say: Callable[[str], None]) -> None:
        self._run_dir = run_dir
        self._monitor_port = monitor_port
        self._say = say
        self._monitor: MonitorProcess | None = None

    def start(self, redis_url: str) -> None:
        """Starts the monitor, without waiting for it; from the main thread, with which it ends."""
        if self._monitor_port is not None:
            log_path = self._run_dir / "logs" / "monitor.log"
            self._monitor = MonitorProcess(self._run_dir, redis_url, self._monitor_port, log_path)

    def announce(self, dashboard_url: str) -> None:
        """Says where the pages are, once they can be opened; an empty URL means that Ray's does not run."""
        self._say(f"monitor: {self._monitor_line()}")
        self._say(
            f"TensorBoard: {sys.executable} -m tensorboard.main --logdir {self._run_dir}/tensorboard --host 127.0.0.1 "
            f"--port {TENSORBOARD_PORT}"
        )
        self._say(
            "Ray dashboard: "
            + (
                f"http://{dashboard_url}"
                if dashboard_url
                else "ray start --head --include-dashboard=true, then train --address auto"
            )
        )

    def close(self) -> None:
        """Ends the monitor."""
        if self._monitor is not None:
            self._monitor.close()
            self._monitor = None

    def _monitor_line(self) -> str:
        if self._monitor is None:
            return f"{sys.executable} -m robotini_ray.launch monitor --run-dir {self._run_dir}"
        try:
            return self._monitor.address()
        except MonitorUnavailable as error:
            self._monitor = None
            return f"going on without it: {error}; --monitor-port PORT takes another port, --no-monitor leaves it out"
