"""Weights from the learner to everyone who drives, through Ray's object store."""

from __future__ import annotations

import numpy as np
import ray
from numpy.typing import NDArray

from robotini_ray.parts import PartHandle


class WeightsBroadcast:
    """Sends the actor's weights to parts that have ``set_weights(version, flat_weights, pause)``.

    One ``ray.put`` whatever the number of receivers; nothing is waited for, and only the newest version is kept.
    """

    def __init__(self) -> None:
        self._receivers: list[PartHandle] = []
        self._newest: ray.ObjectRef[NDArray[np.float32]] | None = None

    def add(self, handles: list[PartHandle]) -> None:
        """More receivers, from the next broadcast on."""
        self._receivers = self._receivers + handles

    def send(self, version: int, flat_weights: NDArray[np.float32], pause: bool) -> None:
        """Broadcasts ``<float32>[size]``; ``pause`` tells lock-step collectors that replay has enough for now."""
        self._newest = ray.put(flat_weights)
        for receiver in self._receivers:
            receiver.tell("set_weights", version, self._newest, pause)
