"""Compiling once for a machine: one process works, the others wait for it and say so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import robotini_ray
from robotini_ray.machine import compilation
from robotini_ray.machine.compilation import compiling_once
from tests.waiting import LONG_S

HOLDER = """
import sys
from pathlib import Path
from robotini_ray.machine.compilation import compiling_once
with compiling_once("world", lambda line: print(line, flush=True), Path(sys.argv[1])):
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that compiles until its standard input ends."""
    environment = {**os.environ, "PYTHONPATH": str(Path(robotini_ray.__file__).parents[1])}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], **pipes, env=environment) as process:
        assert process.stdout.readline().startswith(b"compiling the simulator (world)")
        yield process
        process.stdin.close()


def test_the_first_says_what_is_going_on_and_later_ones_nothing(tmp_path):
    said = []
    for _ in range(2):
        with compiling_once("world", said.append, tmp_path):
            pass
    assert len(said) == 1 and "about 20 s" in said[0]


def test_each_kind_is_compiled(tmp_path):
    said = []
    for what in ("world", "camera"):
        with compiling_once(what, said.append, tmp_path):
            pass
    assert [line.partition(")")[0] for line in said] == ["compiling the simulator (world", "compiling the simulator (camera"]


def test_a_second_process_waits_for_the_first_and_compiles_nothing(holder, tmp_path, monkeypatch):
    monkeypatch.setattr(compilation, "SAY_INTERVAL_S", 0.0)
    said = []

    def say(line):
        said.append(line)
        if len(said) == 3:
            holder.stdin.close()

    with compiling_once("world", say, tmp_path):
        assert holder.wait(LONG_S) == 0
    assert len(said) >= 3 and all(line.startswith("waiting for another process") for line in said)


def test_where_the_first_is_killed_the_second_compiles(holder, tmp_path):
    said = []
    holder.kill()
    holder.wait()
    with compiling_once("world", said.append, tmp_path):
        pass
    assert said[-1].startswith("compiling the simulator (world)")


def test_without_a_cache_every_process_compiles_for_itself():
    said = []
    for _ in range(2):
        with compiling_once("world", said.append, None):
            pass
    assert len(said) == 2


def test_an_error_leaves_the_work_to_the_next(tmp_path):
    said = []
    with pytest.raises(ZeroDivisionError), compiling_once("world", said.append, tmp_path):
        1 // 0  # noqa: B018
    with compiling_once("world", said.append, tmp_path):
        pass
    assert len(said) == 2
