import os
import stat
import threading

import pytest

from robotini_ray.machine.whole_files import append_whole, new_directory, replaced, sync_tree, write_whole
from tests.full_disk import file_size_limit, fill, mounted


def names(folder):
    return sorted(path.name for path in folder.iterdir())


class TestWriteWhole:
    def test_it_makes_and_replaces_a_file_with_nothing_beside_it(self, tmp_path):
        path = tmp_path / "a.json"
        for content, expected in (("ä", "ä".encode()), (b"\x00", b"\x00")):
            write_whole(path, content)
            assert path.read_bytes() == expected
        assert names(tmp_path) == ["a.json"]

    def test_on_a_full_disk_the_old_content_stays_and_the_error_names_the_file(self, tmp_path):
        with mounted(tmp_path / "disk", "size=64k"):
            path = tmp_path / "disk" / "a"
            write_whole(path, "old")
            fill(tmp_path / "disk")
            with pytest.raises(OSError, match="No space left on device") as caught:
                write_whole(path, "new")
            assert caught.value.filename == str(path)
            assert path.read_text() == "old" and names(tmp_path / "disk") == ["a", "filler"]

    def test_without_a_mount_too(self, tmp_path):
        path = tmp_path / "a"
        write_whole(path, "old")
        with file_size_limit(1000), pytest.raises(OSError, match=str(path)):
            write_whole(path, "x" * 2000)
        assert path.read_text() == "old" and names(tmp_path) == ["a"]

    def test_the_content_is_on_the_disk_before_it_gets_its_name(self, tmp_path, monkeypatch):
        done = []
        fsync, replace = os.fsync, os.replace
        monkeypatch.setattr(os, "fsync", lambda file: done.append(os.pread(file, 9, 0)) or fsync(file))
        monkeypatch.setattr(os, "replace", lambda *paths: done.append("renamed") or replace(*paths))
        write_whole(tmp_path / "a", "content")
        assert done == [b"content", "renamed"]

    def test_permissions(self, tmp_path):
        path = tmp_path / "a"
        path.touch()
        for before, asked, after in ((0o640, None, 0o640), (0o666, None, 0o666), (0o644, 0o600, 0o600)):
            path.chmod(before)
            write_whole(path, "", asked)
            assert stat.S_IMODE(path.stat().st_mode) == after
        (tmp_path / "usual").touch()
        write_whole(tmp_path / "new", "")
        assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode

    def test_a_link_stays_and_its_file_is_replaced(self, tmp_path):
        (tmp_path / "file").write_text("old")
        (tmp_path / "link").symlink_to("file")
        write_whole(tmp_path / "link", "new")
        assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_text() == "new"

    def test_what_is_no_file_is_written_to_and_stays(self, tmp_path):
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        found = []
        reader = threading.Thread(target=lambda: found.append(pipe.read_text()))
        reader.start()
        write_whole(pipe, "through")
        reader.join()
        assert found == ["through"] and pipe.is_fifo()

    def test_a_directory_is_not_replaced(self, tmp_path):
        (tmp_path / "a").mkdir()
        with pytest.raises(IsADirectoryError):
            write_whole(tmp_path / "a", "")
        assert names(tmp_path) == ["a"]

    def test_what_a_killed_program_left_is_no_obstacle(self, tmp_path):
        (tmp_path / ".a.new.txt").symlink_to("elsewhere")
        write_whole(tmp_path / "a.txt", "new")
        assert names(tmp_path) == ["a.txt"]


def test_another_writer_keeps_the_suffix_and_its_failure_leaves_the_old_file(tmp_path):
    path = tmp_path / "film.webm"
    path.write_text("old")
    with pytest.raises(RuntimeError), replaced(path) as fresh:
        assert fresh.suffix == ".webm"
        fresh.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and names(tmp_path) == ["film.webm"]


class TestAppendWhole:
    def test_a_line_that_does_not_fit_leaves_no_part_of_itself(self, tmp_path):
        path = tmp_path / "lines"
        append_whole(path, "one")
        with file_size_limit(10), pytest.raises(OSError, match=str(path)):
            append_whole(path, "x" * 20)
        append_whole(path, "two")
        assert path.read_text() == "one\ntwo\n"


class TestNewDirectory:
    def test_it_appears_when_it_is_complete(self, tmp_path):
        path = tmp_path / "deep" / "a"
        with new_directory(path) as fresh:
            (fresh / "sub").mkdir()
            (fresh / "sub" / "file").write_text("content")
            assert not path.exists()
        assert (path / "sub" / "file").read_text() == "content" and names(path.parent) == ["a"]

    def test_a_failure_leaves_nothing(self, tmp_path):
        (tmp_path / ".a.new").mkdir()
        with pytest.raises(OSError), new_directory(tmp_path / "a") as fresh, file_size_limit(10):
            (fresh / "file").write_text("x" * 20)
        assert names(tmp_path) == []

    def test_one_that_exists_is_refused(self, tmp_path):
        with pytest.raises(FileExistsError), new_directory(tmp_path):
            raise AssertionError("not reached")


def test_all_of_a_tree_is_flushed_and_links_are_not_followed(tmp_path, monkeypatch):
    (tmp_path / "tree" / "sub").mkdir(parents=True)
    (tmp_path / "tree" / "sub" / "file").touch()
    (tmp_path / "tree" / "link").symlink_to("/nowhere")
    flushed = set()
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: flushed.add(os.readlink(f"/proc/self/fd/{file}")) or fsync(file))
    sync_tree(tmp_path / "tree")
    tree = tmp_path / "tree"
    assert flushed == {str(tree), str(tree / "sub"), str(tree / "sub" / "file")}
