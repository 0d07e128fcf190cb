"""Windows through a real Reverb server: what is written is what can be trained on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import portpicker
import pytest
import reverb
from hypothesis import given, settings
from hypothesis import strategies as st

from robotini_ray.agents.factory import experience_dataset
from robotini_ray.config import Config, config_from_dict
from robotini_ray.replay.server import ReplayServer, make_server
from robotini_ray.replay.table import (
    FIRST,
    LAST,
    MID,
    PAD,
    TABLE,
    WINDOW_DECISIONS,
    WindowLayout,
    WindowWriter,
    replay_state,
    window_dataset,
)
from robotini_ray.run.checkpoints import CheckpointStore
from robotini_ray.run.reports import ReplayState
from tests.waiting import LONG_S, eventually

OBSERVATIONS = 24
LONG_MS = int(1000 * LONG_S)

AGENTS = {
    "n_step_1": {"algorithm": "td3", "n_step": 1},
    "n_step_2": {"algorithm": "ddpg", "n_step": 2},
    "n_step_3": {"algorithm": "td3", "n_step": 3},
    "n_step_7": {"algorithm": "td3", "n_step": 7},
    "shortest_sequence": {"algorithm": "rdpg", "burn_in": 0, "sequence_length": 2, "n_step": 1},
    "even_sequence": {"algorithm": "rdpg", "burn_in": 2, "sequence_length": 4, "n_step": 1},
    "odd_sequence": {"algorithm": "rtd3", "burn_in": 3, "sequence_length": 5, "n_step": 3},
    "long_burn_in": {"algorithm": "rdpg", "burn_in": 12, "sequence_length": 6, "n_step": 1},
    "long_returns": {"algorithm": "rtd3", "burn_in": 1, "sequence_length": 3, "n_step": 7},
}


@dataclasses.dataclass(frozen=True)
class Episode:
    """So many decisions, ended by a crash or by a time limit."""

    decisions: int
    crash: bool


@dataclasses.dataclass
class Replay:
    """A running server and what is needed to talk to it."""

    config: Config
    server: reverb.Server
    client: reverb.Client
    layout: WindowLayout
    address: str

    def writer(self) -> WindowWriter:
        return WindowWriter(self.client, self.layout)

    def state(self) -> ReplayState:
        return replay_state(self.client, self.layout, int(LONG_S))


def make_config(agent: dict[str, Any], **replay: Any) -> Config:
    return config_from_dict(
        {
            "environment": {"observation_history": 1, "action_history": 0},
            "agent": {"lstm_units": 3, **agent},
            "replay": {"min_items": 1, "capacity": 10_000, "samples_per_item": 1e5, **replay},
        }
    )


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Replay]]:
    """Starts servers, each on a port of its own: gRPC keeps channels by address, dead ones too."""
    servers = []

    def begin(config: Config, directory: Path | None = None) -> Replay:
        port = portpicker.pick_unused_port()
        server = make_server(config, port, directory or tmp_path_factory.mktemp("replay"))
        servers.append(server)
        address = f"127.0.0.1:{port}"
        return Replay(config, server, reverb.Client(address), WindowLayout.from_config(config), address)

    yield begin
    for server in servers:
        server.stop()


@pytest.fixture(scope="module", params=list(AGENTS))
def replay(request: pytest.FixtureRequest, start: Callable[..., Replay]) -> Replay:
    return start(make_config(AGENTS[request.param]))


def observation(episode: int, index: int) -> np.ndarray:
    row = np.full(OBSERVATIONS, 0.5, np.float32)
    row[:2] = episode + 1, index
    return row


def state(layout: WindowLayout, episode: int, index: int) -> np.ndarray:
    """The actor's made-up state before a decision; none while an episode begins."""
    return np.full(layout.state_size, 100 * (episode + 1) + index if index else 0.0, np.float32)


def decide(writer: WindowWriter, layout: WindowLayout, episode: int, index: int, discount: float) -> None:
    action = np.array([0.1 * (episode + 1), 0.01 * index], np.float32)
    reward = 1000.0 * episode + index
    writer.add(observation(episode, index), action, reward, discount, index == 0, state(layout, episode, index))


def drive(writer: WindowWriter, layout: WindowLayout, number: int, episode: Episode) -> None:
    writer.begin_episode()
    for index in range(episode.decisions):
        crashed = episode.crash and index == episode.decisions - 1
        decide(writer, layout, number, index, 0.0 if crashed else 1.0)
    writer.end_episode(observation(number, episode.decisions))


