"""A run directory, a store of cars and a monitor in a thread, and a browser to look at them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from chromium import Chromium, find_chromium

from robotini_ray.car import state_store
from robotini_ray.car.state_store import CarStateStore
from robotini_ray.config import config_from_dict, save_config
from robotini_ray.machine.redis_server import RedisServer
from robotini_ray.monitor import server as monitor_server
from robotini_ray.monitor.access import Access
from robotini_ray.monitor.hub import Hub
from robotini_ray.monitor.run_files import RunFiles
from robotini_ray.monitor.server import make_app
from tests.waiting import LONG_S

EVALUATION = {
    "ended_at": 1.0, "wall_s": 20.0, "env_steps": 900, "best": True, "train_step": 100, "episodes": 2, "laps": [6.0, 7.0],
    "best_lap_s": 6.0, "median_lap_s": 6.5, "clean_laps": 1, "crashes": 3, "average_return": 12.5,
    "average_episode_length": 300.0, "average_speed_m_s": 1.5, "limit_s": 4.0, "ratio_to_limit": 1.6,
}  # fmt: skip
SUMMARY = {
    "env_steps": 900, "decisions": 300, "train_steps": 100, "wall_s": 20.0, "best_lap_s": 6.0, "median_lap_s": 6.5,
    "limit_s": 4.0, "ratio_to_limit": 1.6, "crashes": {"collect": 5, "evaluate": 3}, "average_return": 12.5,
    "average_episode_length": 300.0, "first_clean_lap": None,
}  # fmt: skip


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """What a run has left behind after its first evaluation."""
    directory = tmp_path / "some-run"
    directory.mkdir()
    save_config(config_from_dict({"simulator": {"track": "oval"}}), directory / "config.yaml")
    (directory / "summary.json").write_text(json.dumps(SUMMARY))
    an_hour_on = time.time() + 3600
    os.utime(directory / "summary.json", (an_hour_on, an_hour_on))  # not stale, however long a test takes
    (directory / "evaluations.jsonl").write_text(json.dumps(EVALUATION) + "\n")
    return directory


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores that wait for a slow Redis and keep what they have written, and a monitor that waits for a slow browser."""
    monkeypatch.setattr(state_store, "_SOCKET_TIMEOUT_S", LONG_S)
    monkeypatch.setattr(state_store, "EXPIRY_S", 600)
    monkeypatch.setattr(monitor_server, "HEARTBEAT_S", None)
    monkeypatch.setattr(monitor_server, "SEND_TIMEOUT_S", LONG_S)


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis.log") as server:
        yield server


class Feeder:
    """Writes cars that drive in a circle, as collectors do."""

    def __init__(self, store: CarStateStore, names: list[str], pictures: list[bytes]) -> None:
        self.store = store
        self.names = names
        self.count = 0
        self._pictures = pictures
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.05):
            self.count += 1
            for index, name in enumerate(self.names):
                self.store.put(name, self._fields(index), self._pictures[(self.count + index) % len(self._pictures)])

    def _fields(self, index: int) -> dict[str, Any]:
        count = self.count
        return {
            "x": 0.1 * count % 4.0, "z": 0.3 * index, "y": 0.0, "heading_rad": 1.5, "speed_m_s": 1.0 + 0.01 * (count % 90),
            "throttle": 0.05, "turn": -0.5, "return": float(count), "episode": 2, "step": count, "frames": 3 * count,
            "track_segment": count % 30, "segment_time_s": 0.2, "lap_time_s": 0.05 * count, "last_lap_s": 7.5,
            "best_lap_s": 7.0 + index, "laps": 3, "crashes": count // 40, "returns": 0, "track_angle_deg": 5.0,
            "distance_m": 0.1 * count, "game_time_s": 0.05 * count, "weights_version": 90, "weights_age_s": 0.3,
            "role": "collector", "color": "#1f77b4", "status": "driving",
        }  # fmt: skip

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self.store.close()


@pytest.fixture
def feed(redis_server: RedisServer, run_dir: Path) -> Iterator[Callable[..., Feeder]]:
    """Starts a feeder of cars with the given names and PNGs."""
    feeders: list[Feeder] = []

    def start(names: list[str], pictures: list[bytes]) -> Feeder:
        feeders.append(Feeder(CarStateStore(redis_server.url, run_dir.name), names, pictures))
        return feeders[-1]

    yield start
    for feeder in feeders:
        feeder.close()


@contextlib.contextmanager
def served(run_dir: Path, redis_url: str | None) -> Iterator[str]:
    """A monitor on a free port, for the time of a context; its address."""
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    address: list[str] = []

    async def start() -> web.AppRunner:
        runner = web.AppRunner(make_app(Hub(RunFiles(run_dir), redis_url), Access("127.0.0.1")), shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        address.append(f"http://127.0.0.1:{runner.addresses[0][1]}/")
        ready.set()
        return runner

    def run() -> None:
        runner = loop.run_until_complete(start())
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait()
    try:
        yield address[0]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


@pytest.fixture
def monitor(patient: None, run_dir: Path, redis_server: RedisServer) -> Iterator[str]:
    """A monitor of the run, fed by the store; its address."""
    with served(run_dir, redis_server.url) as address:
        yield address


@pytest.fixture(scope="session")
def one_browser() -> Iterator[Chromium]:
    """A headless Chromium; without one the test is skipped, but never where CI runs."""
    if find_chromium() is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have Chromium: apt-get install chromium")
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with Chromium() as chromium:
        yield chromium


@pytest.fixture
def browser(one_browser: Chromium) -> Iterator[Chromium]:
    """The browser as if it had just been started."""
    one_browser.reset()
    yield one_browser
    one_browser.open("about:blank")
