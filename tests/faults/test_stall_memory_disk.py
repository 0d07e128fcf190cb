"""The limiter stalls, replay would not fit into memory, the disk is full: each is said, and training goes on where it can."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import reverb

from robotini_ray.config import ConfigError, config_from_dict
from robotini_ray.parts.learner import Learner
from robotini_ray.program import stall_watch
from robotini_ray.program.stall_watch import StallWatch
from robotini_ray.replay.server import ReplayServer
from robotini_ray.replay.table import TABLE, WindowLayout, WindowWriter, replay_state
from robotini_ray.run.checkpoints import CheckpointStore
from robotini_ray.run.memory_needed import check_memory, replay_bytes
from robotini_ray.run.reports import CollectorReport, LearnerReport, ReplayState
from tests.fake_time import FakeTime
from tests.faults.replay_parts import drive, running_tensorflow, small_config, without_ray  # noqa: F401  (fixtures)
from tests.full_disk import file_size_limit, mounted

STATE = ReplayState(items=5000, inserted=5000, sampled=8000, capacity=10_000, min_items=100, samples_per_item=4.0)

EPISODE = 1000
"""Decisions."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    return FakeTime(monkeypatch, stall_watch)


def learner_report(step: int, waiting_for: str = "") -> LearnerReport:
    return LearnerReport(step, 0.0, STATE, 1.0, {}, waiting_for)


def lines_after(clock: FakeTime, seconds: float, learner: LearnerReport, cars: list[CollectorReport]) -> list[str]:
    watch = StallWatch()
    watch.look(learner, [CollectorReport(env_steps=1)])
    said = []
    for _ in range(int(seconds)):
        clock.now_s += 1.0
        said += watch.look(learner, cars)
    return said


DRIVING = [CollectorReport(env_steps=1)]


@pytest.mark.parametrize(
    ("learner", "cars", "expected"),
    [
        (
            learner_report(7, "replay 12 %, warming"),
            DRIVING,
            "the learner has stood still for 21 s: it waits for replay 12 %, w",
        ),
        (learner_report(7, "the cars: ..."), DRIVING, "the learner has stood still for 21 s: it waits for the cars"),
        (learner_report(7), DRIVING, "the learner has stood still for 21 s: it waits for nothing"),
    ],
)
def test_the_watchdog_says_for_what_the_learner_waits(clock, learner, cars, expected) -> None:
    (line,) = lines_after(clock, 30, learner, cars)
    assert line.startswith(expected)
    assert len(lines_after(clock, 63, learner, cars)) == 3, "again and again, but not all the time"


@pytest.mark.parametrize(
    ("car", "expected"),
    [
        (CollectorReport(paused=True, weights_version=3), "they wait for the learner, which is 3,000 replay items behind"),
        (CollectorReport(weights_version=-1), "they wait for the learner's first weights"),
        (CollectorReport(weights_version=3), "no frames come from their simulator"),
    ],
)
def test_the_watchdog_says_for_what_the_cars_wait(clock: FakeTime, car: CollectorReport, expected: str) -> None:
    watch, step, said = StallWatch(), 0, []
    for step in range(30):
        clock.now_s += 1.0
        said += watch.look(learner_report(step), [car])
    (line,) = said
    assert line.startswith("the cars have stood still for 21 s: ") and expected in line


def test_the_watchdog_is_silent_while_both_sides_move(clock: FakeTime) -> None:
    watch = StallWatch()
    for step in range(300):
        clock.now_s += 1.0
        assert watch.look(learner_report(step), DRIVING) == []


def test_a_replay_larger_than_memory_is_refused_before_the_start() -> None:
    config = config_from_dict({"replay": {"capacity": 3_000_000}})
    item = replay_bytes(config) // 3_000_000
    assert item == 4 * WindowLayout.from_config(config).row_size
    assert replay_bytes(config) > 1e9
    with pytest.raises(ConfigError, match=r"replay 1\.\d GB for replay\.capacity 3,000,000.*2\.0 GB are free: lower"):
        check_memory(config, available_bytes=2_000_000_000)
    check_memory(dataclasses.replace(config, replay=dataclasses.replace(config.replay, capacity=1000)), 8_000_000_000)


class Training:
    """A learner beside a replay server, in this process."""

    def __init__(self, run_dir: Path) -> None:
        self.config = small_config(replay={"capacity": 80_000}, learner={"checkpoints_to_keep": 2})
        self.server = ReplayServer(self.config, run_dir)
        address = self.server.report().address
        self.client, self.layout = reverb.Client(address), WindowLayout.from_config(self.config)
        self.writer = WindowWriter(self.client, self.layout)
        self.drive(80)
        self.learner = Learner(self.config, address, run_dir)
        self.store = CheckpointStore(run_dir / "checkpoints")

    def drive(self, decisions: int) -> None:
        for begun in range(0, decisions, EPISODE):
            drive(self.writer, self.config, min(EPISODE, decisions - begun), seed=begun)
            self.writer.flush(timeout_ms=120_000)  # a writer drops what a busy server does not take in time

    def one_step(self, step: int) -> None:
        self.learner._train_step.assign(step)

    def checkpoint(self) -> None:
        self.learner._write_checkpoint({"train_steps": 0})

    def goes_on(self) -> None:
        """Replay takes and gives, and the next checkpoint is written."""
        before = replay_state(self.client, self.layout, 120)
        self.drive(80)
        after = replay_state(self.client, self.layout, 120)
        assert after.inserted > before.inserted
        batch = next(iter(self.client.sample(TABLE, 1, emit_timesteps=False, unpack_as_table_signature=True)))
        assert np.isfinite(batch.data["rows"]).all()

    def newest_step(self) -> int:
        newest = self.store.newest()
        assert newest is not None and newest.replay_is_complete()
        step: int = newest.progress["train_steps"]
        return step


@pytest.mark.usefixtures("without_ray", "running_tensorflow")
def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one_and_training_goes_on(tmp_path: Path) -> None:
    training = Training(tmp_path)
    training.one_step(1)
    training.checkpoint()
    training.one_step(2)
    training.drive(4000)
    with file_size_limit(20_000), pytest.raises(Exception, match=r"File too large|[Ww]rite|EFBIG|27"):
        training.checkpoint()
    assert training.newest_step() == 1
    leftover = [path.name for path in (tmp_path / "checkpoints").glob("step-*.tmp")]
    assert leftover == [], "what the failed one has taken is given back"
    training.goes_on()
    training.checkpoint()
    assert training.newest_step() == 2
    training.server.stop()


@pytest.mark.slow
@pytest.mark.usefixtures("without_ray", "running_tensorflow")
def test_on_a_full_disk_of_4_mb(tmp_path: Path) -> None:
    with mounted(tmp_path / "run" / "checkpoints", "size=4m"):
        training = Training(tmp_path / "run")
        training.one_step(1)
        training.checkpoint()
        training.one_step(2)
        training.drive(80_000)
        with pytest.raises(Exception, match=r"(?i)no space|resource|exhausted|write|unavailable"):
            training.checkpoint()
        assert training.newest_step() == 1
        training.goes_on()
        assert sum(path.stat().st_size for path in (tmp_path / "run").rglob("*") if path.is_file()) < 4e6
        training.server.stop()
