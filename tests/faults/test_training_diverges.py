"""Training diverges: nothing that is not finite is broadcast or saved, and the run ends with its last good checkpoint."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reverb

from robotini_ray.config import Config
from robotini_ray.parts.interfaces import RunCannotGoOn, WeightsReceiver
from robotini_ray.parts.learner import CheckpointError, Learner, TrainingDiverged
from robotini_ray.replay.server import ReplayServer
from robotini_ray.replay.table import WindowLayout, WindowWriter
from robotini_ray.run.checkpoints import CheckpointStore
from tests.faults.replay_parts import drive, running_tensorflow, small_config, without_ray  # noqa: F401  (fixtures)

pytestmark = pytest.mark.usefixtures("without_ray", "running_tensorflow")


class Receiver:
    """A car that keeps the weights it is sent."""

    name = "car"

    def __init__(self) -> None:
        self.weights: list[Any] = []

    def tell(self, method: Any, *arguments: Any) -> None:
        assert method is WeightsReceiver.set_weights
        self.weights.append(arguments[1])


@pytest.fixture
def config(request: pytest.FixtureRequest) -> Config:
    agent = {
        "algorithm": getattr(request, "param", "td3"),
        "lstm_units": 3,
        "burn_in": 2,
        "sequence_length": 4,
        "gradient_clipping": 1.0,
    }
    return small_config(agent=agent, learner={"publish_interval_s": 0.01})


@pytest.fixture
def writer(config: Config, tmp_path: Path) -> Iterator[tuple[str, WindowWriter]]:
    server = ReplayServer(config, tmp_path)
    address = server.report().address
    writer = WindowWriter(reverb.Client(address), WindowLayout.from_config(config))
    drive(writer, config, 100)
    writer.flush(timeout_ms=120_000)
    yield address, writer
    writer.close()
    server.stop()


def drive_for_no_number(writer: WindowWriter, config: Config) -> None:
    """Fills replay with rewards that are no numbers."""
    state = np.zeros(WindowLayout.from_config(config).state_size, np.float32)
    row, action = np.zeros(config.critic_observation_size, np.float32), np.zeros(2, np.float32)
    writer.begin_episode()
    for index in range(100):
        writer.add(row, action, math.nan, 1.0, index == 0, state)
    writer.end_episode(row)
    writer.flush(timeout_ms=120_000)


@pytest.mark.parametrize("config", ["td3", "rdpg"], indirect=True)
def test_a_loss_that_is_not_finite_ends_the_loop_and_the_checkpoint_before_it_stays(
    config: Config, writer: tuple[str, WindowWriter], tmp_path: Path
) -> None:
    address, rows = writer
    learner, car = Learner(config, address, tmp_path), Receiver()
    learner.add_receivers([car])
    learner._train(2)
    learner._write_checkpoint({})
    kept = CheckpointStore(tmp_path / "checkpoints").newest()
    drive_for_no_number(rows, config)
    with pytest.raises(TrainingDiverged, match=r"training has diverged after train step .* a loss or a gradient is not finite"):
        learner.run()
    assert issubclass(TrainingDiverged, RunCannotGoOn)
    assert car.weights and all(np.isfinite(each).all() for each in car.weights)
    with pytest.raises(TrainingDiverged):
        learner.checkpoint({})
    assert CheckpointStore(tmp_path / "checkpoints").newest() == kept is not None


def test_weights_that_are_not_finite_are_neither_broadcast_nor_saved(
    config: Config, writer: tuple[str, WindowWriter], tmp_path: Path
) -> None:
    learner, car = Learner(config, writer[0], tmp_path), Receiver()
    learner.add_receivers([car])
    sent = len(car.weights)
    for name, find in (("actor", learner._publish), ("critic", lambda: learner._write_checkpoint({}))):
        variable = next(variable for variable in learner._agent.variables if name in variable.name.lower())
        before = variable.numpy()
        variable.assign(np.full(variable.shape, np.inf))
        with pytest.raises(TrainingDiverged, match=rf"(?i){name}.* is not finite"):
            find()
        variable.assign(before)
    variable.assign(np.full(variable.shape, np.nan))
    assert len(car.weights) == sent
    assert CheckpointStore(tmp_path / "checkpoints").newest() is None

    learner._store.write(0, Path(learner._replay.checkpoint()), {"train_steps": 0}, learner._saved.write, 3)
    with pytest.raises(
        CheckpointError,
        match=r"checkpoints ends with numbers that are not finite in .*ritic.*: its training had diverged; remove the",
    ):
        Learner(config, writer[0], tmp_path)
