import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robotini_ray.benchmarks.apparatus.pairs import interleave, ratios, spread

AMOUNTS = st.floats(1e-3, 1e6)
PAIRS = st.lists(st.tuples(AMOUNTS, AMOUNTS), min_size=1, max_size=15)


@given(st.lists(AMOUNTS, min_size=1, max_size=15))
def test_a_spread_is_the_median_and_the_extremes(values):
    ordered = sorted(values)
    found = spread(values)
    assert (found.low, found.high, found.pairs) == (ordered[0], ordered[-1], len(values))
    below, above = sum(value < found.value for value in values), sum(value > found.value for value in values)
    assert max(below, above) <= len(values) / 2


@given(PAIRS)
def test_ratios_are_taken_pair_by_pair(pairs):
    over, under = zip(*pairs, strict=True)
    expected = [one / other for one, other in pairs]
    assert ratios(over, under) == (statistics.median(expected), min(expected), max(expected), len(pairs))


@given(PAIRS, st.lists(st.floats(0.1, 10), min_size=15, max_size=15))
def test_a_machine_that_is_slower_for_a_whole_pair_changes_nothing(pairs, slowness):
    over, under = zip(*pairs, strict=True)
    factors = slowness[: len(pairs)]
    slower = ratios(
        [value * factor for value, factor in zip(over, factors, strict=True)],
        [value * factor for value, factor in zip(under, factors, strict=True)],
    )
    assert slower == pytest.approx(ratios(over, under))


def test_pairs_that_do_not_match_are_refused():
    with pytest.raises(ValueError):
        ratios([1.0, 2.0], [1.0])


def test_measures_take_turns_forwards_and_backwards():
    taken, said = [], []

    def measure(name):
        return lambda: taken.append(name) or len(taken)

    readings = interleave({name: measure(name) for name in "abc"}, 3, said.append)
    assert "".join(taken) == "abccbaabc"
    assert readings == {"a": [1, 6, 7], "b": [2, 5, 8], "c": [3, 4, 9]}
    assert said == [1, 2, 3]
