"""The check of the folder for Ray's files."""

from pathlib import Path

import pytest

from robotini_ray.doctor.ray_files import check_ray_folder

LONG = "/tmp/" + "x" * 60


@pytest.mark.parametrize(
    ("environment", "others", "level"),
    [({}, [], "ok"), ({"TMPDIR": LONG}, [Path("/tmp")], "warning"), ({"RAY_TMPDIR": LONG}, [], "error")],
)
def test_levels(environment, others, level):
    (finding,) = check_ray_folder(environment, others)
    assert finding.level == level
    assert level == "ok" or (LONG in finding.what and "set RAY_TMPDIR" in finding.cure)
    assert level != "warning" or "/tmp is used instead" in finding.what
