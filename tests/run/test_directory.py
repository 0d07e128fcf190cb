import dataclasses
import errno
import fcntl
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from robotini_ray.config import Config, ConfigError, config_from_dict, load_config, save_config
from robotini_ray.run.checkpoints import CheckpointStore
from robotini_ray.run.directory import FIXED_SECTIONS, RunDirectory
from robotini_ray.shipped.files import TRACKS
from robotini_ray.track.track import TrackError, load_track
from tests.full_disk import file_size_limit, fill, mounted


def opened(path, tree=None, fresh=False):
    directory = RunDirectory(path, fresh)
    directory.open(config_from_dict(tree or {}))
    return directory


def closed(path, tree=None, fresh=False):
    """A run that was made and whose process has ended."""
    directory = opened(path, tree, fresh)
    directory._lock.close()
    return directory


def refusal(path, tree=None, fresh=False):
    with pytest.raises(ConfigError) as caught:
        opened(path, tree, fresh)
    message = str(caught.value)
    assert message.splitlines() == [message] and str(path) in message
    return message


CHANGES = [
    {"environment": {"image_width": 64}},
    {"environment": {"reward": "original"}},
    {"environment": {"throttle_high": 0.5}},
    {"agent": {"algorithm": "rdpg"}},
    {"agent": {"actor_layers": [64, 64]}},
    {"agent": {"horizon_s": 3.0}},
    {"replay": {"capacity": 5000}},
    {"replay": {"samples_per_item": 2.0}},
]


def test_a_new_directory_has_everything_and_the_resolved_config(tmp_path):
    path = tmp_path / "runs" / "first"
    directory = opened(path, {"run": {"seed": 3}})
    assert not directory.resumed
    assert {"config.yaml", "checkpoints", "policies", "tensorboard", "logs"} <= {entry.name for entry in path.iterdir()}
    assert load_config(path / "config.yaml", {}) == config_from_dict({"run": {"seed": 3}})
    assert yaml.safe_load((path / "config.yaml").read_text()) == config_from_dict({"run": {"seed": 3}}).to_dict()
    assert directory.progress() is None


def test_its_path_is_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert RunDirectory(Path("runs/a"), False).path == tmp_path.resolve() / "runs" / "a"


class TestResume:
    @pytest.mark.parametrize("change", CHANGES, ids=str)
    def test_it_is_refused_with_both_values_when_weights_or_replay_would_not_fit(self, tmp_path, change):
        closed(tmp_path)
        before = (tmp_path / "config.yaml").read_text()
        message = refusal(tmp_path, change)
        ((section, values),) = change.items()
        ((key, _),) = values.items()
        new, old = (getattr(getattr(config, section), key) for config in (config_from_dict(change), Config()))
        assert message.startswith(f"{section}.{key} is {new!r}, but ") and f"was made with {old!r}" in message
        assert "--fresh" in message and "--run-dir" in message
        assert (tmp_path / "config.yaml").read_text() == before

    def test_every_key_of_these_sections_is_looked_at(self, tmp_path):
        assert FIXED_SECTIONS == ("environment", "agent", "replay")
        assert {section for change in CHANGES for section in change} == set(FIXED_SECTIONS)

    def test_other_sections_may_change_and_are_written_down(self, tmp_path):
        closed(tmp_path)
        change = {
            "run": {"seed": 5, "minutes": 3.0, "train_steps": 99},
            "simulator": {"track": "oval"},
            "simulators": [{"host": "10.0.0.2", "cars": 2}],
            "randomisation": {"grip": [0.8, 1.2]},
            "collection": {"cars": 2, "noise_high": 0.9},
            "learner": {"checkpoint_interval_s": 30.0},
            "evaluation": {"laps": 1},
        }
        assert set(change) | set(FIXED_SECTIONS) == {field.name for field in dataclasses.fields(Config)}
        directory = opened(tmp_path, change)
        assert directory.resumed
        assert load_config(tmp_path / "config.yaml", {}) == config_from_dict(change)

    def test_counters_are_those_of_the_newest_checkpoint(self, tmp_path):
        directory = closed(tmp_path)
        store = CheckpointStore(tmp_path / "checkpoints")
        replay = store.replay_dir / "t"
        replay.mkdir()
        for step in (10, 20):
            store.write(step, replay, {"train_steps": step}, lambda prefix: Path(prefix + ".index").touch(), 3)
        assert directory.progress() == {"train_steps": 20}

    def test_a_config_that_is_none_is_named(self, tmp_path):
        closed(tmp_path)
        (tmp_path / "config.yaml").write_text("agent: {no_such_key: 1}\nevaluation: {}\n")
        with pytest.raises(ConfigError, match=r"agent\.no_such_key"):
            opened(tmp_path)

    @pytest.mark.parametrize("content", ["", "run:\n  seed: 0\n"], ids=["empty", "cut-off"])
    def test_a_config_that_was_lost_is_named_and_the_run_goes_on_without_the_file(self, tmp_path, content):
        closed(tmp_path, {"agent": {"algorithm": "rdpg"}})
        (tmp_path / "config.yaml").write_text(content)
        message = refusal(tmp_path, {"agent": {"algorithm": "rdpg"}})
        assert "agent.algorithm" not in message and "it has no section evaluation; remove it and start with" in message
        (tmp_path / "config.yaml").unlink()
        opened(tmp_path, {"agent": {"algorithm": "rdpg"}})


