"""What the page is told of a run's files, and that a file that is missing or half written ends nothing."""

from __future__ import annotations

import json
import os
import struct

import pytest

from robotini_ray.monitor.run_files import POINTS_SHOWN, RunFiles
from robotini_ray.track.track import load_track


def add_evaluations(run_dir, count):
    template = json.loads((run_dir / "evaluations.jsonl").read_text())
    lines = [json.dumps({**template, "train_step": 100 + 10 * index}) + "\n" for index in range(count)]
    (run_dir / "evaluations.jsonl").write_text("".join(lines))


def test_all_that_a_run_has_left(run_dir):
    files = RunFiles(run_dir)
    assert files.read_on() and not files.read_on()
    message = files.message()
    assert message["name"] == "some-run" and message["exists"] and not message["problem"]
    assert (message["track"], message["cars"], message["replay_capacity"]) == ("oval", 6, 200_000)
    assert message["summary"]["train_steps"] == 100
    (evaluation,) = message["evaluations"]
    assert (evaluation["train_step"], evaluation["laps"], evaluation["mean_lap_s"]) == (100, 2, 6.5)
    json.dumps(message, allow_nan=False)


def test_the_track_is_that_of_the_config(run_dir):
    files = RunFiles(run_dir)
    assert files.track_message() is None
    files.read_on()
    track, told = load_track("oval"), files.track_message()
    assert told["name"] == "oval.json" and told["length_m"] == round(track.length_m, 2)
    assert len(told["points"]) == len(told["headings_rad"]) == len(track.points)
    assert told["points"][3] == [round(value, 4) for value in track.points[3]]
    assert told["heights_m"] == []


def test_a_directory_without_a_run_is_waited_for(tmp_path, run_dir):
    files = RunFiles(tmp_path / "later")
    assert not files.read_on()
    assert not files.message()["exists"] and files.message()["summary"] is None and files.redis_url() is None
    run_dir.rename(tmp_path / "later")
    assert files.read_on()
    assert files.message()["exists"] and files.message()["evaluations"]


def test_new_lines_are_seen_and_half_ones_wait(run_dir):
    files = RunFiles(run_dir)
    files.read_on()
    add_evaluations(run_dir, 3)
    with (run_dir / "evaluations.jsonl").open("a") as lines:
        lines.write('{"train_step": 999, "lap')
    assert files.read_on()
    assert [each["train_step"] for each in files.message()["evaluations"]] == [100, 110, 120]


def test_a_long_run_is_thinned_to_what_a_chart_can_show(run_dir):
    add_evaluations(run_dir, 5 * POINTS_SHOWN)
    files = RunFiles(run_dir)
    files.read_on()
    steps = [each["train_step"] for each in files.message()["evaluations"]]
    assert POINTS_SHOWN / 2 < len(steps) <= POINTS_SHOWN
    assert steps == sorted(steps) and steps[-1] == 100 + 10 * (5 * POINTS_SHOWN - 1)


def test_a_config_that_cannot_be_used_is_named(run_dir):
    (run_dir / "config.yaml").write_text("simulator:\n  trak: oval\n")
    files = RunFiles(run_dir)
    files.read_on()
    assert not files.read_on()
    assert "unknown key simulator.trak" in files.message()["problem"]
    assert files.message()["summary"]["train_steps"] == 100


def test_a_line_that_a_killed_training_left_unfinished_is_left_out_and_named(run_dir):
    whole = (run_dir / "evaluations.jsonl").read_text()
    (run_dir / "evaluations.jsonl").write_text(whole + '{"train_step": 7, "la' + whole + whole)
    files = RunFiles(run_dir)
    files.read_on()
    assert len(files.message()["evaluations"]) == 2
    assert "line 2 of" in files.message()["problem"]


def test_the_program_says_where_its_redis_is(run_dir):
    files = RunFiles(run_dir)
    (run_dir / "program.json").write_text(json.dumps({"redis_url": "unix:///run/x.sock?db=0"}))
    assert files.redis_url() == "unix:///run/x.sock?db=0"
    os.remove(run_dir / "program.json")
    assert files.redis_url() is None


DAMAGED = [b"", b'{"train_steps": 1', b"[1]", b"null", b"\xff\xfe", b'{"a": "\\ud800"}', b"[" * 100_000, b"1" * 10_000]


@pytest.mark.parametrize("content", DAMAGED, ids=lambda content: repr(content[:20]))
def test_a_damaged_summary_is_named_and_the_last_one_stays(run_dir, content):
    files = RunFiles(run_dir)
    files.read_on()
    whole = (run_dir / "summary.json").read_bytes()
    (run_dir / "summary.json").write_bytes(content)
    assert files.read_on()
    assert f"{run_dir}/summary.json is " in files.message()["problem"] and "damaged" in files.message()["problem"]
    assert files.message()["summary"]["train_steps"] == 100 and files.message()["evaluations"]
    (run_dir / "summary.json").write_bytes(whole + b" ")
    assert files.read_on() and not files.message()["problem"]


@pytest.mark.parametrize("content", DAMAGED, ids=lambda content: repr(content[:20]))
def test_a_damaged_program_file_is_named_until_it_is_replaced(run_dir, content):
    files = RunFiles(run_dir)
    (run_dir / "program.json").write_bytes(content)
    assert files.redis_url() is None
    assert f"{run_dir}/program.json is " in files.message()["problem"]
    (run_dir / "program.json").write_text(json.dumps({"redis_url": "unix:///run/x.sock?db=0"}))
    assert files.redis_url() == "unix:///run/x.sock?db=0" and not files.message()["problem"]


@pytest.mark.parametrize(
    "line",
    [
        b"null", b"5", b'"text"', b"[]", b"{", b"\xe4", b"[" * 100_000, b'{"laps": 5}', b'{"laps": ["fast"]}',
        b'{"laps": [NaN]}', b'{"best_lap_s": "fast"}', b'{"best_lap_s": {}}', b'{"train_step": ' + b"9" * 400 + b"}",
    ],
    ids=lambda line: repr(line[:30]),
)  # fmt: skip
def test_a_line_that_is_no_evaluation_is_left_out_and_named(run_dir, line):
    whole = (run_dir / "evaluations.jsonl").read_bytes()
    (run_dir / "evaluations.jsonl").write_bytes(whole + line + b"\n" + whole)
    files = RunFiles(run_dir)
    files.read_on()
    assert len(files.message()["evaluations"]) == 2
    assert "line 2 of" in files.message()["problem"]


def test_curves_that_are_damaged_are_named(run_dir):
    folder = run_dir / "tensorboard" / "training"
    folder.mkdir(parents=True)
    record = b"\xff" * 20
    (folder / "events.out.tfevents.1").write_bytes(struct.pack("<QI", len(record), 0) + record + bytes(4))
    files = RunFiles(run_dir)
    files.read_on()
    assert "events.out.tfevents.1 is damaged" in files.message()["problem"]
