"""What ``train`` sees to before anything is started."""

import os
import socket

import pytest

from robotini_ray.commands import train
from robotini_ray.config import Config
from robotini_ray.leftovers import Leftover
from robotini_ray.pages import PagePorts, PortTaken


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
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", train.STEADY_METRICS[0]):
        monkeypatch.setenv(name, "")  # so that it is as before afterwards
        monkeypatch.delenv(name)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(train, "run_in_own_session", lambda command: 7)

    def run(address, ports=PagePorts()):  # noqa: B008
        assert train.run(Config(), tmp_path / "run", address, fresh=False, wait=False, ports=ports, line=[]) == 7
        monkeypatch.setenv(train.IN_OWN_SESSION, "")
        monkeypatch.delenv(train.IN_OWN_SESSION)
        return dict(os.environ)

    return run


def test_an_own_ray_asks_for_a_token_that_is_private(outer, tmp_path):
    assert outer("local")["RAY_AUTH_MODE"] == "token"
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600


def test_an_own_ray_exports_its_metrics_the_steady_way(outer, monkeypatch):
    name, value = train.STEADY_METRICS
    assert outer("local")[name] == value
    monkeypatch.setenv(name, "1")
    assert outer("local")[name] == "1", "who sets it means it"


def test_a_taken_port_of_tensorboard_ends_the_start_with_one_line(outer, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(PortTaken) as caught:
            outer("local", PagePorts(tensorboard=port))
    message = str(caught.value)
    assert "\n" not in message and f"port {port} of 127.0.0.1 is taken by process {os.getpid()}" in message
    assert "--tensorboard-port" in message
    assert not (tmp_path / "run").exists() and not (tmp_path / "token").exists(), "nothing has been started or made"
    assert outer("local", PagePorts(tensorboard=port)), "now it is free"


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
