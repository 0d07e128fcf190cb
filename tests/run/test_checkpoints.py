import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from robotini_ray.run import checkpoints
from robotini_ray.run.checkpoints import CheckpointStore


class Reverb:
    """Stands for the replay server: writes checkpoints where it is told, and deletes its own older ones."""

    def __init__(self, directory):
        self._directory = directory
        self._written = 0

    def checkpoint(self):
        for old in self._directory.iterdir():
            shutil.rmtree(old)
        self._written += 1
        fresh = self._directory / f"2026-01-01T00:00:{self._written:02d}"
        (fresh / "chunks").mkdir(parents=True)
        (fresh / "tables.tfrecord").write_text(f"tables {self._written}")
        (fresh / "chunks" / "chunks.tfrecord").write_text(f"chunks {self._written}")
        (fresh / "DONE").touch()
        return fresh


class Run:
    """A store, the replay server beside it, and a learner that can be told to fail."""

    def __init__(self, directory):
        self.directory = directory
        self.store = CheckpointStore(directory)
        self.reverb = Reverb(self.store.replay_dir)

    def write(self, step, keep=3, write_learner=None, **progress):
        self.store.write(
            step, self.reverb.checkpoint(), {"train_steps": step, **progress}, write_learner or learner(step), keep
        )

    def names(self):
        return sorted(path.name for path in self.directory.iterdir() if path.name != "replay")

    def newest_step(self):
        """Of the newest checkpoint, which must be whole; None if there is none."""
        newest = self.store.newest()
        if newest is None:
            return None
        step = newest.progress["train_steps"]
        assert Path(newest.learner_prefix + ".index").read_text() == f"learner {step}"
        replay = contents(newest.directory / "replay")
        assert len(replay) == 3
        return step


def learner(step):
    return lambda prefix: Path(prefix + ".index").write_text(f"learner {step}")


def contents(directory):
    return {str(path.relative_to(directory)): path.read_text() for path in directory.rglob("*") if path.is_file()}


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "checkpoints")


class Killed(BaseException):
    """The process ends here: nothing catches it."""


def test_a_new_run_has_none(run):
    assert run.store.newest() is None
    assert run.store.replay_dir.is_dir()


def test_what_was_written_is_the_newest(run):
    run.write(12, env_steps=5, best_lap_s=None)
    newest = run.store.newest()
    assert newest.directory.name == "step-000000012"
    assert newest.progress == {"train_steps": 12, "env_steps": 5, "best_lap_s": None}
    assert Path(newest.learner_prefix + ".index").read_text() == "learner 12"
    assert contents(newest.directory / "replay") == {
        "2026-01-01T00:00:01/tables.tfrecord": "tables 1",
        "2026-01-01T00:00:01/chunks/chunks.tfrecord": "chunks 1",
        "2026-01-01T00:00:01/DONE": "",
    }


def test_another_process_finds_it(run):
    run.write(7)
    assert CheckpointStore(run.directory).newest() == run.store.newest()


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_exactly_as_many_are_kept_as_asked_for_the_newest_ones(run, keep):
    for step in (1, 20, 300, 4000, 50_000, 999_999_999):
        run.write(step, keep)
        assert run.newest_step() == step
        assert len(run.names()) <= keep
    steps = (1, 20, 300, 4000, 50_000, 999_999_999)[-keep:]
    assert run.names() == [f"step-{step:09d}" for step in steps]


def test_replay_outlives_the_servers_own_files(run):
    for step in (1, 2, 3):
        run.write(step)
    assert len(list(run.store.replay_dir.iterdir())) == 1
    for number, name in enumerate(run.names(), start=1):
        replay = contents(run.directory / name / "replay")
        assert replay[f"2026-01-01T00:00:{number:02d}/chunks/chunks.tfrecord"] == f"chunks {number}"


def test_replay_is_linked_not_copied(run):
    run.write(1)
    ours = run.store.newest().directory / "replay" / "2026-01-01T00:00:01" / "tables.tfrecord"
    theirs = run.store.replay_dir / "2026-01-01T00:00:01" / "tables.tfrecord"
    assert os.path.samefile(ours, theirs)


def test_without_hard_links_replay_is_copied(run, without_hard_links):
    for step in (1, 2):
        run.write(step)
        assert run.newest_step() == step
    newest = run.store.newest()
    before = contents(newest.directory)
    run.store.offer_replay(newest)
    run.reverb.checkpoint()
    assert contents(newest.directory) == before


