"""The learner is killed: the next one equals the newest checkpoint in everything, and the weights' version goes on upwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reverb
import tensorflow as tf
import yaml
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

from robotini_ray.parts.interfaces import WeightsReceiver
from robotini_ray.parts.learner import CheckpointDamaged, CheckpointError, Learner, LearnerLeaves, restore, restore_newest
from robotini_ray.replay.server import ReplayServer
from robotini_ray.replay.table import WindowLayout, WindowWriter
from robotini_ray.run.checkpoints import Checkpoint, CheckpointStore
from robotini_ray.run.reports import train_step_of, weights_version
from robotini_ray.run.tensorboard_files import RunSummaries
from tests.faults.replay_parts import checkpoint_digests, drive, running_tensorflow, small_config, without_ray  # noqa: F401  (fixtures)
from tests.waiting import LONG_S, eventually

CONFIG = small_config()
pytestmark = pytest.mark.usefixtures("without_ray", "running_tensorflow")


class Receiver:
    """A car, as the learner sees it."""

    name = "car"

    def __init__(self) -> None:
        self.versions: list[int] = []

    def tell(self, method: str, *arguments: Any) -> None:
        assert method is WeightsReceiver.set_weights
        self.versions.append(arguments[0])


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = ReplayServer(CONFIG, tmp_path_factory.mktemp("replay"))
    address = server.report().address
    writer = WindowWriter(reverb.Client(address), WindowLayout.from_config(CONFIG))
    drive(writer, CONFIG, 200)
    writer.flush(timeout_ms=120_000)
    yield address
    writer.close()
    server.stop()


def train_until(learner: Learner, steps: int) -> threading.Thread:
    thread = threading.Thread(target=learner.run)
    thread.start()
    eventually(lambda: learner.report().train_step >= steps, "the learner trains")
    return thread


def digests(learner: Learner, folder: Path) -> dict[str, str]:
    """Of everything that the learner would save now."""
    learner._saved.write(str(folder / "now"))
    return checkpoint_digests(str(folder / "now"))


def test_the_next_learner_equals_the_checkpoint_and_its_versions_are_higher(replay: str, tmp_path: Path) -> None:
    first, car = Learner(CONFIG, replay, tmp_path, 0), Receiver()
    first.add_receivers([car])
    thread = train_until(first, 6)
    first.checkpoint({"train_steps": 0, "best_policy": {"rank": [1]}})
    at = CheckpointStore(tmp_path / "checkpoints").newest()
    assert at is not None and at.progress["best_policy"] == {"rank": [1]}
    eventually(lambda: first.report().train_step > at.progress["train_steps"], "it trains on")
    first.stop()
    thread.join()
    lost = first.report().train_step

    again = Learner(CONFIG, replay, tmp_path, 1)
    assert again.report().train_step == at.progress["train_steps"] < lost
    written = checkpoint_digests(at.learner_prefix)
    assert any("/m/" in name or "OPTIMIZER_SLOT" in name for name in written), "the optimizers' moments are in it"
    assert any("target" in name for name in written)
    assert digests(again, tmp_path) == written
    again.add_receivers([car])
    assert car.versions == sorted(car.versions) and len(car.versions) >= 3
    assert train_step_of(car.versions[-1]) == at.progress["train_steps"]
    assert car.versions[-1] == weights_version(1, at.progress["train_steps"]) > weights_version(0, lost)


def test_one_on_a_node_without_the_checkpoints_is_refused(replay: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"ends at train step 0, but on .* at 1,234: give a --run-dir"):
        Learner(CONFIG, replay, tmp_path, 1, 1234)


def test_a_renamed_layer_is_refused_with_its_cure(tmp_path: Path) -> None:
    def written_as(name: str) -> tf.train.Checkpoint:
        layer = tf.keras.layers.Dense(2)
        layer.build((None, 3))
        return tf.train.Checkpoint(train_step=tf.Variable(7), **{name: layer})

    directory = tmp_path / "step-000000007"
    directory.mkdir()
    written_as("hidden").write(str(directory / "learner"))
    restore(written_as("hidden"), Checkpoint(directory))
    with pytest.raises(CheckpointError, match=r"step-000000007 does not fit .*; --fresh"):
        restore(written_as("hidden_layer"), Checkpoint(directory))


def test_a_checkpoint_without_the_agent_is_refused(replay: str, tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "checkpoints")
    (store.replay_dir / "none").mkdir()
    bare = tf.train.Checkpoint(train_step=tf.Variable(4, dtype=tf.int64))
    store.write(4, store.replay_dir / "none", {"train_steps": 4}, bare.write, 3)
    with pytest.raises(CheckpointError, match=r"step-000000004 does not fit .*; --fresh"):
        Learner(CONFIG, replay, tmp_path)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def halved(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def zeroed(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def flipped(path: Path) -> None:
    """Sets eight bytes in the middle of a file to others."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8] = bytes(byte ^ 0x55 for byte in content[middle : middle + 8])
    path.write_bytes(content)


def removed(path: Path) -> None:
    path.unlink()


def networks(step: int) -> tf.train.Checkpoint:
    """Something small that is saved and read like an agent; its weights are all ``step``."""
    layer = tf.keras.layers.Dense(20, kernel_initializer=tf.keras.initializers.Constant(step))
    layer.build((None, 30))
    return tf.train.Checkpoint(train_step=tf.Variable(step), hidden=layer)


