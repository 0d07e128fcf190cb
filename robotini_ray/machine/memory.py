"""Reads how much memory is available: on the machine, and within the memory limits of this process's control groups.

A container is a control group. The kernel kills a process of a group that exceeds its limit, however much memory the machine
has left. Limits of a group count for all groups below it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

PROC = Path("/proc")


@dataclasses.dataclass(frozen=True)
class _Files:
    """File names of one version of control groups (kernel documentation: cgroup-v2.rst, cgroup-v1/memory.rst)."""

    limit: str
    usage: str
    reclaimable: str
    """The field of ``memory.stat`` with the bytes of files that the kernel drops before it kills a process."""


V1 = _Files("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
V2 = _Files("memory.max", "memory.current", "inactive_file")


def available_memory_bytes(proc: Path = PROC) -> int:
    """Returns the memory in bytes that this process and those it starts can use without swapping.

    It is ``MemAvailable`` of the kernel, or less if a control group of this process has less left.

    Raises:
        OSError: ``/proc/meminfo`` cannot be read or has no ``MemAvailable``.
    """
    return min([_of_machine(proc), *_of_groups(proc)])


def _of_machine(proc: Path) -> int:
    for line in (proc / "meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"{proc}/meminfo has no MemAvailable")


def _of_groups(proc: Path) -> Iterator[int]:
    """Yields the memory in bytes that is left in each control group of this process that has a limit."""
    for mount_point, root, files in _mounts(proc):
        group = _group(proc, files)
        if group is None:
            continue
        below = group.relative_to(root) if group.is_relative_to(root) else PurePosixPath()
        for folder in _upwards(mount_point, below):
            left = _left_bytes(folder, files)
            if left is not None:
                yield left


def _mounts(proc: Path) -> Iterator[tuple[Path, PurePosixPath, _Files]]:
    """Yields where groups that can limit memory are mounted, the group that is mounted there, and their files (proc(5))."""
    for line in _lines(proc / "self/mountinfo"):
        mount, _, kind = (part.split() for part in line.partition(" - "))
        if kind[0] == "cgroup2":
            yield Path(mount[4]), PurePosixPath(mount[3]), V2
        elif kind[0] == "cgroup" and "memory" in kind[2].split(","):
            yield Path(mount[4]), PurePosixPath(mount[3]), V1


def _group(proc: Path, files: _Files) -> PurePosixPath | None:
    """Returns the group of this process, from lines ``ID:CONTROLLERS:PATH``; version 2 has no controllers there."""
    for line in _lines(proc / "self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if (files is V2 and not controllers) or (files is V1 and "memory" in controllers.split(",")):
            return PurePosixPath(path)
    return None


def _upwards(top: Path, below: PurePosixPath) -> Iterator[Path]:
    """Yields the folder ``top / below`` and those above it, the last of which is ``top``."""
    if ".." not in below.parts:  # a group outside of this process's namespace is not mounted here
        yield top / below
        yield from (top / parent for parent in below.parents)
    else:
        yield top


def _left_bytes(folder: Path, files: _Files) -> int | None:
    """Returns the memory that is left in a group, None without a limit; the root group of version 2 has none of the files."""
    limit, usage = _number(folder / files.limit), _number(folder / files.usage)
    if limit is None or usage is None:
        return None
    fields = dict(line.split() for line in _lines(folder / "memory.stat"))
    return max(0, limit - usage + int(fields.get(files.reclaimable, 0)))


def _number(path: Path) -> int | None:
    """Returns the number in a file, None if there is none: version 2 writes ``max`` for no limit."""
    text = "".join(_lines(path))
    return int(text) if text.isdecimal() else None


def _lines(path: Path) -> list[str]:
    """Returns the lines of a file, none if it is not there or not readable: a machine need not have control groups."""
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
