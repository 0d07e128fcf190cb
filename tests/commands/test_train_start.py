"""What ``train`` sees to before anything is started."""

import os

import pytest

from robotini_ray.commands import train
from robotini_ray.config import Config
from robotini_ray.leftovers import Leftover


class Display:
    """Keeps what is said."""

    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)


@pytest.fixture
def outer(monkeypatch, tmp_path):
    """Runs ``train`` as far as its own session; returns the environment that it would get."""
    monkeypatch.delenv(train.IN_OWN_SESSION, raising=False)
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        monkeypatch.setenv(name, "")  # so that it is as before afterwards
        monkeypatch.delenv(name)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(train, "run_in_own_session", lambda command: 7)

    def run(address):
        assert train.run(Config(), tmp_path / "run", address, fresh=False, wait=False, monitor_port=None, line=[]) == 7
        monkeypatch.setenv(train.IN_OWN_SESSION, "")
        monkeypatch.delenv(train.IN_OWN_SESSION)
        return dict(os.environ)

    return run


def test_an_own_ray_asks_for_a_token_that_is_private(outer, tmp_path):
    assert outer("local")["RAY_AUTH_MODE"] == "token"
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("address", ["auto", "10.0.0.1:6379"])
def test_a_cluster_that_is_joined_decides_itself(outer, tmp_path, address):
    assert "RAY_AUTH_MODE" not in outer(address)
    assert not (tmp_path / "token").exists()


def test_a_public_address_is_warned_of(monkeypatch):
    display = Display()
    monkeypatch.setattr(train, "public_addresses", lambda: ["8.8.8.8"])
    train._say_warnings([], display)
    (warning,) = display.said
    assert "8.8.8.8" in warning and "Ray and Reverb listen on all interfaces" in warning


def test_leftovers_are_named_with_what_ends_them(monkeypatch, tmp_path):
    display = Display()
    monkeypatch.setattr(train, "public_addresses", list)
    train._say_warnings([Leftover(41, "ray::Agent", tmp_path, 40)], display)
    (warning,) = display.said
    assert "41 (ray::Agent)" in warning and warning.endswith("kill 41")
    train._say_warnings([], display)
    assert len(display.said) == 1