def two_checkpoints(directory: Path) -> CheckpointStore:
    """Those of steps 3 and 5."""
    store = CheckpointStore(directory)
    (store.replay_dir / "none").mkdir()
    for step in (3, 5):
        store.write(step, store.replay_dir / "none", {"train_steps": step}, networks(step).write, 3)
    return store


@pytest.mark.parametrize("damage", [emptied, halved, zeroed, flipped, removed])
@pytest.mark.parametrize("name", ["learner.index", "learner.data-00000-of-00001"])
def test_a_damaged_newest_checkpoint_is_set_aside_and_the_one_before_taken(
    tmp_path: Path, name: str, damage: Callable[[Path], None]
) -> None:
    store = two_checkpoints(tmp_path)
    damage(tmp_path / "step-000000005" / name)
    found = networks(0)
    (warning,) = restore_newest(found, store)
    assert warning.splitlines() == [warning] and warning.startswith(f"the networks in {tmp_path}/step-000000005 are damaged (")
    assert warning.endswith("it is now step-000000005.unusable-1, and training goes on from step-000000003")
    assert int(found.train_step) == 3 and (found.hidden.kernel.numpy() == 3).all()
    assert restore_newest(networks(0), store) == (), "it is not tried again"


def test_with_no_whole_checkpoint_left_nothing_is_renamed(tmp_path: Path) -> None:
    store = two_checkpoints(tmp_path)
    for checkpoint in store.newest_first():
        halved(checkpoint.directory / "learner.data-00000-of-00001")
    with pytest.raises(CheckpointDamaged, match=r"step-000000005 are damaged \(.*\); no earlier one is whole: --fresh moves"):
        restore_newest(networks(0), store)
    assert len(store.newest_first()) == 2


@pytest.mark.slow
def test_a_learner_reports_the_checkpoint_that_it_has_set_aside(replay: str, tmp_path: Path) -> None:
    learner, store = Learner(CONFIG, replay, tmp_path), CheckpointStore(tmp_path / "checkpoints")
    (store.replay_dir / "none").mkdir()
    for step in (3, 5):
        learner._train_step.assign(step)
        store.write(step, store.replay_dir / "none", {"train_steps": step}, learner._saved.write, 3)
    before, after = store.newest_first()[::-1]
    flipped(after.directory / "learner.data-00000-of-00001")
    again = Learner(CONFIG, replay, tmp_path, 1, least_step=5)
    (warning,) = again.report().warnings
    assert str(after.directory) in warning and again.report().train_step == 3
    assert digests(again, tmp_path) == checkpoint_digests(before.learner_prefix)


def test_tensorboard_goes_on_without_gaps_or_overlaps(tmp_path: Path) -> None:
    before = RunSummaries(tmp_path)
    for step in range(10):
        before.write("training", step, {"losses/critic": float(step)})
    second = int(time.time())
    eventually(lambda: int(time.time()) > second, "the files of another process have names of another second")
    after = RunSummaries(tmp_path, from_step=6)
    for step in range(6, 13):
        after.write("training", step, {"losses/critic": 100.0 + step})
    events = EventAccumulator(str(tmp_path / "training"), size_guidance={"tensors": 0})
    events.Reload()
    found = [event.step for event in events.Tensors("training/losses/critic")]
    assert found == [*range(7), *range(6, 13)], "step 6 was written before the checkpoint and after it"


LEARN = """
import sys
from pathlib import Path
import yaml
from robotini_ray.parts import weights_broadcast
weights_broadcast.ray.put = lambda value: value
from robotini_ray.config import config_from_dict
from robotini_ray.parts.learner import Learner
config, folder = config_from_dict(yaml.safe_load(sys.argv[1])), Path(sys.argv[3])
learner = Learner(config, sys.argv[2], folder, int(sys.argv[4]))
learner._saved.write(str(folder / "restored"))
print(learner.report().train_step, flush=True)
import threading
threading.Thread(target=learner.run, daemon=True).start()
while True:
    learner.checkpoint({"lives": int(sys.argv[4])})
    print("written", flush=True)
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_in_a_loop_of_five_it_always_goes_on_from_the_newest_checkpoint(replay: str, tmp_path: Path) -> None:
    random = np.random.default_rng()
    steps, store = -1, CheckpointStore(tmp_path / "checkpoints")
    for life in range(5):
        newest = store.newest()
        command = [sys.executable, "-c", LEARN, yaml.safe_dump(CONFIG.to_dict()), replay, str(tmp_path), str(life)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        restored = int(process.stdout.readline())
        if newest is not None:
            assert restored == newest.progress["train_steps"] >= steps
            assert checkpoint_digests(str(tmp_path / "restored")) == checkpoint_digests(newest.learner_prefix)
        steps = restored
        for _ in range(int(random.integers(2, 12))):
            assert process.stdout.readline() == "written\n"
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    last = store.newest()
    assert last is not None and last.progress["train_steps"] > 0


def test_after_sigterm_it_ends_with_a_checkpoint_of_all_that_it_has_learnt(replay: str, tmp_path: Path) -> None:
    learner = Learner(CONFIG, replay, tmp_path)
    ended: list[Exception] = []

    def run() -> None:
        try:
            learner.run()
        except LearnerLeaves as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    eventually(lambda: learner.report().train_step > 2, "it trains")
    assert not learner.report().leaving
    learner.on_sigterm()
    assert learner.report().leaving
    learner.checkpoint({})
    thread.join(LONG_S)
    newest = CheckpointStore(tmp_path / "checkpoints").newest()
    assert newest is not None and newest.progress["train_steps"] == learner.report().train_step
    assert f"checkpoint at train step {learner.report().train_step:,}" in str(ended[0])
