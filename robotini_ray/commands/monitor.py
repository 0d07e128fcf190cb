"""Implements ``monitor``, which serves the web page of a run without training."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from robotini_ray.config import ConfigError
from robotini_ray.machine.child_process import step_back
from robotini_ray.monitor.access import Access
from robotini_ray.monitor.hub import Hub
from robotini_ray.monitor.run_files import RunFiles
from robotini_ray.monitor.server import serve

RUNS = Path("runs")


def run(redis: str | None, run_dir: Path | None, host: str, port: int) -> int:
    """Serves the page until Ctrl-C or SIGTERM; returns the exit code, always 0.

    Args:
        redis: The URL of the Redis server with the cars' live state, or None for the one of the running training.
        run_dir: The run directory, or None for the newest run below ``runs/``.
        host: The address to listen on.
        port: The port to listen on; 0 takes a free one.

    Raises:
        ConfigError: There is no run.
        MonitorError: The port cannot be listened on.
    """
    directory = (run_dir or _newest_run()).resolve()
    if not directory.is_dir():
        raise ConfigError(f"--run-dir is {directory}, but there is no such directory")
    asyncio.run(_serve(directory, redis, host, port))
    return 0


async def _serve(directory: Path, redis: str | None, host: str, port: int) -> None:
    hub = Hub(RunFiles(directory), redis)
    await serve(hub, Access(host), host, port, _say_ready)


def _say_ready(address: str) -> None:
    """Lowers this process's priority and prints the line ``ready ADDRESS``.

    Until this line a training waits for the page; from then on the cars and the learner have priority.
    """
    step_back(os.getpid())
    print(f"ready {address}", flush=True)


def _newest_run() -> Path:
    """Returns the run below ``runs/`` whose config was written last; raises ConfigError if there is none."""
    configs = sorted(RUNS.glob("*/config.yaml"), key=lambda path: path.stat().st_mtime)
    if not configs:
        raise ConfigError(f"there is no run in {RUNS.resolve()}; start one (`train`) or name one with --run-dir")
    return configs[-1].parent
