"""N-step transitions against numbers worked out by hand and against a slow second implementation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from robotini_ray.agents.windows import to_n_step_transitions, unpack
from robotini_ray.config import Config
from robotini_ray.replay.table import FIRST, LAST, MID, PAD, WindowLayout

OBSERVATIONS = 2
DISCOUNT = 0.9

Row = tuple[float, float, float]
"""Reward, discount, kind."""


def layout(n_step: int, trained: int = 1) -> WindowLayout:
    return WindowLayout(OBSERVATIONS, state_size=0, burn_in=0, trained=trained, bootstrap=n_step, stride=trained, items=trained)


def window(rows: list[Row]) -> np.ndarray:
    """Rows whose observations count them, with actions to tell apart."""
    return np.array([[10.0 + t, 20.0 + t, 0.1 * t, -0.1 * t, *row] for t, row in enumerate(rows)], np.float32)


def transition(rows: list[Row]) -> dict[str, np.ndarray]:
    """What becomes of a window's first row, the only one that is trained."""
    (made,) = transitions([rows], len(rows) - 1)
    return made


def transitions(windows: list[list[Row]], n_step: int) -> list[dict[str, np.ndarray]]:
    """What becomes of all rows but the last ``n_step`` of each window."""
    item = {"rows": tf.constant(np.stack([window(rows) for rows in windows]))}
    made = to_n_step_transitions(unpack(item, layout(n_step, len(windows[0]) - n_step)), n_step, DISCOUNT)
    count = len(made.time_step.observation)
    for each in (made.time_step, made.next_time_step):
        assert each.step_type.numpy().tolist() == [MID] * count, "TF-Agents masks nothing"
    columns = {
        "observation": made.time_step.observation,
        "action": made.action_step.action,
        "reward": made.next_time_step.reward,
        "discount": made.next_time_step.discount,
        "next_observation": made.next_time_step.observation,
    }
    return [{name: column[index].numpy() for name, column in columns.items()} for index in range(count)]


def test_no_end_inside_the_window() -> None:
    made = transition([(1.0, 1.0, FIRST), (2.0, 1.0, MID), (4.0, 1.0, MID), (8.0, 1.0, MID)])
    assert made["reward"] == pytest.approx(1.0 + 1.8 + 3.24)  # 1 + 0.9 * 2 + 0.81 * 4; the fourth reward is not ours
    assert made["discount"] == pytest.approx(0.81)  # the agent multiplies by 0.9 once more: 0.729 after three decisions
    assert list(made["next_observation"]) == [13.0, 23.0]
    assert list(made["observation"]) == [10.0, 20.0]
    assert np.allclose(made["action"], [0.0, 0.0])


def test_a_termination_inside_the_window_is_not_bootstrapped_from() -> None:
    made = transition([(1.0, 1.0, MID), (-5.0, 0.0, MID), (0.0, 0.0, LAST), (0.0, 0.0, PAD)])
    assert made["reward"] == pytest.approx(-3.5)  # 1 - 0.9 * 5
    assert made["discount"] == 0.0


def test_a_truncation_inside_the_window_is_bootstrapped_from_the_last_observation() -> None:
    made = transition([(1.0, 1.0, MID), (2.0, 1.0, MID), (0.0, 0.0, LAST), (0.0, 0.0, PAD)])
    assert made["reward"] == pytest.approx(2.8)  # 1 + 0.9 * 2
    assert made["discount"] == pytest.approx(0.9)  # two decisions: 0.9 here, 0.9 by the agent
    assert list(made["next_observation"]) == [12.0, 22.0]
    with_value_10 = made["reward"] + DISCOUNT * made["discount"] * 10.0
    assert with_value_10 == pytest.approx(10.9)  # 2.8 + 0.81 * 10


def test_a_crash_on_the_last_counted_decision() -> None:
    made = transition([(1.0, 1.0, MID), (1.0, 1.0, MID), (-4.0, 0.0, MID), (0.0, 0.0, LAST)])
    assert made["reward"] == pytest.approx(1.0 + 0.9 - 3.24)
    assert made["discount"] == 0.0


