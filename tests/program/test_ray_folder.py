"""Ray's files lie where its sockets fit."""

import os
from pathlib import Path

import pytest

from robotini_ray.machine.socket_folder import SocketFolderError
from robotini_ray.program.ray_folder import ray_folder, ray_logs

JOB = "/tmp/scratch-local/user0001/slurm-job.12345678.node-0042"


@pytest.mark.parametrize(
    ("environment", "folder"),
    [({}, "/tmp"), ({"TMPDIR": "/tmp/a"}, "/tmp/a"), ({"TMPDIR": JOB, "RAY_TMPDIR": "/tmp/b"}, "/tmp/b")],
)
def test_ray_chooses_where_that_fits(environment, folder):
    assert ray_folder(environment) == (Path(folder), None)


@pytest.mark.parametrize("variable", ["TMPDIR", "RAY_TMPDIR"])
def test_a_long_folder_is_replaced_and_that_is_said(variable):
    folder = ray_folder({variable: JOB})
    assert folder.path == Path("/tmp")
    assert folder.warning == f"{JOB} is too long a path for unix sockets in it; /tmp is used instead"


def test_without_any_the_cure_is_named():
    with pytest.raises(SocketFolderError, match=r"; set RAY_TMPDIR to .* at most \d+ bytes"):
        ray_folder({"TMPDIR": JOB}, others=())


def test_the_logs_are_those_of_this_process(tmp_path):
    assert ray_logs(tmp_path) == tmp_path
    for name in ("session_2026-01-01_00-00-00_000000_1", f"session_2026-01-01_00-00-00_000000_{os.getpid()}"):
        (tmp_path / name).mkdir()
    assert ray_logs(tmp_path) == tmp_path / name / "logs"
