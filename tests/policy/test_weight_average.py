"""The running average of weights."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robotini_ray.policy.weight_average import WeightsAverage


def weights(*values):
    return np.array(values, np.float32)


def test_the_first_weights_are_the_average():
    assert WeightsAverage(100).add(5000, weights(3.0, -1.0)) == pytest.approx([3.0, -1.0])


def test_after_the_time_constant_the_old_ones_are_down_to_a_third():
    average = WeightsAverage(100)
    average.add(5000, weights(1.0))
    assert average.add(5100, weights(0.0)) == pytest.approx([np.exp(-1)])


def test_early_on_it_follows_faster():
    average = WeightsAverage(1000)
    average.add(100, weights(1.0))
    assert average.add(200, weights(0.0)) == pytest.approx([np.exp(-100 / 20)])  # a tenth of 200 steps


@given(st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=20), st.integers(1, 500))
def test_it_lies_among_what_it_has_seen(values, gap_steps):
    average, step = WeightsAverage(1000), 0
    for value in values:
        step += gap_steps
        now = average.add(step, weights(value))[0]
    assert min(values) - 1e-5 <= now <= max(values) + 1e-5


@given(st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=20))
def test_without_steps_it_is_the_newest(values):
    average = WeightsAverage(0)
    assert [average.add(step, weights(value))[0] for step, value in enumerate(values)] == values


def test_a_learner_that_has_gone_back_begins_it_anew():
    average = WeightsAverage(100)
    average.add(5000, weights(1.0))
    assert average.add(4000, weights(0.5)) == pytest.approx([0.5])


def test_what_it_returned_does_not_change_afterwards():
    average = WeightsAverage(100)
    returned = average.add(1000, weights(1.0))
    average.add(1100, weights(0.0))
    assert returned == pytest.approx([1.0])