def test_what_lies_behind_an_episodes_end_does_not_matter() -> None:
    clean = transition([(1.0, 1.0, MID), (0.0, 0.0, LAST), (0.0, 0.0, PAD), (0.0, 0.0, PAD)])
    dirty = transition([(1.0, 1.0, MID), (50.0, 0.3, LAST), (60.0, 0.2, PAD), (70.0, 0.1, PAD)])
    assert clean["discount"] == 1.0
    for name, value in clean.items():
        assert np.array_equal(dirty[name], value), name


@st.composite
def windows(draw: st.DrawFn) -> list[Row]:
    """A window of an episode that ends inside it by a termination, by a truncation, or not at all."""
    n_step = draw(st.integers(1, 8))
    decisions = draw(st.integers(1, n_step + 1))
    rewards = draw(st.lists(st.floats(-5, 5, width=32), min_size=decisions, max_size=decisions))
    ends = decisions <= n_step
    crash = ends and draw(st.booleans())
    rows = [
        (reward, 0.0 if crash and t == decisions - 1 else 1.0, FIRST if t == 0 and draw(st.booleans()) else MID)
        for t, reward in enumerate(rewards)
    ]
    if ends:
        rows.append((0.0, 0.0, LAST))
    return rows + [(0.0, 0.0, PAD)] * (n_step + 1 - len(rows))


def slow_transition(rows: list[Row]) -> tuple[float, float, int]:
    """Reward, discount and the row that is bootstrapped from, one decision after the other."""
    total, factor, row = 0.0, 1.0, 0
    while row < len(rows) - 1 and rows[row][2] in (FIRST, MID):
        reward, survives, _ = rows[row]
        total += factor * reward
        factor *= DISCOUNT * survives
        row += 1
        if survives == 0.0:
            break
    return total, factor / DISCOUNT, row


@settings(max_examples=150, deadline=None)
@given(rows=windows())
def test_the_slow_second_implementation_agrees(rows: list[Row]) -> None:
    made = transition(rows)
    reward, discount, row = slow_transition(rows)
    assert made["reward"] == pytest.approx(reward, abs=1e-4)
    assert made["discount"] == pytest.approx(discount, abs=1e-6)
    assert list(made["next_observation"]) == [10.0 + row, 20.0 + row]


def test_a_batch_is_its_windows_one_by_one() -> None:
    batch = [
        [(1.0, 1.0, MID), (2.0, 1.0, MID), (3.0, 1.0, MID)],
        [(1.0, 0.0, MID), (0.0, 0.0, LAST), (0.0, 0.0, PAD)],
        [(1.0, 1.0, FIRST), (0.0, 0.0, LAST), (0.0, 0.0, PAD)],
    ]
    for made, rows in zip(transitions(batch, 2), batch, strict=True):
        assert_same(made, transition(rows))


