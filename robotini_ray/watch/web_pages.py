"""The pages that show a run: starts those that are wanted, and says where each page is or what would start it."""

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
    """A port that was asked for is somebody else's; the message is one line for a person."""


@dataclasses.dataclass(frozen=True)
class PagePorts:
    """Where pages listen on 127.0.0.1; None for a page that is not wanted."""

    monitor: int | None = None
    tensorboard: int | None = None

    def check(self) -> None:
        """Looks at what was asked for by name, before anything is started: a monitor that cannot listen is only left out.

        Raises:
            PortTaken: TensorBoard's port is taken.
        """
        port = self.tensorboard
        if port is not None and not is_free(port):
            raise PortTaken(
                f"port {port} of {HOST} is taken by {holder_of_port(port)}; end that, give TensorBoard another with "
                "--tensorboard-port PORT, or leave --tensorboard out"
            )


class Pages:
    """The pages of one invocation of ``train``. Nothing here ends a run.

    Args:
        run_dir: of the run.
        ports: of the pages.
        say: shows a line to the person who trains.
    """

    def __init__(self, run_dir: Path, ports: PagePorts, say: Callable[[str], None]) -> None:
        self._run_dir = run_dir
        self._ports = ports
        self._say = say
        self._monitor: MonitorProcess | None = None
        self._tensorboard: TensorBoardProcess | None = None

    def start(self, redis_url: str) -> None:
        """Starts the pages, without waiting for them; from the main thread, with which they end."""
        logs = self._run_dir / "logs"
        if self._ports.monitor is not None:
            self._monitor = MonitorProcess(self._run_dir, redis_url, self._ports.monitor, logs / "monitor.log")
        if self._ports.tensorboard is not None:
            self._tensorboard = TensorBoardProcess(self._run_dir, self._ports.tensorboard, logs / "tensorboard.log")

    def announce(self, dashboard_url: str, metrics_url: str) -> None:
        """Says where the pages are, once they can be opened.

        Args:
            dashboard_url: of Ray's dashboard; empty where it does not run.
            metrics_url: where Prometheus finds Ray's metrics.
        """
        self._say(f"monitor: {self._monitor_line()}")
        self._say(f"TensorBoard: {self._tensorboard_line()}")
        starts_it = "off; `ray start --head --include-dashboard=true`, then `train --address auto`"
        self._say(f"Ray dashboard: {f'http://{dashboard_url}' if dashboard_url else starts_it}")
        self._say(f"Ray metrics: {metrics_url}")

    def close(self) -> None:
        """Ends the pages."""
        for page in (self._monitor, self._tensorboard):
            if page is not None:
                page.close()
        self._monitor = self._tensorboard = None

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
