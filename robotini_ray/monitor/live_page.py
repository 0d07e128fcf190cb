"""Serves the monitor's page for cars that do not belong to a training: a demo or a replayed race."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from robotini_ray.car.state_store import CarStateStore
from robotini_ray.config import Config, save_config
from robotini_ray.machine.redis_server import RedisServer
from robotini_ray.monitor.process import MonitorProcess, MonitorUnavailable


@contextlib.contextmanager
def live_page(title: str, config: Config, port: int) -> Iterator[tuple[str, CarStateStore]]:
    """Serves a page while the context is open; yields its address and the store whose cars it shows.

    Args:
        title: Title of the page; it must be a valid file name.
        config: The config, which names the track that is drawn.
        port: Port on 127.0.0.1; 0 takes a free one.

    Raises:
        RedisServerError: There is no Redis server program, or it does not start.
        MonitorUnavailable: The page cannot be served; the message names the cure.
    """
    with tempfile.TemporaryDirectory(prefix="robotini-") as folder:
        run_dir = Path(folder) / title
        run_dir.mkdir()
        save_config(config, run_dir / "config.yaml")
        with RedisServer(Path(folder) / "redis.log") as redis:
            store = CarStateStore(redis.url, title)
            monitor = MonitorProcess(run_dir, redis.url, port, Path(folder) / "monitor.log")
            try:
                yield _address(monitor), store
            finally:
                monitor.close()
                store.close()


def _address(monitor: MonitorProcess) -> str:
    try:
        return monitor.address()
    except MonitorUnavailable as error:
        raise MonitorUnavailable(f"{error}: --monitor-port PORT takes another port, --no-monitor leaves it out") from error
