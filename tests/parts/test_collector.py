"""A collector between a real simulator and a real Reverb table: what it writes is what happened."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import portpicker
import pytest
import reverb

from robotini_ray.config import Config, RandomisationConfig, config_from_dict
from robotini_ray.machine.redis_server import RedisServer
from robotini_ray.parts import collector as collector_module
from robotini_ray.parts.collector import Collector
from robotini_ray.policy.numpy_policy import NumpyPolicy
from robotini_ray.policy.policy_spec import PolicySpec
from robotini_ray.replay.server import make_server
from robotini_ray.replay.table import FIRST, LAST, MID, PAD, TABLE, WindowLayout, replay_state
from robotini_ray.run.reports import CarSeat
from robotini_ray.simulator_address import SimulatorAddress

FULL_LEFT, STRAIGHT_AHEAD = (0.5, 2.0), (0.0, 0.0)

ROWS_OF_INTEREST = 400


def make_config(**environment: int) -> Config:
    return config_from_dict(
        {
            "simulator": {"track": "oval"},
            "environment": {"image_width": 16, "throttle_high": 0.12, "action_history": 1, **environment},
            "agent": {
                "algorithm": "rtd3",
                "actor_layers": [8],
                "lstm_units": 4,
                "burn_in": 2,
                "sequence_length": 4,
                "n_step": 2,
                "privileged_critic": True,
            },
            "replay": {"min_items": 1, "capacity": 10_000},
            "collection": {"cars": 1},
        }
    )


def make_policy(config: Config, bias: tuple[float, float]) -> NumpyPolicy:
    """Random weights, whose actions are around the hyperbolic tangents of the bias."""
    policy = NumpyPolicy(PolicySpec.from_config(config))
    random = np.random.default_rng(0)
    policy.set_weights(random.normal(0.0, 0.3, policy.flat_weights().shape).astype(np.float32))
    policy.weights["action/bias"][:] = bias
    return policy


def collect(serve: Callable[..., Any], config: Config, policy: NumpyPolicy, folder: Path) -> list[dict[str, np.ndarray]]:
    """The items that one car without noise leaves in the table."""
    port = portpicker.pick_unused_port()
    replay = make_server(config, port, folder / "replay")
    redis = RedisServer(folder / "redis.log")
    redis.start()
    try:
        with serve("oval") as address:
            seat = CarSeat("car", "#123456", 0.0, 0)
            collector = Collector(config, address, [seat], True, f"127.0.0.1:{port}", redis.url, "run")
            collector.set_weights(1, policy.flat_weights(), pause=False)
            thread = threading.Thread(target=collector.run)
            thread.start()
            client = reverb.Client(f"127.0.0.1:{port}")
            layout = WindowLayout.from_config(config)
            while replay_state(client, layout).items < ROWS_OF_INTEREST // layout.stride:
                assert thread.is_alive()
                time.sleep(0.05)
            collector.stop()
            thread.join()
        count = replay_state(client, layout).items
        found = {}
        while len(found) < count:
            for sample in client.sample(TABLE, 4 * count, emit_timesteps=False, unpack_as_table_signature=True):
                found[sample.info.key] = sample.data
        return list(found.values())
    finally:
        redis.stop()
        replay.stop()


@pytest.fixture(scope="module", params=["crash", "time limit"])
def collected(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, serve: Callable[..., Any]):
    """How episodes ended, the config, the policy and the items."""
    crash = request.param == "crash"
    config = make_config() if crash else make_config(episode_frames=30)
    policy = make_policy(config, FULL_LEFT if crash else STRAIGHT_AHEAD)
    return crash, config, policy, collect(serve, config, policy, tmp_path_factory.mktemp("collector"))


def test_a_car_settles_for_the_largest_latency_that_is_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = dataclasses.replace(make_config(), randomisation=RandomisationConfig(latency_frames=(1, 4)))
    seat = CarSeat("car", "#123456", 0.0, 0)
    collector = Collector(config, SimulatorAddress("127.0.0.1", 1, 2), [seat], True, "127.0.0.1:3", "unix:///no.sock", "run")
    monkeypatch.setattr(collector_module, "RaceEnvironment", lambda *arguments: arguments)
    monkeypatch.setattr(collector_module, "WindowWriter", lambda *arguments: arguments)
    environment: Any = collector._seat_car(seat, None).environment  # type: ignore[arg-type]
    assert environment[-1] == 4


def test_a_crash_has_discount_0_in_the_table_and_a_time_limit_1(collected):
    """A car that was put back stands; one whose time is up drives on."""
    crash, config, _, items = collected
    speed = config.environment.observation_size + 3
    pairs = [pair for item in items for pair in zip(item["rows"], item["rows"][1:], strict=False)]
    ends = [(before, last) for before, last in pairs if last[-1] == LAST]
    assert [before[-2] == 0.0 for before, _ in ends] == [last[speed] < 0.01 for _, last in ends]
    assert len([before for before, _ in ends if before[-2] == (0.0 if crash else 1.0)]) >= 5
    assert {before[-2] for before, _ in ends} <= ({0.0} if crash else {0.0, 1.0})
    assert {before[-1] for before, _ in ends} <= {FIRST, MID}
    assert {before[-2] for before, after in pairs if after[-1] == MID} == {1.0}


def test_the_stored_state_reproduces_what_was_done(collected):
    _, config, policy, items = collected
    size, seen = config.environment.observation_size, config.critic_observation_size
    compared, later = 0, 0
    for item in items:
        state = item["state"]
        later += bool(state.any())
        for row in item["rows"]:
            if row[-1] in (PAD, LAST):
                continue
            if row[-1] == FIRST:
                state = policy.initial_state(1)
            action, state = policy.act(row[np.newaxis, :size], state)
            np.testing.assert_allclose(action[0], row[seen : seen + 2], atol=1e-5)
            compared += 1
    assert compared > ROWS_OF_INTEREST
    assert later > 10, "windows that begin in the middle of an episode"


def test_the_privileged_numbers_stand_behind_the_observation(collected):
    _, config, _, items = collected
    size = config.environment.observation_size
    rows = np.concatenate([item["rows"] for item in items])
    told = rows[rows[:, -1] != PAD][:, size : size + 10]
    np.testing.assert_allclose(told[:, 1] ** 2 + told[:, 2] ** 2, 1.0, atol=1e-5)
    assert told[:, 2].max() > 0.9, "begins along the track"
    assert 0.05 < told[:, 3].max() < 1.0 and told[:, 3].min() >= 0.0
    assert np.abs(told[:, 0]).max() < 1.0
    assert 0.5 < np.abs(told[:, 5:]).max() < 1.0, "the oval's bends"
