"""Folders of this user: none is named ``~``, and none is another user's."""

import os
import stat
import tempfile
from pathlib import Path

import pytest

from robotini_ray.machine import user_folders
from robotini_ray.machine.user_folders import UserFolderError, cache_folder, home_folder, private_temporary_folder


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def no_entry(*_):
    raise KeyError


def test_without_a_home_there_is_no_folder_in_it(monkeypatch):
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", no_entry)
    assert home_folder() is None
    assert cache_folder({}) is None
    assert cache_folder({"XDG_CACHE_HOME": "/var/cache/me"}) == Path("/var/cache/me")


def test_a_home_that_is_not_absolute_does_not_count(monkeypatch):
    monkeypatch.setenv("HOME", "here")
    assert home_folder() is None


def test_the_cache_is_below_the_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert cache_folder({}) == Path("/home/me/.cache")
    assert cache_folder({"XDG_CACHE_HOME": "relative"}) == Path("/home/me/.cache")


def test_the_temporary_folder_is_this_users_alone_and_stays(temporary):
    folder = private_temporary_folder()
    assert folder.parent == temporary and str(os.getuid()) in folder.name
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert private_temporary_folder() == folder


def test_a_folder_that_another_user_has_made_is_refused(temporary, monkeypatch):
    folder = private_temporary_folder()
    mine = os.getuid()
    monkeypatch.setattr(user_folders.os, "getuid", lambda: mine + 1)
    folder.rename(temporary / f"robotini_ray-{mine + 1}")
    with pytest.raises(UserFolderError, match="not a folder of this user alone; set TMPDIR"):
        private_temporary_folder()


@pytest.mark.parametrize("spoil", [lambda path: path.chmod(0o770), lambda path: path.chmod(0o707)])
def test_a_folder_that_others_can_write_to_is_refused(temporary, spoil):
    spoil(private_temporary_folder())
    with pytest.raises(UserFolderError, match="not a folder of this user alone"):
        private_temporary_folder()


def test_a_link_is_refused_even_to_a_folder_of_this_user(temporary):
    folder = private_temporary_folder()
    folder.rename(temporary / "elsewhere")
    folder.symlink_to(temporary / "elsewhere")
    with pytest.raises(UserFolderError, match="not a folder of this user alone"):
        private_temporary_folder()


def test_a_temporary_directory_that_cannot_be_written_to_is_one_line(temporary, monkeypatch):
    (temporary / "file").write_text("")
    monkeypatch.setattr(tempfile, "tempdir", str(temporary / "file"))
    with pytest.raises(UserFolderError, match=r"Not a directory.*; set TMPDIR"):
        private_temporary_folder()
