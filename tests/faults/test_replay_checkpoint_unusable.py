"""A replay checkpoint that is incomplete, corrupt or of another config is no reason to stop, or is refused with its cure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import reverb

from robotini_ray.config import Config, ConfigError
from robotini_ray.replay.server import ReplayServer
from robotini_ray.replay.table import WindowLayout, replay_state
from robotini_ray.run.checkpoints import Checkpoint, CheckpointStore
from robotini_ray.run.directory import RunDirectory
from tests.faults.replay_parts import checkpointed, small_config


def without_done(replay: Path) -> None:
    for done in replay.glob("*/DONE"):
        done.unlink()


def files_of(replay: Path) -> list[Path]:
    return [path for path in replay.rglob("*") if path.is_file() and path.name != "DONE"]


def truncated(replay: Path) -> None:
    for path in files_of(replay):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def overwritten(replay: Path) -> None:
    for path in files_of(replay):
        path.write_bytes(b"\xa5" * path.stat().st_size)


def without_chunks(replay: Path) -> None:
    for path in files_of(replay):
        if "chunk" in path.name:
            path.unlink()


def empty_files(replay: Path) -> None:
    for path in files_of(replay):
        path.write_bytes(b"")


DAMAGES = [without_done, truncated, overwritten, without_chunks, empty_files]


def windows_after_start(config: Config, run_dir: Path) -> tuple[int, list[str]]:
    server = ReplayServer(config, run_dir)
    report = server.report()
    items = replay_state(reverb.Client(report.address), WindowLayout.from_config(config)).items
    server.stop()
    return items // WindowLayout.from_config(config).items, report.warnings


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_one_is_moved_aside_and_the_older_one_used(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    config = small_config()
    store = checkpointed(config, tmp_path, (1, 2, 3))
    newest = store.newest()
    assert newest is not None
    damage(newest.directory / "replay")
    windows, warnings = windows_after_start(config, tmp_path)
    assert windows == 2, "those of the older checkpoint"
    (warning,) = warnings
    assert str(newest.directory) in warning and "replay.unusable-1" in warning
    assert not (newest.directory / "replay").exists() and (newest.directory / "replay.unusable-1").is_dir()
    assert windows_after_start(config, tmp_path) == (2, []), "nobody tries the damaged one again"
    assert store.newest() == newest, "the networks of the newest checkpoint stay in use"


def test_with_none_left_replay_starts_empty(tmp_path: Path) -> None:
    config = small_config()
    checkpointed(config, tmp_path, (2, 4))
    for checkpoint in CheckpointStore(tmp_path / "checkpoints").with_replay():
        truncated(checkpoint.directory / "replay")
    windows, warnings = windows_after_start(config, tmp_path)
    assert windows == 0
    assert len(warnings) == 3 and "starts empty" in warnings[-1]


@pytest.mark.parametrize(
    ("section", "key", "value", "named"),
    [
        ("replay", "capacity", 800, ("replay.capacity (in windows) is 100", "with 50")),
        ("replay", "min_items", 80, ("replay.min_items (in windows) is 10", "with 1")),
        ("replay", "samples_per_item", 7.0, ("replay.samples_per_item is 7.0", "with 1000.0")),
        ("environment", "observation_history", 2, ("the shape of rows is (11, 53)", "with (11, 29)")),
        ("agent", "n_step", 5, ("the shape of rows is (13, 29)", "with (11, 29)")),
    ],
)
def test_another_size_limiter_or_shape_is_refused_with_both_values(
    tmp_path: Path, section: str, key: str, value: object, named: tuple[str, str]
) -> None:
    checkpointed(small_config(), tmp_path, (2,))
    with pytest.raises(ConfigError) as caught:
        ReplayServer(small_config(**{section: {key: value}}), tmp_path)
    message = str(caught.value)
    assert all(part in message for part in named), message
    assert "--fresh" in message and "step-000000002" in message and message.splitlines() == [message]
    assert windows_after_start(small_config(), tmp_path) == (2, []), "nothing was moved or lost"


def test_fresh_moves_the_old_run_aside(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    run = RunDirectory(run_dir, fresh=False)
    run.open(small_config())
    run._lock.close()
    checkpointed(small_config(), run_dir, (2,))
    other = small_config(replay={"capacity": 800})
    with pytest.raises(ConfigError, match=r"replay\.capacity is 800, but .* was made with 400; --fresh"):
        RunDirectory(run_dir, fresh=False).open(other)
    RunDirectory(run_dir, fresh=True).open(other)
    assert windows_after_start(other, run_dir) == (0, [])
    assert (tmp_path / "run.old-1" / "checkpoints" / "step-000000002").is_dir()


@pytest.mark.parametrize("damage", ["counters", "no counters", "learner"])
def test_a_checkpoint_that_was_damaged_as_a_whole_is_moved_aside(tmp_path: Path, damage: str) -> None:
    config, run_dir = small_config(), tmp_path / "run"
    run = RunDirectory(run_dir, fresh=False)
    run.open(config)
    run._lock.close()
    store = checkpointed(config, run_dir, (1, 2))
    newest = store.newest()
    assert newest is not None
    if damage == "learner":
        Path(f"{newest.learner_prefix}.index").write_bytes(b"")
    else:
        (newest.directory / "progress.json").write_text("{" if damage == "counters" else "")
    again = RunDirectory(run_dir, fresh=False)
    again.open(config)
    assert [path.name for path in again.set_aside] == ["step-000000002.unusable-1"]
    assert store.newest() == Checkpoint(run_dir / "checkpoints" / "step-000000001")
    assert again.progress() == {"train_steps": 1}
