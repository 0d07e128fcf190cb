"""What the learner knows of replay between two answers of the server."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from robotini_ray.config import config_from_dict
from robotini_ray.replay import gauge
from robotini_ray.replay.gauge import ASK_INTERVAL_S, REFRESH_INTERVAL_S, ReplayGauge
from robotini_ray.run.reports import ReplayState

BATCH = 10
DRAW = 8 * BATCH
"""Items of the windows that are drawn at once."""


class Server:
    """Stands in for the clock and for the server and its answers."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.questions = 0
        self.state = ReplayState(items=1000, inserted=1000, sampled=0, capacity=2000, min_items=100, samples_per_item=2.0)

    def monotonic(self) -> float:
        return self.now_s

    def answer(self, client: Any, layout: Any, timeout_s: int = 10) -> ReplayState:
        self.questions += 1
        return self.state

    def change(self, **numbers: int) -> None:
        self.state = dataclasses.replace(self.state, **numbers)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    monkeypatch.setattr(gauge, "replay_state", server.answer)
    monkeypatch.setattr(gauge, "time", server)
    return server


def make_gauge(algorithm: str = "td3", min_items: int = 100) -> ReplayGauge:
    tree = {"agent": {"algorithm": algorithm, "batch_size": BATCH}, "replay": {"min_items": min_items}}
    return ReplayGauge(None, config_from_dict(tree))  # type: ignore[arg-type]


def test_what_is_trained_is_counted_without_asking(server: Server) -> None:
    gauge = make_gauge("rtd3")
    # 2,000 samples are allowed, each step takes 10, one batch may be drawn ahead
    for _ in range(4):
        assert gauge.allows(49)
        gauge.trained(49)
    assert gauge.allows(3) and not gauge.allows(4)
    assert server.questions == 1, "the first, at the start"


def test_a_held_back_learner_asks_now_and_then(server: Server) -> None:
    server.change(sampled=2000)
    gauge = make_gauge()
    for _ in range(200):
        server.now_s += ASK_INTERVAL_S / 10
        assert not gauge.allows(1)
    assert 19 <= server.questions - 1 <= 20
    server.change(inserted=1400)
    server.now_s += ASK_INTERVAL_S
    assert gauge.allows(1)


def test_a_busy_learner_asks_to_have_something_to_report(server: Server) -> None:
    gauge = make_gauge()
    assert gauge.allows(1)
    server.now_s = REFRESH_INTERVAL_S
    server.change(items=1200, inserted=1200)
    assert gauge.allows(1)
    assert gauge.state.items == 1200


def test_padding_is_reckoned_with(server: Server) -> None:
    """At first every window might hold a single decision; then the share is what training and sampling have shown."""
    gauge = make_gauge()
    most = (2000 - DRAW) // (8 * BATCH)
    assert gauge.allows(most) and not gauge.allows(most + 1)
    gauge.trained(20)
    server.change(sampled=400)  # 200 decisions in 400 places
    server.now_s = REFRESH_INTERVAL_S
    most = (2000 - 400 - DRAW) // (2 * BATCH)
    gauge.allows(1)  # asks
    assert gauge.allows(most) and not gauge.allows(most + 1)


def test_cars_pause_when_replay_is_far_ahead(server: Server) -> None:
    assert make_gauge(min_items=499).pauses(1)
    assert not make_gauge(min_items=500).pauses(1)


def test_cars_do_not_pause_while_the_learner_waits_for_them(server: Server) -> None:
    """With a small ratio a call of the learner needs more than what lies ahead."""
    server.change(inserted=100)
    gauge = make_gauge(min_items=1)
    assert gauge.pauses(1)
    assert not gauge.allows(2)
    assert not gauge.pauses(2)
