"""A running average of the weights that come from the learner: steadier on the road than the newest alone."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

SHARE_OF_TRAINING = 0.1
"""The average is over no more than this share of the steps so far: early on, older weights know nothing yet."""


class WeightsAverage:
    """Exponential average over train steps (Polyak and Juditsky 1992, with a window that forgets).

    Args:
        steps: time constant in train steps; 0 keeps the newest weights alone.
    """

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._step = -1
        self._average: NDArray[np.float64] | None = None

    def add(self, step: int, flat_weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """Takes in the weights ``<float32>[size]`` of a train step; returns the average.

        A step before the last one means that training has gone back to a checkpoint: then the average begins anew.
        """
        time_constant = min(self._steps, SHARE_OF_TRAINING * step)
        if self._average is None or time_constant <= 0 or step < self._step:
            self._average = flat_weights.astype(np.float64)
        else:
            self._average += -math.expm1(-(step - self._step) / time_constant) * (flat_weights - self._average)
        self._step = step
        return self._average.astype(np.float32)
