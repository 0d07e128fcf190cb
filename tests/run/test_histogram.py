import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from robotini_ray.run.histogram import BINS, Histogram

FLOATS = st.floats(-1e6, 1e6, width=32)


@given(st_numpy.arrays(np.float32, st_numpy.array_shapes(max_dims=2, max_side=20), elements=FLOATS))
def test_every_number_is_counted_between_the_least_and_the_greatest(values):
    found = Histogram.of(values)
    assert len(found.counts) == BINS == len(found.edges) - 1
    assert sum(found.counts) == values.size
    assert found.edges[0] <= values.min() and values.max() <= found.edges[-1]
    assert found.edges == sorted(found.edges)


def test_what_is_not_finite_is_left_out():
    assert sum(Histogram.of(np.array([1.0, np.nan, np.inf, 2.0], np.float32)).counts) == 2
    assert sum(Histogram.of(np.array([np.nan], np.float32)).counts) == 0


def test_counts_over_a_range():
    assert Histogram.over(-1.0, 1.0, [1, 2, 3, 4]) == Histogram([-1.0, -0.5, 0.0, 0.5, 1.0], [1, 2, 3, 4])
