"""The copy of a track in the run directory, and its way to a node that does not see the directory."""

from robotini_ray.run.track_copy import keep_track, track_files, write_files
from robotini_ray.shipped.files import TRACKS
from robotini_ray.track.track import load_track


def test_a_copy_is_made_once_and_carried_to_where_it_is_missing(tmp_path):
    mine = tmp_path / "mine.json"
    mine.write_bytes((TRACKS / "oval.json").read_bytes())
    copy = keep_track(tmp_path / "run", load_track(str(mine)))
    assert copy == tmp_path / "run" / "track" / "mine.json"
    written = copy.stat().st_mtime_ns
    assert keep_track(tmp_path / "run", load_track(str(copy))) == copy
    assert copy.stat().st_mtime_ns == written
    files = track_files(tmp_path / "run")
    assert list(files) == [copy]
    copy.unlink()
    copy.parent.rmdir()
    write_files(files)
    assert copy.read_bytes() == mine.read_bytes()


def test_an_older_copy_is_replaced(tmp_path):
    copy = tmp_path / "run" / "track" / "mine.json"
    write_files({copy: b"old"})
    write_files({copy: b"new"})
    assert copy.read_bytes() == b"new"
    assert track_files(tmp_path / "run") == {copy: b"new"}


def test_a_run_on_a_shipped_track_carries_nothing(tmp_path):
    assert track_files(tmp_path) == {}
