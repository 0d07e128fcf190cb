"""Sockets lie where their paths are short enough."""

import socket

import pytest

from robotini_ray.machine.socket_folder import MAX_PATH_BYTES, SocketFolderError, socket_folder

BELOW = "deep/socket"


@pytest.fixture
def long(tmp_path):
    """A folder in which no socket fits: a byte too long."""
    folder = tmp_path / ("x" * (MAX_PATH_BYTES - len(f"{tmp_path}//{BELOW}") + 1))
    folder.mkdir()
    return folder


def test_the_limit_is_the_kernels(long):
    with socket.socket(socket.AF_UNIX) as sock, pytest.raises(OSError, match="too long"):
        sock.bind(str(long / BELOW))
    (long.parent / long.name[1:] / "deep").mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(long.parent / long.name[1:] / BELOW))


def test_a_folder_that_will_do_is_taken_even_if_it_is_still_to_be_made(long):
    for wanted in (long.parent, long.parent / long.name[1:]):
        assert socket_folder(wanted, BELOW, "TMPDIR") == (wanted, None)


def test_another_is_taken_for_one_that_is_too_long_and_that_is_said(long, tmp_path):
    folder = socket_folder(long, BELOW, "TMPDIR", [long, tmp_path / "none", tmp_path])
    assert folder == (tmp_path, f"{long} is too long a path for unix sockets in it; {tmp_path} is used instead")


def test_another_is_taken_for_one_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    folder = socket_folder(tmp_path / "file" / "folder", BELOW, "TMPDIR", [tmp_path])
    assert folder.path == tmp_path and "cannot be written to" in folder.warning


def test_without_any_the_message_has_the_longest_path(long):
    with pytest.raises(SocketFolderError, match=rf"{long} is too long .*; set TMPDIR to .* at most 95 bytes"):
        socket_folder(long, BELOW, "TMPDIR", [long])