class TestFullDisk:
    def test_a_first_start_is_refused_in_one_line_and_leaves_no_config(self, tmp_path):
        with mounted(tmp_path / "disk", "size=64k"):
            path = tmp_path / "disk" / "run"
            path.mkdir()
            fill(tmp_path / "disk")
            expected = f"{path} cannot be a run directory: No space left on device; give another --run-dir"
            assert refusal(path) == expected
            assert not list(path.glob("*config*"))
            (tmp_path / "disk" / "filler").unlink()
            closed(path)
            fill(tmp_path / "disk")
            before = (path / "config.yaml").read_bytes()
            assert refusal(path, {"run": {"seed": 7}}) == expected
            assert (path / "config.yaml").read_bytes() == before
            assert opened(path).resumed, "with an equal config nothing need be written"

    def test_an_evaluation_that_cannot_be_written_leaves_the_lines_whole(self, tmp_path):
        run = RunDirectory(tmp_path, fresh=False)
        run.add_evaluation({"train_step": 1})
        with file_size_limit(100), pytest.raises(OSError, match=r"evaluations\.jsonl"):
            run.add_evaluation({"train_step": 2, "laps": [7.5] * 50})
        run.add_evaluation({"train_step": 3})
        assert run.evaluations() == [{"train_step": 1}, {"train_step": 3}]


def shipped_file(path, name):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((TRACKS / f"{name}.json").read_bytes())
    return {"simulator": {"track": str(path)}}


