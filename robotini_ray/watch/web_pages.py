"""Starts the web pages that show a run, and reports the address of each page or the command that starts it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from robotini_ray.errors import RobotiniError
from robotini_ray.machine.ports import holder_of_port, is_free
from robotini_ray.machine.terminal_text import launch_command, near
from robotini_ray.monitor.process import MonitorProcess, MonitorUnavailable
from robotini_ray.watch.tensorboard_process import HOST, TensorBoardProcess, TensorBoardUnavailable


class PortTaken(RobotiniError):
    """Raised when a requested port is taken by another process; the message is one line for a person."""


@dataclasses.dataclass(frozen=True)
class PagePorts:
    """The ports of the pages on 127.0.0.1; None for a page that is not wanted."""

    monitor: int | None = None
    tensorboard: int | None = None

    def check(self) -> None:
        """Checks TensorBoard's port before anything is started.

        The monitor's port is not checked: TensorBoard was requested explicitly, while a training goes on without a monitor that
        cannot listen.

        Raises:
            PortTaken: TensorBoard's port is taken.
        """
        port = self.tensorboard
        if port is not None and not is_free(port):
            raise PortTaken(
                f"port {port} of {HOST} is taken by {holder_of_port(port)}; end it, give TensorBoard another with "
                "--tensorboard-port PORT, or leave --tensorboard out"
            )


class Pages:
    """The web pages of one invocation of ``train``; a page that fails does not end the run.

    Args:
        run_dir: The run directory.
        ports: The ports of the pages.
        say: A function that shows a line to the user.
    """

    def __init__(self, run_dir: Path, ports: PagePorts, say: Callable[[str], None]) -> None:
        self._run_dir = run_dir
        self._ports = ports
        self._say = say
        self._monitor: MonitorProcess | None = None
        self._tensorboard: TensorBoardProcess | None = None
        self._monitor_is_announced = False

    def start(self, redis_url: str) -> None:
        """Starts the pages without waiting for them.

        Call it from the main thread, because the pages end with the thread that starts them.

        Args:
            redis_url: The URL of the Redis server with the cars' live state.
        """
        logs = self._run_dir / "logs"
        if self._ports.monitor is not None:
            self._monitor = MonitorProcess(self._run_dir, redis_url, self._ports.monitor, logs / "monitor.log")
        if self._ports.tensorboard is not None:
            self._tensorboard = TensorBoardProcess(self._run_dir, self._ports.tensorboard, logs / "tensorboard.log")

    def announce_what_is_ready(self) -> None:
        """Reports the monitor's address once it can be opened, without waiting for it."""
        if self._monitor is not None and self._monitor.is_ready():
            self._announce_monitor()

    def announce(self, dashboard_url: str, metrics_url: str) -> None:
        """Waits until the pages can be opened, then reports the addresses that were not reported yet.

        Args:
            dashboard_url: The address of Ray's dashboard, without ``http://``; empty if the dashboard does not run.
            metrics_url: The address at which Prometheus finds Ray's metrics.
        """
        self._announce_monitor()
        self._say(f"TensorBoard: {self._tensorboard_line()}")
        starts_it = "off; `ray start --head --include-dashboard=true`, then `train --address auto`"
        self._say(f"Ray dashboard: {f'http://{dashboard_url}' if dashboard_url else starts_it}")
        self._say(f"Ray metrics: {metrics_url}")

    @property
    def monitor(self) -> MonitorProcess | None:
        """The monitor's process; None if there is none, or if it did not start."""
        return self._monitor

    def close(self) -> None:
        """Ends the pages."""
        for page in (self._monitor, self._tensorboard):
            if page is not None:
                page.close()
        self._monitor = self._tensorboard = None

    def _announce_monitor(self) -> None:
        """Reports the monitor's address, once; waits until it can be opened."""
        if not self._monitor_is_announced:
            self._monitor_is_announced = True
            self._say(f"monitor: {self._monitor_line()}")

    def _monitor_line(self) -> str:
        if self._monitor is None:
            return f"off; this starts it:\n{launch_command('monitor', '--run-dir', near(self._run_dir))}"
        try:
            return self._monitor.address()
        except MonitorUnavailable as error:
            self._monitor = None
            return f"going on without it: {error}; --monitor-port PORT takes another port, --no-monitor leaves it out"

    def _tensorboard_line(self) -> str:
        if self._tensorboard is None:
            return "off; `train --tensorboard` starts it, or `make tensorboard`"
        try:
            return self._tensorboard.address()
        except TensorBoardUnavailable as error:
            self._tensorboard = None
            return f"going on without it: {error}"
