"""Keeps a running average of the learner's weights, which drives more steadily than the newest weights alone."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

SHARE_OF_TRAINING = 0.1
"""The upper bound of the time constant, as a share of the train steps so far: early weights have learned too little yet."""


class WeightsAverage:
    """Computes an exponential average over train steps (Polyak and Juditsky 1992, with a window that forgets).

    Args:
        steps: The time constant in train steps; 0 keeps only the newest weights.
    """

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._step = -1
        self._average: NDArray[np.float64] | None = None

    def add(self, step: int, flat_weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """Adds the weights of a train step and returns the average, both ``<float32>[size]``.

        A step before the last one means that training has gone back to a checkpoint; the average then starts anew.
        """
        time_constant = min(self._steps, SHARE_OF_TRAINING * step)
        if self._average is None or time_constant <= 0 or step < self._step:
            self._average = flat_weights.astype(np.float64)
        else:
            self._average += -math.expm1(-(step - self._step) / time_constant) * (flat_weights - self._average)
        self._step = step
        return self._average.astype(np.float32)
