import dataclasses
import json
import shutil

import pytest

from robotini_ray.config import config_from_dict
from robotini_ray.run.course import Course
from robotini_ray.track.track import load_track


def course(track="oval", laps=3):
    return Course.of(load_track(str(track)), config_from_dict({"evaluation": {"laps": laps}}))


def test_another_number_of_laps_or_other_contents_of_the_file_are_another_course(tmp_path):
    path = tmp_path / "oval"
    shutil.copy(load_track("oval").path, path)
    known = json.loads(json.dumps(course(path).to_json()))
    assert course("oval").is_of(known, {}) and course(path).is_of(known, {})
    assert not course(path, laps=2).is_of(known, {})
    path.write_text(path.read_text() + "\n")
    assert not course(path).is_of(known, {})


@pytest.mark.parametrize(("share", "expected"), [(1.0, True), (1.1, False)])
def test_an_evaluation_of_before_is_known_by_its_limit(share, expected):
    here = course()
    assert here.is_of(None, {"limit_s": share * here.limit_s}) is expected
    assert here.is_of(None, {}), "nothing is known that speaks against it"


def test_it_has_no_other_facts():
    assert {field.name for field in dataclasses.fields(Course)} == {*course().to_json(), "limit_s"}
