"""The replay server is killed: it comes back on its port with its last checkpoint, and meanwhile nobody fills the memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import reverb

from robotini_ray.parts.learner import Learner
from robotini_ray.replay.table import MOST_PENDING_WINDOWS, WindowLayout, WindowWriter, replay_state
from tests.faults.replay_parts import ServerProcess, checkpointed, drive, running_tensorflow, small_config, without_ray  # noqa: F401  (fixtures)
from tests.waiting import LONG_S, eventually

CONFIG = small_config(replay={"capacity": 20_000})
LAYOUT = WindowLayout.from_config(CONFIG)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    checkpointed(CONFIG, tmp_path, (5,))
    server = ServerProcess(CONFIG, tmp_path)
    yield server
    server.kill()


def test_a_car_drives_on_and_what_waits_is_bounded(server: ServerProcess, tmp_path: Path) -> None:
    client = reverb.Client(server.address)
    writer = WindowWriter(client, LAYOUT)
    drive(writer, CONFIG, 80)
    writer.flush(timeout_ms=120_000)
    written = writer.items
    assert replay_state(client, LAYOUT, 120).items == 5 * LAYOUT.items + written
    server.kill()

    drive(writer, CONFIG, 10 * MOST_PENDING_WINDOWS * LAYOUT.items)  # fills what may wait, and the buffers of gRPC
    assert writer.dropped > 0, "a car of a server that is gone keeps nothing without end"
    memory = psutil.Process().memory_info().rss
    for seed in range(20):
        drive(writer, CONFIG, 10 * MOST_PENDING_WINDOWS, seed)
    assert psutil.Process().memory_info().rss - memory < 5e6
    kept = writer.items - written
    assert kept <= LAYOUT.items * (MOST_PENDING_WINDOWS + 1)

    again = ServerProcess(CONFIG, tmp_path, server.port)
    try:
        assert again.address == server.address
        eventually(lambda: _flushed(writer), "the writer reaches the server that came back")
        assert replay_state(client, LAYOUT, 120).items == 5 * LAYOUT.items + kept, "the checkpoint's and what had waited"
        eventually(lambda: _takes(writer), "windows are taken again")
    finally:
        again.kill()


def _flushed(writer: WindowWriter) -> bool:
    try:
        writer.flush(timeout_ms=1000)
    except reverb.errors.DeadlineExceededError:
        return False
    return True


def _takes(writer: WindowWriter) -> bool:
    before = writer.items
    drive(writer, CONFIG, 8)
    return writer.items > before


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("without_ray", "running_tensorflow")
def test_the_learner_waits_with_a_deadline_and_says_for_what(tmp_path: Path) -> None:
    config = small_config(replay={"capacity": 20_000, "min_items": 320})
    run_dir = tmp_path / "learner"
    warming = ServerProcess(config, run_dir)
    writer = WindowWriter(reverb.Client(warming.address), LAYOUT)
    drive(writer, config, 5 * LAYOUT.items)
    writer.flush(timeout_ms=120_000)
    learner = Learner(config, warming.address, run_dir)
    thread = threading.Thread(target=learner.run)
    thread.start()
    try:
        eventually(lambda: learner.report().waiting_for == "replay 12 %, warming", "it says how full replay is")
        warming.kill()
        eventually(lambda: "has not answered for" in learner.report().waiting_for, "it says that replay is gone")
        with pytest.raises(Exception, match="replay does not answer"):
            learner.checkpoint({})
        assert thread.is_alive()
        warming = ServerProcess(config, run_dir, warming.port)
        eventually(lambda: learner.report().waiting_for == "replay 0 %, warming", "it has found the new, empty one")
    finally:
        learner.stop()
        thread.join(timeout=LONG_S)
        warming.kill()
    assert not thread.is_alive()