def test_another_error_of_a_link_is_not_hidden(run, monkeypatch):
    def link(source, target, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(shutil.Error, match="No space left on device"):
        run.write(1)


def test_the_same_step_again_takes_the_place_of_the_first(run):
    run.write(1)
    run.write(5, env_steps=1)
    run.write(5, env_steps=2)
    assert run.names() == ["step-000000001", "step-000000005"]
    assert run.store.newest().progress["env_steps"] == 2
    assert "2026-01-01T00:00:03/DONE" in contents(run.store.newest().directory / "replay")


class TestTornWrites:
    def test_everything_is_on_the_disk_before_it_gets_its_name_and_that_before_older_ones_go(self, run, monkeypatch):
        run.write(1, keep=1)
        replay, done = run.reverb.checkpoint(), []
        fsync, replace, rmtree = os.fsync, os.replace, shutil.rmtree
        monkeypatch.setattr(os, "fsync", lambda file: done.append(os.readlink(f"/proc/self/fd/{file}")) or fsync(file))
        monkeypatch.setattr(os, "replace", lambda old, new: done.append(f"{old} -> {new}") or replace(old, new))
        monkeypatch.setattr(shutil, "rmtree", lambda path: done.append(f"rm {path}") or rmtree(path))
        run.store.write(2, replay, {"train_steps": 2}, learner(2), 1)
        unfinished, final = run.directory / "step-000000002.tmp", run.directory / "step-000000002"
        named = done.index(f"{unfinished} -> {final}")
        files = [path for path in final.rglob("*") if path.is_file()]
        assert len(files) == 6
        assert {str(unfinished / path.relative_to(final)) for path in files} | {str(unfinished)} <= set(done[:named])
        assert done[named + 1] == str(run.directory) and done[-1].startswith("rm ")

    def test_a_learner_that_fails_leaves_the_last_one_newest(self, run):
        def half(prefix):
            Path(prefix + ".index").write_text("half")
            raise OSError("disk full")

        run.write(1)
        with pytest.raises(OSError, match="disk full"):
            run.write(2, write_learner=half)
        assert run.newest_step() == 1
        run.write(2)
        assert run.newest_step() == 2
        assert run.names() == ["step-000000001", "step-000000002"]

    def test_counters_that_are_no_json_leave_the_last_one_newest(self, run):
        run.write(1)
        with pytest.raises(TypeError):
            run.write(2, bad=object())
        assert run.newest_step() == 1

    def test_what_was_left_of_another_step_is_neither_newest_nor_kept(self, run):
        run.write(1)
        (run.directory / "step-000000009.tmp" / "replay").mkdir(parents=True)
        (run.directory / "step-000000003.old").mkdir()
        assert run.newest_step() == 1
        run.write(4)
        assert run.names() == ["step-000000001", "step-000000004"]

    @pytest.mark.parametrize("steps", [(1, 2), (1, 2, 2), (1, 2, 3, 4)], ids=["new", "again", "over-keep"])
    def test_wherever_a_write_is_cut_off_the_newest_is_whole(self, tmp_path, monkeypatch, steps):
        """Ends the program before the first, second, third ... operation on the disk of the last write."""
        monkeypatch.setattr(os, "fsync", lambda file: None)  # many, and not what is tried here
        real = {"link": os.link, "replace": os.replace, "rmdir": os.rmdir, "unlink": os.unlink}
        for cut in range(100):
            run = Run(tmp_path / f"cut-{cut}")
            for step in steps[:-1]:
                run.write(step)
            replay, left = run.reverb.checkpoint(), iter(range(cut))

            def limited(operation, left=left):
                def call(*arguments, **options):
                    if next(left, None) is None:
                        raise Killed
                    return operation(*arguments, **options)

                return call

            with monkeypatch.context() as patch:
                for name, operation in real.items():
                    patch.setattr(os, name, limited(operation))
                try:
                    run.store.write(steps[-1], replay, {"train_steps": steps[-1]}, limited(learner(steps[-1])), 3)
                    finished = True
                except Killed:
                    finished = False
            again = Run(tmp_path / f"cut-{cut}")
            assert again.newest_step() in steps
            again.write(9)
            assert again.newest_step() == 9
            assert all("." not in name for name in again.names())
            if finished:
                return
        raise AssertionError("a write has more operations than expected")


class TestOfferReplay:
    def test_the_server_finds_that_of_the_checkpoint_and_no_other(self, run):
        run.write(1)
        run.write(2)
        first = checkpoints.Checkpoint(run.directory / "step-000000001")
        run.store.offer_replay(first)
        assert contents(run.store.replay_dir) == contents(first.directory / "replay")
        assert [path.name for path in run.store.replay_dir.iterdir()] == ["2026-01-01T00:00:01"]

    def test_a_new_run_starts_with_none(self, run):
        run.reverb.checkpoint()
        run.store.offer_replay(None)
        assert list(run.store.replay_dir.iterdir()) == []

    def test_the_checkpoint_outlives_the_server_that_read_it(self, run):
        run.write(1)
        newest = run.store.newest()
        run.store.offer_replay(newest)
        before = contents(newest.directory)
        run.reverb.checkpoint()
        assert contents(newest.directory) == before
        assert json.loads(before["progress.json"]) == newest.progress
