"""The monitor's page for cars that belong to no training: a demo, a replayed race."""

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
    """The page's address and the store that it shows, for the time of the context.

    Args:
        title: of the page, a file's name.
        config: says the track that is drawn.
        port: on 127.0.0.1; 0 takes a free one.

    Raises:
        RedisServerError: there is no Redis server, or it does not start.
        MonitorUnavailable: the page cannot be served; names the cure.
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
