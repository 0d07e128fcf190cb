"""Writes files and directories whole: a reader finds the old content or the new one, never a part of it.

Everything is written beside its place, flushed to the disk, and renamed. So neither a full disk nor a power cut leaves half a
file, and a failed write leaves what was there before and nothing beside it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

NO_DIRECTORY_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)
"""Errors of ``fsync`` on file systems (some SMB and FUSE mounts) that can flush files but not directories."""

NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)
"""Errors of ``link`` for which a copy does instead."""

TRIAL_BYTES = 4096
"""Size of the file of ``try_to_write``: a block, because a full disk may still take an empty file."""


def write_whole(path: Path, content: str | bytes, mode: int | None = None) -> None:
    """Replaces a file, or makes it; see ``replaced``.

    Args:
        path: The file.
        content: The new content; text is written as UTF-8.
        mode: The permissions; None keeps those of the file, and gives a new file the usual ones.

    Raises:
        OSError: The file cannot be written; ``filename`` is ``path``, and the old content is still there.
    """
    with replaced(path, mode) as fresh:
        fresh.write_bytes(content.encode() if isinstance(content, str) else content)


def append_whole(path: Path, line: str) -> None:
    """Adds a line to a file, or makes the file; a line that cannot be written leaves no part of itself.

    Raises:
        OSError: The line cannot be written; ``filename`` is ``path``.
    """
    with open(path, "ab", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        left = memoryview(f"{line}\n".encode())
        try:
            while left:
                left = left[file.write(left) :]
        except OSError as error:
            file.truncate(end)
            error.filename = str(path)
            raise


@contextlib.contextmanager
def replaced(path: Path, mode: int | None = None) -> Iterator[Path]:
    """Yields an empty file beside ``path`` to write to; it takes the place of ``path`` when the block ends without an error.

    A device or a pipe, such as ``/dev/stdout``, has no content to replace: it is yielded itself. A symbolic link stays, and
    the file that it points at is replaced.

    Args:
        path: The file.
        mode: The permissions; None keeps those of the file, and gives a new file the usual ones.

    Raises:
        OSError: The file cannot be written; ``filename`` is ``path``, and the old content is still there.
    """
    if _is_special(path):
        yield path
        return
    target = path.resolve()
    fresh = target.with_name(f".{target.stem}.new{target.suffix}")
    try:
        _create(fresh, target, mode)
        yield fresh
        sync(fresh)
        os.replace(fresh, target)
    except BaseException as error:
        with contextlib.suppress(OSError):  # the first error is the one to report
            fresh.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename, error.filename2 = str(path), None
        raise


def try_to_write(path: Path) -> None:
    """Writes a small file beside ``path`` and removes it, to find out before the work whether its result can be written.

    Raises:
        OSError: Nothing can be written there; ``filename`` is ``path``.
    """
    if _is_special(path):
        return
    trial = path.resolve().with_name(f".{path.name}.trial")
    try:
        write_whole(trial, bytes(TRIAL_BYTES))
        trial.unlink()
    except OSError as error:
        error.filename = str(path)
        raise


@contextlib.contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """Yields an empty directory beside ``path`` to fill; it gets the name ``path`` when the block ends without an error.

    Raises:
        FileExistsError: ``path`` exists.
        OSError: The directory cannot be made or filled.
    """
    if path.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    fresh = path.with_name(f".{path.name}.new")
    try:
        if fresh.exists():
            shutil.rmtree(fresh)
        fresh.mkdir(parents=True)
        yield fresh
        sync_tree(fresh)
        fresh.rename(path)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)  # the first error is the one to report
        raise


def link_or_copy(source: str, target: str) -> None:
    """Makes a hard link, or a copy where the file system has no hard links (exFAT, and many SMB, FUSE and bucket mounts)."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        shutil.copyfile(source, target)


def has_hard_links(directory: Path) -> bool:
    """Returns whether files in a directory can have hard links, after having tried with two files that are removed again."""
    first, second = directory / ".link-trial-1", directory / ".link-trial-2"
    try:
        first.touch()
        second.unlink(missing_ok=True)
        os.link(first, second)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        return False
    finally:
        first.unlink(missing_ok=True)
        second.unlink(missing_ok=True)
    return True


def sync(path: Path) -> None:
    """Returns once the content of a file, or the names in a directory, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not (path.is_dir() and error.errno in NO_DIRECTORY_SYNC):
            raise
    finally:
        os.close(descriptor)


def sync_tree(directory: Path) -> None:
    """Returns once a directory and everything below it are on the disk; symbolic links are not followed."""
    for folder, _, files in os.walk(directory, topdown=False):
        for name in files:
            if not (path := Path(folder, name)).is_symlink():
                sync(path)
        sync(Path(folder))


def _is_special(path: Path) -> bool:
    """Returns whether a path leads to a device or a pipe."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _create(fresh: Path, target: Path, mode: int | None) -> None:
    """Makes an empty file with the right permissions, in place of what a killed program may have left."""
    fresh.unlink(missing_ok=True)
    if mode is None and target.exists():
        mode = stat.S_IMODE(target.stat().st_mode)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode)
    try:
        if mode is not None and stat.S_IMODE(os.fstat(descriptor).st_mode) != mode:
            os.fchmod(descriptor, mode)  # the umask has taken something away
    finally:
        os.close(descriptor)
