import os

import pytest

from robotini_ray.config import Config
from robotini_ray.policy import named_policy
from robotini_ray.policy.named_policy import is_of_own_run, origin_warning
from robotini_ray.policy.numpy_policy import NumpyPolicy
from robotini_ray.policy.policy_files import PolicyShelf, save_policy
from robotini_ray.policy.policy_spec import PolicySpec


@pytest.fixture
def make():
    policy = NumpyPolicy(PolicySpec.from_config(Config()))
    return lambda directory: save_policy(directory, policy, {}) or directory


@pytest.fixture
def run_dir(tmp_path, make):
    """A run with a best policy, reached through its link."""
    run = tmp_path / "run"
    shelf = PolicyShelf(run / "policies")
    make(shelf.version("one"))
    shelf.point("best", shelf.version("one"))
    (run / "config.yaml").write_text("{}")
    return run


def test_policies_of_a_run_are_our_own_by_every_name(run_dir, tmp_path, monkeypatch):
    assert is_of_own_run(run_dir / "policies" / "best")
    (tmp_path / "link").symlink_to(run_dir / "policies" / "best")
    assert origin_warning(tmp_path / "link") is None
    monkeypatch.chdir(run_dir)
    assert is_of_own_run(named_policy.Path("policies/best"))


def test_a_run_directory_of_somebody_else_is_elsewhere(run_dir, monkeypatch):
    monkeypatch.setattr(named_policy.os, "getuid", lambda: os.stat(run_dir).st_uid + 1)
    assert "is not in a run directory of yours" in origin_warning(run_dir / "policies" / "best")


def test_a_copy_is_announced_and_so_is_a_link_from_a_run_to_one(tmp_path, run_dir, make):
    copy = make(tmp_path / "downloads" / "policies-of-a-friend")
    assert "a SavedModel beside them is a program, and is not loaded" in origin_warning(copy)
    link = run_dir / "policies" / "friend"
    link.symlink_to(copy)
    assert origin_warning(link) is not None


def test_where_there_is_none_there_is_nothing_to_announce(tmp_path):
    assert origin_warning(tmp_path) is None


def test_the_verbs_say_so_before_they_read(tmp_path, make, capsys, monkeypatch):
    copy = make(tmp_path / "copy")

    class ReadError(Exception):
        """Raised in place of reading."""

    def read(directory):
        raise ReadError(capsys.readouterr().err)

    monkeypatch.setattr(named_policy, "load_policy", read)
    with pytest.raises(ReadError, match="is not in a run directory of yours"):
        named_policy.load_named_policy(copy)
