"""Defines a histogram in plain numbers, for reports between parts and for TensorBoard."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

BINS = 30


@dataclasses.dataclass(frozen=True)
class Histogram:
    """A histogram: ``counts[k]`` values are between ``edges[k]`` and ``edges[k + 1]``.

    There is one edge more than there are counts.
    """

    edges: list[float]
    counts: list[int]

    @classmethod
    def of(cls, values: NDArray[np.float32]) -> Histogram:
        """Returns the histogram of an array of any shape, in ``BINS`` bins from its least to its greatest value.

        Values that are not finite are left out.
        """
        counts, edges = np.histogram(values[np.isfinite(values)], BINS)
        return cls(edges.tolist(), counts.tolist())

    @classmethod
    def over(cls, low: float, high: float, counts: list[int]) -> Histogram:
        """Returns the histogram with the given counts in bins of equal width from ``low`` to ``high``."""
        return cls(np.linspace(low, high, len(counts) + 1).tolist(), counts)