def assert_same(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    for name, value in theirs.items():
        np.testing.assert_allclose(ours[name], value, atol=1e-6, err_msg=name)


def test_every_trained_row_against_numbers_worked_out_by_hand() -> None:
    going_on = [(1.0, 1.0, MID), (2.0, 1.0, MID), (4.0, 1.0, MID), (8.0, 1.0, MID), (16.0, 1.0, MID)]
    time_limit = [(1.0, 1.0, FIRST), (2.0, 1.0, MID), (0.0, 0.0, LAST), (0.0, 0.0, PAD), (0.0, 0.0, PAD)]
    crash = [(1.0, 1.0, MID), (2.0, 1.0, MID), (-4.0, 0.0, MID), (0.0, 0.0, LAST), (0.0, 0.0, PAD)]
    made = transitions([going_on, time_limit, crash], 2)
    # 1 + 0.9 * 2, 2 + 0.9 * 4, 4 + 0.9 * 8; 1 + 0.9 * 2, 2, nothing decided; 1 + 0.9 * 2, 2 - 0.9 * 4, -4
    rewards = [2.8, 5.6, 11.2, 2.8, 2.0, 2.8, -1.6, -4.0]
    assert [float(each["reward"]) for each in made] == pytest.approx(rewards)
    # two decisions are summed but where the episode ends: one more 0.9 comes from the agent
    assert [float(each["discount"]) for each in made] == pytest.approx([0.9, 0.9, 0.9, 0.9, 1.0, 0.9, 0.0, 0.0])
    assert [float(each["observation"][0]) for each in made] == [10, 11, 12, 10, 11, 10, 11, 12]
    assert [float(each["action"][0]) for each in made] == pytest.approx([0.0, 0.1, 0.2, 0.0, 0.1, 0.0, 0.1, 0.2])
    assert [float(each["next_observation"][0]) for each in made] == [12, 13, 14, 12, 12, 12, 13, 13]


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_a_long_window_is_its_short_ones(data: st.DataObject) -> None:
    n_step, trained = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 9))
    decisions = data.draw(st.integers(1, trained + n_step))
    crash = data.draw(st.booleans())
    rewards = data.draw(st.lists(st.floats(-5, 5, width=32), min_size=decisions, max_size=decisions))
    rows = [(reward, 0.0 if crash and t == decisions - 1 else 1.0, MID) for t, reward in enumerate(rewards)]
    rows = [*rows, (0.0, 0.0, LAST), *[(0.0, 0.0, PAD)] * (trained + n_step)][: trained + n_step]
    made = transitions([rows], n_step)
    assert len(made) == min(decisions, trained)
    for first, each in enumerate(made):
        alone = transition(rows[first : first + n_step + 1])
        assert float(each["reward"]) == pytest.approx(float(alone["reward"]), abs=1e-4)
        assert float(each["discount"]) == pytest.approx(float(alone["discount"]), abs=1e-6)
        assert each["observation"][0] == alone["observation"][0] + first
        assert each["next_observation"][0] == alone["next_observation"][0] + first


def test_dealt_transitions_are_the_same_ones_one_of_each_window_in_turn() -> None:
    whole = [[(8.0 * number + t, 1.0, MID) for t in range(9)] for number in range(20)]
    ended = [(160.0, 1.0, MID), (161.0, 1.0, MID), (162.0, 1.0, MID), (0.0, 0.0, LAST), *5 * [(0.0, 0.0, PAD)]]
    batch = unpack({"rows": tf.constant(np.stack([window(rows) for rows in [*whole, ended]]))}, layout(1, 8))
    made, dealt = (to_n_step_transitions(batch, 1, DISCOUNT, dealt=dealt) for dealt in (False, True))
    order = dealt.next_time_step.reward.numpy().astype(int)
    assert sorted(order) == list(range(163))
    for before, after in zip(tf.nest.flatten(made), tf.nest.flatten(dealt), strict=True):
        assert np.array_equal(before.numpy()[order], after)
    turns = order[order < 160].reshape(8, 20)
    assert np.array_equal(turns // 8, np.tile(np.arange(20), (8, 1))), "the ended one may be left out of a turn"
    rows = turns.T % 8
    assert len({tuple(row) for row in rows}) > 15, "an order of its own for each window"


def test_columns_of_a_recurrent_item(small_config: Callable[..., Config]) -> None:
    recurrent = WindowLayout.from_config(small_config("rdpg", n_step=1))
    kinds = [PAD, FIRST, MID, MID, LAST, PAD, PAD]
    assert recurrent.rows == len(kinds)
    random = np.random.default_rng(0)
    rows = random.normal(size=(3, recurrent.rows, recurrent.row_size)).astype(np.float32)
    rows[:, :, -1] = kinds
    state = random.normal(size=(3, 1, recurrent.state_size)).astype(np.float32)
    columns: dict[str, Any] = unpack({"rows": tf.constant(rows), "state": tf.constant(state)}, recurrent)._asdict()
    size = recurrent.observation_size
    assert np.array_equal(columns["observation"], rows[..., :size])
    assert np.array_equal(columns["action"], rows[..., size : size + 2])
    assert np.array_equal(columns["reward"], rows[..., -3])
    assert np.array_equal(columns["discount"], rows[..., -2])
    assert np.array_equal(columns["step_type"], [[1, 0, 1, 1, 2, 1, 1]] * 3)
    assert np.array_equal(columns["decided"], [[0, 1, 1, 1, 0, 0, 0]] * 3)
    assert np.array_equal(columns["state"], state[:, 0])
