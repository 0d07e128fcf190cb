import os
import stat
import tempfile
import threading
from pathlib import Path

import pytest

from robotini_ray.program import ray_token
from robotini_ray.program.ray_token import RayTokenError, ensure_private_token, require_token, token_path


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / ".ray" / "auth_token"


def test_a_new_token_is_long_and_nobody_elses(path):
    before = os.umask(0)
    try:
        ensure_private_token(path)
    finally:
        os.umask(before)
    assert mode(path) == 0o600 and mode(path.parent) == 0o700
    assert len(bytes.fromhex(path.read_text())) == 32
    assert [entry.name for entry in path.parent.iterdir()] == ["auth_token"]


def test_an_existing_token_stays_and_is_closed_to_others(path):
    path.parent.mkdir(parents=True)
    path.write_text("known")
    path.chmod(0o644)  # as Ray leaves it
    ensure_private_token(path)
    assert (path.read_text(), mode(path)) == ("known", 0o600)


def test_tokens_differ(tmp_path):
    for name in "ab":
        ensure_private_token(tmp_path / name)
    assert (tmp_path / "a").read_text() != (tmp_path / "b").read_text()


def test_two_programs_that_begin_at_once_agree(path):
    seen = []

    def begin():
        ensure_private_token(path)
        seen.append(path.read_text())

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(seen)) == 1 and len(seen[0]) == 64


def test_a_place_that_cannot_hold_it_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RayTokenError, match=r"file/auth_token cannot hold Ray's token: .*RAY_AUTH_TOKEN_PATH"):
        ensure_private_token(tmp_path / "file" / "auth_token")


def test_another_users_token_is_not_taken(path, monkeypatch):
    ensure_private_token(path)
    monkeypatch.setattr(ray_token.os, "getuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(RayTokenError, match="another user's"):
        ensure_private_token(path)


class TestEnvironment:
    def test_it_is_required_unless_the_environment_says_otherwise(self, path):
        environment = {"RAY_AUTH_TOKEN_PATH": str(path)}
        require_token(environment)
        assert environment["RAY_AUTH_MODE"] == "token" and path.exists()

    @pytest.mark.parametrize("more", [{"RAY_AUTH_MODE": "disabled"}, {"RAY_AUTH_TOKEN": "t"}])
    def test_nothing_is_made_where_it_is_not_needed(self, path, more):
        environment = {"RAY_AUTH_TOKEN_PATH": str(path), **more}
        require_token(environment)
        assert not path.exists()
        assert environment["RAY_AUTH_MODE"] == more.get("RAY_AUTH_MODE", "token")

    def test_it_is_where_ray_looks(self, monkeypatch, tmp_path):
        monkeypatch.setenv("HOME", str(tmp_path))
        assert token_path({}) == tmp_path / ".ray" / "auth_token"
        assert str(token_path({"RAY_AUTH_TOKEN_PATH": "/x"})) == "/x"

    def test_a_home_that_cannot_hold_it_is_replaced_and_that_is_said(self, monkeypatch, tmp_path, caplog):
        (tmp_path / "home").write_text("")
        (tmp_path / "tmp").mkdir()
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
        environment = {}
        require_token(environment)
        found = Path(environment["RAY_AUTH_TOKEN_PATH"])
        assert found.parent.parent == tmp_path / "tmp" and mode(found) == 0o600
        (line,) = caplog.messages
        assert line.startswith(f"Ray's token is in {found}, because {tmp_path}/home/.ray/auth_token cannot hold")

    def test_a_place_that_was_asked_for_is_not_replaced(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(RayTokenError):
            require_token({"RAY_AUTH_TOKEN_PATH": str(tmp_path / "file" / "token")})