def read_all(client: reverb.Client) -> list[dict[str, np.ndarray]]:
    """Every window of the table once, in no order."""
    expected = client.server_info()[TABLE].current_size
    found: dict[int, dict[str, np.ndarray]] = {}
    for _ in range(200):
        if len(found) == expected:
            break
        for sample in client.sample(TABLE, 4 * expected, emit_timesteps=False, unpack_as_table_signature=True):
            found[sample.info.key] = sample.data
    assert len(found) == expected
    return list(found.values())


def check_window(item: dict[str, np.ndarray], layout: WindowLayout, episodes: list[Episode]) -> list[tuple[int, int]]:
    """Checks every row of a window; returns (episode, index) of the decisions that it trains."""
    rows = item["rows"]
    assert rows.shape == (layout.rows, layout.row_size)
    real = np.flatnonzero(rows[:, -1] != PAD)
    assert np.array_equal(real, np.arange(real[0], real[-1] + 1)), "padding only in front and behind"
    padding = np.delete(rows, real, axis=0)
    assert not padding[:, :-1].any()
    number = int(rows[real[0], 0]) - 1
    first = int(rows[real[0], 1])
    episode = episodes[number]
    if real[0] > 0:
        assert first == 0, "padding in front only before an episode's first decision"
    if real[-1] < layout.rows - 1:
        assert rows[real[-1], -1] == LAST, "padding behind only after an episode's end"
    decided = []
    for place, row in zip(real, rows[real], strict=True):
        index = first + place - real[0]
        assert np.array_equal(row[:OBSERVATIONS], observation(number, index)), "one episode, in order"
        if index == episode.decisions:
            assert list(row[OBSERVATIONS:]) == [0.0, 0.0, 0.0, 0.0, LAST]
            continue
        crashed = episode.crash and index == episode.decisions - 1
        expected = [0.1 * (number + 1), 0.01 * index, 1000.0 * number + index, 0.0 if crashed else 1.0]
        assert np.allclose(row[OBSERVATIONS:-1], expected)
        assert row[-1] == (MID if index else FIRST)
        if layout.burn_in <= place < layout.burn_in + layout.trained:
            decided.append((number, index))
    if layout.state_size:
        before = np.zeros(layout.state_size) if real[0] > 0 else state(layout, number, first)
        assert np.array_equal(item["state"], before[np.newaxis])
    assert decided, "a window that trains nothing"
    return decided


