"""A histogram as plain numbers, as parts tell it each other and TensorBoard shows it."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

BINS = 30


@dataclasses.dataclass(frozen=True)
class Histogram:
    """Counts of ``[edges[k], edges[k + 1]]``; there is one edge more than there are counts."""

    edges: list[float]
    counts: list[int]

    @classmethod
    def of(cls, values: NDArray[np.float32]) -> Histogram:
        """Of an array of any shape, from its least to its greatest number; what is not finite is left out."""
        counts, edges = np.histogram(values[np.isfinite(values)], BINS)
        return cls(edges.tolist(), counts.tolist())

    @classmethod
    def over(cls, low: float, high: float, counts: list[int]) -> Histogram:
        """Of counts in bins of one width."""
        return cls(np.linspace(low, high, len(counts) + 1).tolist(), counts)
