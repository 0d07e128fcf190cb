import pytest

from robotini_ray.config import Config
from robotini_ray.parts.evaluator import _best_rank
from robotini_ray.policy.numpy_policy import NumpyPolicy
from robotini_ray.policy.policy_files import save_policy
from robotini_ray.policy.policy_spec import PolicyError, PolicySpec
from robotini_ray.run.course import Course

HERE = Course("aa", 3, 4.0)
RANK = (3, -1, -5.5, 12.0)
NONE = (-1.0,)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"course": {"track_sha256": "aa", "laps": 3}}, RANK),
        ({"course": {"track_sha256": "bb", "laps": 3}}, NONE),
        ({"course": {"track_sha256": "aa", "laps": 2}}, NONE),
        ({"evaluation": {"limit_s": 4.0}}, RANK),
        ({"evaluation": {"limit_s": 9.0}}, NONE),
        ({}, RANK),
    ],
    ids=["same", "other-track", "other-laps", "before-same-limit", "before-other-limit", "before"],
)
def test_the_best_policy_counts_only_on_the_course_that_it_was_judged_on(tmp_path, facts, expected):
    save_policy(tmp_path / "best", NumpyPolicy(PolicySpec.from_config(Config())), {"rank": list(RANK), **facts})
    assert _best_rank(tmp_path / "best", HERE) == expected


def test_without_a_policy_any_is_the_best_and_a_foreign_one_is_refused(tmp_path):
    assert _best_rank(tmp_path / "best", HERE) == NONE
    save_policy(tmp_path / "best", NumpyPolicy(PolicySpec.from_config(Config())), {})
    with pytest.raises(PolicyError, match="so no training run wrote it"):
        _best_rank(tmp_path / "best", HERE)