@settings(max_examples=12, deadline=None)
@given(episodes=st.lists(st.builds(Episode, st.integers(1, 30), st.booleans()), min_size=1, max_size=5))
def test_every_decision_is_trained_in_windows_of_its_own_episode(replay: Replay, episodes: list[Episode]) -> None:
    replay.client.reset(TABLE)
    writer = replay.writer()
    for number, episode in enumerate(episodes):
        drive(writer, replay.layout, number, episode)
    writer.flush(LONG_MS)
    items = read_all(replay.client)
    assert len(items) * replay.layout.items == writer.items == replay.state().items
    writer.close()
    trained = [decision for item in items for decision in check_window(item, replay.layout, episodes)]
    every = {(number, index) for number, episode in enumerate(episodes) for index in range(episode.decisions)}
    assert set(trained) == every
    if not replay.layout.state_size:
        assert len(trained) == len(every), "feed-forward agents see each decision once"
        assert len(items) == sum(-(-episode.decisions // WINDOW_DECISIONS) for episode in episodes)


def test_windows_of_the_modules_picture(start: Callable[..., Replay]) -> None:
    replay = start(make_config({"algorithm": "td3", "n_step": 2}))
    writer = replay.writer()
    drive(writer, replay.layout, 0, Episode(10, crash=True))
    writer.flush(LONG_MS)
    kinds = sorted((int(item["rows"][0, 1]), *item["rows"][:, -1]) for item in read_all(replay.client))
    writer.close()
    assert kinds == [
        (0, FIRST, *9 * [MID]),
        (8, MID, MID, LAST, *7 * [PAD]),
    ]


@pytest.mark.parametrize("crash", [True, False])
def test_a_crash_has_discount_0_in_the_table_and_a_time_limit_1(replay: Replay, crash: bool) -> None:
    replay.client.reset(TABLE)
    writer = replay.writer()
    drive(writer, replay.layout, 0, Episode(6, crash))
    writer.flush(LONG_MS)
    last_rows = [row for item in read_all(replay.client) for row in item["rows"] if row[1] == 5 and row[-1] == MID]
    writer.close()
    assert last_rows
    assert {row[-2] for row in last_rows} == {0.0 if crash else 1.0}


def test_a_dropped_episode_mixes_into_no_window(replay: Replay) -> None:
    replay.client.reset(TABLE)
    writer = replay.writer()
    dropped, whole = Episode(50, crash=False), Episode(9, crash=True)
    writer.begin_episode()
    for index in range(replay.layout.rows + 1):
        decide(writer, replay.layout, 0, index, 1.0)
    drive(writer, replay.layout, 1, whole)
    writer.flush(LONG_MS)
    trained = [decision for item in read_all(replay.client) for decision in check_window(item, replay.layout, [dropped, whole])]
    writer.close()
    assert {(1, index) for index in range(9)} <= set(trained)


def test_an_episode_without_a_decision_leaves_nothing(replay: Replay) -> None:
    replay.client.reset(TABLE)
    writer = replay.writer()
    writer.begin_episode()
    writer.end_episode(observation(0, 0))
    drive(writer, replay.layout, 1, Episode(2, crash=False))
    writer.flush(LONG_MS)
    for item in read_all(replay.client):
        check_window(item, replay.layout, [Episode(0, crash=False), Episode(2, crash=False)])
    writer.close()


def test_the_table_is_bounded_and_never_holds_the_writer(start: Callable[..., Replay]) -> None:
    replay = start(make_config({"algorithm": "td3"}, capacity=160))
    writer = replay.writer()
    for number in range(50):
        drive(writer, replay.layout, number, Episode(16, crash=False))
        writer.flush(LONG_MS)  # nobody samples, and it does not wait for that
    writer.close()
    found = replay.state()
    assert (found.items, found.inserted, found.capacity) == (160, 800, 160)
    left = {int(item["rows"][0, 0]) - 1 for item in read_all(replay.client)}
    assert left == set(range(40, 50)), "the oldest go first"


def windows_let_through(address: str, expected: int) -> int:
    """Windows that the limiter lets through before it holds the sampler, which on a busy machine may seem so earlier."""
    drawn = 0

    def have_come() -> bool:
        nonlocal drawn
        drawn += sample_until_held(address)
        return drawn >= expected

    eventually(have_come, f"{expected} windows")
    return drawn


def sample_until_held(address: str, timeout_ms: int = 1000, most: int = 100) -> int:
    """Windows that come before none does for the time, counted up to ``most``."""
    dataset = reverb.TrajectoryDataset.from_table_signature(
        server_address=address,
        table=TABLE,
        max_in_flight_samples_per_worker=1,
        num_workers_per_iterator=1,
        get_signature_timeout_secs=int(LONG_S),
        rate_limiter_timeout_ms=timeout_ms,
    )
    return sum(1 for _ in dataset.take(most))


def test_the_limiter_holds_the_sampler_to_the_replay_ratio(start: Callable[..., Replay]) -> None:
    replay = start(make_config({"algorithm": "td3"}, min_items=33, samples_per_item=3.0))
    assert (replay.state().min_items, replay.state().samples_per_item) == (40, 3.0), "whole windows"
    writer = replay.writer()
    drive(writer, replay.layout, 0, Episode(32, crash=False))
    writer.flush(LONG_MS)
    assert windows_let_through(replay.address, 0) == 0, "less than min_items"
    drive(writer, replay.layout, 1, Episode(24, crash=True))
    writer.flush(LONG_MS)
    assert windows_let_through(replay.address, 7 * 3) == 7 * 3
    drive(writer, replay.layout, 2, Episode(8, crash=True))
    writer.flush(LONG_MS)
    assert windows_let_through(replay.address, 3) == 3
    assert replay.state().sampled == 64 * 3, "each decision three times"
    writer.close()


@pytest.mark.parametrize("agent", ["n_step_3", "even_sequence"])
def test_a_checkpoint_restores_items_and_counters(start: Callable[..., Replay], tmp_path: Path, agent: str) -> None:
    before = start(make_config(AGENTS[agent]), tmp_path)
    assert before.state().items == 0, "an empty directory starts empty"
    writer = before.writer()
    episodes = [Episode(7, crash=True), Episode(12, crash=False)]
    for number, episode in enumerate(episodes):
        drive(writer, before.layout, number, episode)
    writer.flush(LONG_MS)
    items = read_all(before.client)
    counters = before.state()
    before.client.checkpoint()
    writer.close()
    before.server.stop()

    after = start(make_config(AGENTS[agent]), tmp_path)
    assert after.state() == counters

    def as_bytes(found: list[dict[str, np.ndarray]]) -> list[list[bytes]]:
        return sorted([item[name].tobytes() for name in sorted(item)] for item in found)

    assert as_bytes(read_all(after.client)) == as_bytes(items)


def test_the_replay_server_starts_with_the_newest_whole_checkpoint(tmp_path: Path) -> None:
    config = make_config({"algorithm": "td3"})
    layout = WindowLayout.from_config(config)
    server = ReplayServer(config, tmp_path)
    client = reverb.Client(server.report().address)
    writer = WindowWriter(client, layout)
    drive(writer, layout, 0, Episode(7, crash=True))
    writer.flush(LONG_MS)
    store = CheckpointStore(tmp_path / "checkpoints")
    store.write(1, Path(client.checkpoint()), {}, lambda prefix: None, keep=3)
    drive(writer, layout, 1, Episode(5, crash=True))
    writer.flush(LONG_MS)
    client.checkpoint()  # of the replay alone: the process died before the rest was written
    assert replay_state(client, layout, int(LONG_S)).items == 16
    writer.close()
    server.stop()

    server = ReplayServer(config, tmp_path)
    assert replay_state(reverb.Client(server.report().address), layout, int(LONG_S)).items == 8
    server.stop()


@pytest.mark.parametrize("agent", ["n_step_3", "even_sequence"])
def test_batches_have_the_tables_signature(start: Callable[..., Replay], agent: str) -> None:
    replay = start(make_config({**AGENTS[agent], "batch_size": 6}))
    writer = replay.writer()
    drive(writer, replay.layout, 0, Episode(20, crash=True))
    writer.flush(LONG_MS)
    batch = next(iter(window_dataset(replay.address, replay.config)))
    writer.close()
    assert {name: value.shape for name, value in batch.items()} == {
        name: (6, *spec.shape) for name, spec in replay.layout.signature().items()
    }
    for rows in batch["rows"].numpy():
        assert set(rows[rows[:, -1] != PAD][:, 0]) == {1.0}


def whole(batch: tuple[Any, Any], config: Config) -> list[tuple[int, int]]:
    """Checks a batch of transitions of episodes that go on for ever, n_step 3; returns their (episode, index)."""
    transition, _ = batch
    observations, actions = transition.time_step.observation.numpy(), transition.action_step.action.numpy()
    after, rewards, discounts = (
        getattr(transition.next_time_step, name).numpy() for name in ("observation", "reward", "discount")
    )
    assert observations.shape == (config.agent.batch_size, OBSERVATIONS)
    found = [(int(row[0]) - 1, int(row[1])) for row in observations]
    np.testing.assert_allclose(actions, [[0.1 * (number + 1), 0.01 * index] for number, index in found], rtol=1e-6, atol=1e-6)
    for place, (number, index) in enumerate(found):
        steps = min(3, EPISODE - index)
        expected = sum(config.discount**k * (1000.0 * number + index + k) for k in range(steps))
        assert float(rewards[place]) == pytest.approx(expected, rel=1e-5)
        assert float(discounts[place]) == pytest.approx(config.discount ** (steps - 1), rel=1e-5)
        assert np.array_equal(after[place], observation(number, index + steps))
    return found


EPISODE = 35


def test_batches_of_transitions_hold_every_decision_equally_often_and_few_neighbours(start: Callable[..., Replay]) -> None:
    replay = start(make_config({"algorithm": "td3", "n_step": 3, "batch_size": 64}))
    writer = replay.writer()
    for number in range(40):
        drive(writer, replay.layout, number, Episode(EPISODE, crash=False))
        writer.flush(LONG_MS)  # a writer far ahead of the server drops windows
    batches = experience_dataset(replay.address, replay.config).take(300)
    found = [whole(batch, replay.config) for batch in batches]
    writer.close()
    counts = np.zeros((40, EPISODE))
    for number, index in (decision for batch in found for decision in batch):
        counts[number, index] += 1
    mean = 300 * 64 / counts.size
    assert counts.min() > 0
    by_place = counts.mean(axis=0)  # the last three share their window with padding: they count as often as others
    assert by_place.max() < 1.25 * mean and by_place.min() > 0.75 * mean
    neighbours = [sum((number, index + 1) in batch for number, index in set(batch)) for batch in found]
    assert np.mean(neighbours) < 6, "2.7 if each decision were drawn alone, 10 if windows were merely shuffled"
