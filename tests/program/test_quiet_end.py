"""When the parts are ended, Ray has nothing to tell the user."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from robotini_ray.machine.processes import ProcessId
from robotini_ray.program import supervisor as supervision
from robotini_ray.program.part import PartSpec
from robotini_ray.program.supervisor import Supervisor
from tests.waiting import eventually


@pytest.fixture(scope="module", autouse=True)
def ray_here() -> Iterator[None]:
    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="warning")
    yield
    ray.shutdown()


def start(folder: Path) -> tuple[Supervisor, list[ProcessId]]:
    """Two cars whose loops run, and their processes."""
    specs = [
        PartSpec(name, "tests.faults.dummy_parts:Car", lambda program, name=name: (folder / name,))  # type: ignore[misc]
        for name in ("one", "two")
    ]
    supervisor = Supervisor(specs, folder, pytest.fail, lambda name, cause: None, lambda name: None)
    eventually(lambda: supervisor.tick() is not None and not supervisor.missing(), "both run")
    return supervisor, [process for process, _ in supervisor.processes().values() if process is not None]


def test_ray_reports_a_process_that_was_killed_but_none_that_was_ended(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    supervisor, processes = start(tmp_path)
    supervisor.end_all()
    left = [process for process in processes if process.is_alive]
    other = ray.remote(num_cpus=0)(Other).remote()
    killed = ray.get(other.pid.remote())
    os.kill(killed, signal.SIGKILL)
    said = ""

    def reported() -> list[str]:
        nonlocal said
        said += capfd.readouterr().out
        return re.findall(r"Worker PID: (\d+)", said)

    assert eventually(reported, "Ray's reports arrive, in their order") == [str(killed)], said
    assert left == [], "they have ended when it returns"


def test_a_stopped_process_does_not_hold_up_the_end(tmp_path: Path) -> None:
    supervisor, processes = start(tmp_path)
    os.kill(processes[0].pid, signal.SIGSTOP)
    began = time.monotonic()
    supervisor.end_all()
    assert time.monotonic() - began >= supervision.LEAVE_TIMEOUT_S, "it was given its time"
    eventually(lambda: not any(process.is_alive for process in processes), "all have ended", 10.0)


class Other:
    """A process that is not a part."""

    def pid(self) -> int:
        return os.getpid()