class TestTrack:
    def test_a_relative_file_is_copied_and_named_by_its_absolute_path(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        shipped_file(Path("mine.json"), "oval")
        directory = RunDirectory(Path("run"), fresh=False)
        config = directory.open(config_from_dict({"simulator": {"track": "mine.json"}}))
        directory._lock.close()
        copy = tmp_path.resolve() / "run" / "track" / "mine.json"
        assert config.simulator.track == str(copy)
        assert load_config(tmp_path / "run" / "config.yaml", {}) == config
        Path("mine.json").unlink()
        monkeypatch.chdir("/")
        assert load_track(config.simulator.track).has_line_of(load_track("oval"))
        assert opened(tmp_path / "run", config.to_dict()).resumed

    def test_a_shipped_track_keeps_its_name(self, tmp_path):
        directory = RunDirectory(tmp_path / "run", fresh=False)
        assert directory.open(config_from_dict({"simulator": {"track": "oval"}})).simulator.track == "oval"
        assert not (tmp_path / "run" / "track").exists()

    def test_another_line_under_the_same_name_is_refused_with_both_files(self, tmp_path):
        run, first, second = tmp_path / "run", tmp_path / "a" / "mine.json", tmp_path / "b" / "mine.json"
        closed(run, shipped_file(first, "oval"))
        message = refusal(run, shipped_file(second, "long"))
        assert message == (
            f"simulator.track is {second}, which has another line than {run}/track/mine.json, "
            f"the track of that name of the run in {run}: give it another name, or --fresh, which moves that run aside"
        )
        assert (run / "track" / "mine.json").read_bytes() == first.read_bytes()

    def test_the_same_line_and_another_name_are_taken(self, tmp_path):
        run = tmp_path / "run"
        closed(run, shipped_file(tmp_path / "a" / "mine.json", "oval"))
        closed(run, shipped_file(tmp_path / "b" / "mine.json", "oval"))
        closed(run, shipped_file(tmp_path / "b" / "other.json", "long"))

    def test_a_file_named_as_the_shipped_track_of_the_run_is_compared_too(self, tmp_path):
        closed(tmp_path / "run", {"simulator": {"track": "oval"}})
        assert "another line" in refusal(tmp_path / "run", shipped_file(tmp_path / "oval.json", "long"))

    def test_a_run_without_a_copy_whose_file_is_gone_is_resumed(self, tmp_path):
        run = tmp_path / "run"
        closed(run)
        save_config(config_from_dict({"simulator": {"track": "gone.json"}}), run / "config.yaml")
        assert opened(run, shipped_file(tmp_path / "gone.json", "oval")).resumed

    def test_a_moved_run_is_compared_with_its_copy(self, tmp_path):
        closed(tmp_path / "run", shipped_file(tmp_path / "mine.json", "oval"))
        moved = (tmp_path / "run").rename(tmp_path / "moved")
        assert "another line" in refusal(moved, shipped_file(tmp_path / "mine.json", "long"))

    def test_a_track_that_cannot_be_loaded_leaves_no_directory(self, tmp_path):
        with pytest.raises(TrackError, match="no-such"):
            opened(tmp_path / "run", {"simulator": {"track": "no-such"}})
        assert not (tmp_path / "run").exists()


class TestFresh:
    def test_earlier_runs_are_moved_aside_one_after_the_other(self, tmp_path):
        path = tmp_path / "run"
        closed(path, {"run": {"seed": 0}})
        for seed in (1, 2):
            directory = closed(path, {"run": {"seed": seed}, "agent": {"algorithm": "ddpg"}}, fresh=True)
            assert not directory.resumed
        for name, seed in (("run", 2), ("run.old-1", 0), ("run.old-2", 1)):
            assert load_config(tmp_path / name / "config.yaml", {}).run.seed == seed
        assert sorted(entry.name for entry in tmp_path.iterdir()) == ["run", "run.old-1", "run.old-2"]

    def test_with_no_earlier_run_nothing_is_moved(self, tmp_path):
        opened(tmp_path / "run", fresh=True)
        assert [entry.name for entry in tmp_path.iterdir()] == ["run"]

    def test_a_run_that_is_going_on_is_not_moved_away_from_under_it(self, tmp_path):
        path = tmp_path / "run"
        directory = opened(path)
        assert refusal(path, fresh=True).endswith("is in use by another training; give another --run-dir")
        assert [entry.name for entry in tmp_path.iterdir()] == ["run"]
        directory.write_summary({})


HOLDER = """
import sys
from pathlib import Path
from robotini_ray.config import Config
from robotini_ray.run.directory import RunDirectory

directory = RunDirectory(Path(sys.argv[1]), False)
directory.open(Config())
print("open", flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_locked_out_until_the_first_has_ended_however_it_ends(tmp_path):
    package = Path(__file__).parents[2]
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(package)},
    )
    with holder:
        try:
            assert holder.stdout.readline() == b"open\n"
            for fresh in (False, True):
                assert refusal(tmp_path, fresh=fresh) == f"{tmp_path} is in use by another training; give another --run-dir"
        finally:
            holder.kill()
    opened(tmp_path)


@pytest.mark.parametrize("fresh", [False, True])
def test_a_place_where_no_directory_can_be_is_named(tmp_path, fresh):
    (tmp_path / "file").touch()
    message = refusal(tmp_path / "file" / "run")
    assert message == f"{tmp_path}/file/run cannot be a run directory: Not a directory; give another --run-dir"
    refusal(tmp_path / "file", fresh=fresh)


class TestSummary:
    def test_it_is_replaced_as_a_whole(self, tmp_path):
        directory = opened(tmp_path)
        assert directory.summary() is None
        directory.write_summary({"a": 1, "b": None})
        directory.write_summary({"a": 2})
        assert directory.summary() == {"a": 2}
        assert json.loads((tmp_path / "summary.json").read_text()) == {"a": 2}
        assert [entry.name for entry in tmp_path.glob("summary*")] == ["summary.json"]


class TestPlainFileSystems:
    """File systems that lack something: the run goes on without it, and says so."""

    def test_a_mounted_directory_is_emptied_into_one_inside(self, tmp_path):
        path = tmp_path / "run"
        with mounted(path, "size=1m"):
            for number in (1, 2):
                closed(path, {"run": {"seed": number}})
                (note,) = closed(path, fresh=True).notes
                reason = f"{path} itself cannot be moved (Device or resource busy)"
                assert note == f"{reason}: the earlier run is now in {path}/old-{number}"
            for name, seed in (("", 0), ("old-1", 1), ("old-2", 2)):
                assert load_config(path / name / "config.yaml", {}).run.seed == seed
            assert CheckpointStore(path / "checkpoints").newest() is None
            assert not list((path / "old-2").glob("old-*"))

    def test_one_that_cannot_be_written_at_all_is_named(self, tmp_path):
        with mounted(tmp_path / "run", "ro"):
            expected = f"{tmp_path / 'run'} cannot be a run directory: Read-only file system; give another --run-dir"
            assert refusal(tmp_path / "run", fresh=True) == expected

    @pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
    @pytest.mark.parametrize("fresh", [False, True])
    def test_without_locks_it_is_said_once(self, tmp_path, monkeypatch, number, fresh):
        closed(tmp_path / "run")

        def flock(file, operation):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(fcntl, "flock", flock)
        expected = f"{tmp_path / 'run'} cannot be locked ({os.strerror(number)}): start no second training in it"
        assert closed(tmp_path / "run", fresh=fresh).notes == [expected]

    def test_without_hard_links_it_is_said(self, tmp_path, without_hard_links):
        (note,) = closed(tmp_path).notes
        assert note.startswith(f"{tmp_path} has no hard links: each checkpoint holds a copy of the replay")

    def test_a_usual_one_has_no_note_and_nothing_is_left_of_the_trial(self, tmp_path):
        assert closed(tmp_path).notes == []
        assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["replay"]


class TestEvaluations:
    def test_lines_are_added_and_read_back_in_order(self, tmp_path):
        run = RunDirectory(tmp_path, fresh=False)
        assert run.evaluations() == []
        for step in (5, 6):
            run.add_evaluation({"train_step": step, "laps": [7.5]})
        assert RunDirectory(tmp_path, fresh=False).evaluations() == [{"train_step": step, "laps": [7.5]} for step in (5, 6)]


def test_numbers_that_are_not_finite_end_nothing(tmp_path):
    run = opened(tmp_path / "run")
    run.write_summary({"average_return": math.inf, "crashes": {"collect": math.nan}, "laps": (1.5, -math.inf)})
    run.add_evaluation({"average_return": math.nan, "laps": [4.5]})
    assert run.summary() == {"average_return": None, "crashes": {"collect": None}, "laps": [1.5, None]}
    assert run.evaluations() == [{"average_return": None, "laps": [4.5]}]
