"""For the tests of replay's and the learner's faults: a small config, a server in a process of its own, driven windows."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reverb
import tensorflow as tf
import yaml

from robotini_ray.config import Config, config_from_dict
from robotini_ray.parts import weights_broadcast
from robotini_ray.replay.server import ReplayServer
from robotini_ray.replay.table import TABLE, WindowLayout, WindowWriter
from robotini_ray.run.checkpoints import CheckpointStore

SERVE = """
import sys
from pathlib import Path
import yaml
from robotini_ray.config import config_from_dict
from robotini_ray.replay.server import ReplayServer
server = ReplayServer(config_from_dict(yaml.safe_load(sys.argv[1])), Path(sys.argv[2]), "127.0.0.1", int(sys.argv[3]) or None)
print(server.report().address, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def running_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A learner sets its threads before TensorFlow begins to work; in the tests' process other tests have had it work."""
    for kind in ("intra", "inter"):
        monkeypatch.setattr(tf.config.threading, f"set_{kind}_op_parallelism_threads", lambda threads: None)


@pytest.fixture
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Learners that broadcast to nobody outside this process: no Ray is started for them."""
    monkeypatch.setattr(weights_broadcast.ray, "put", lambda value: value)
    monkeypatch.setattr(weights_broadcast.ray, "wait", lambda references, num_returns, timeout: (references, []))


def small_config(**sections: dict[str, Any]) -> Config:
    """Tiny networks and a table of 50 windows."""
    small: dict[str, dict[str, Any]] = {
        "environment": {"observation_history": 1, "action_history": 0},
        "agent": {"algorithm": "td3", "actor_layers": [8], "critic_layers": [8], "batch_size": 8},
        "replay": {"capacity": 400, "min_items": 8, "samples_per_item": 1000.0},
        "learner": {"steps_per_call": 2, "publish_interval_s": 3600.0},
    }
    return config_from_dict({name: {**small.get(name, {}), **sections.get(name, {})} for name in {*small, *sections}})


class ServerProcess:
    """A replay server that can be killed."""

    def __init__(self, config: Config, run_dir: Path, port: int = 0) -> None:
        command = [sys.executable, "-c", SERVE, yaml.safe_dump(config.to_dict()), str(run_dir), str(port)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        assert self.address, "the replay server did not start"

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def drive(writer: WindowWriter, config: Config, decisions: int, seed: int = 0) -> None:
    """One episode of random numbers; it ends in a crash."""
    random = np.random.default_rng(seed)
    size, state = config.critic_observation_size, np.zeros(WindowLayout.from_config(config).state_size, np.float32)
    writer.begin_episode()
    for index in range(decisions):
        row = random.normal(size=size).astype(np.float32)
        action = random.uniform(-1, 1, 2).astype(np.float32)
        writer.add(row, action, float(index), float(index + 1 < decisions), index == 0, state)
    writer.end_episode(np.zeros(size, np.float32))


def contents(client: reverb.Client, count: int) -> set[bytes]:
    """Every window of the table, as bytes."""
    found: dict[int, bytes] = {}
    while len(found) < count:
        for sample in client.sample(TABLE, 4 * count, emit_timesteps=False, unpack_as_table_signature=True):
            found[sample.info.key] = sample.data["rows"].tobytes()
    return set(found.values())


def checkpointed(config: Config, run_dir: Path, steps: tuple[int, ...]) -> CheckpointStore:
    """A run directory with a checkpoint a step; that of step N holds N windows."""
    store = CheckpointStore(run_dir / "checkpoints")
    server = ReplayServer(config, run_dir)
    client = reverb.Client(server.report().address)
    writer = WindowWriter(client, WindowLayout.from_config(config))
    done = 0
    for step in steps:
        for seed in range(done, step):
            drive(writer, config, 3, seed)
        done = step
        writer.flush(timeout_ms=120_000)
        store.write(step, Path(client.checkpoint()), {"train_steps": step}, touch_learner, 10, step)
    writer.close()
    server.stop()
    return store


def touch_learner(prefix: str) -> None:
    Path(f"{prefix}.index").write_text("TensorFlow's")


def checkpoint_digests(prefix: str) -> dict[str, str]:
    """A hash of every variable in TensorFlow's files, optimizers' moments and step counters among them."""
    reader = tf.train.load_checkpoint(prefix)
    names = [name for name in reader.get_variable_to_shape_map() if name != "_CHECKPOINTABLE_OBJECT_GRAPH"]
    return {name: hashlib.sha256(np.asarray(reader.get_tensor(name)).tobytes()).hexdigest() for name in names}
