"""Weights from the learner to everyone who drives, through Ray's object store."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import ray
from numpy.typing import NDArray

from robotini_ray.parts.interfaces import Handle, WeightsReceiver

GIVE_TIMEOUT_S = 10.0


class WeightsBroadcast:
    """Sends the actor's weights to the parts that drive.

    One ``ray.put`` whatever the number of receivers; sending waits for nobody, and only the newest version is kept.
    """

    def __init__(self) -> None:
        self._receivers: dict[str, Handle[WeightsReceiver]] = {}
        self._newest: tuple[int, ray.ObjectRef[NDArray[np.float32]]] | None = None

    def add(self, handles: Sequence[Handle[WeightsReceiver]]) -> None:
        """More receivers, by name: one that was started again takes the place of its earlier life.

        Returns when they have the newest weights, if there are any yet, or after some seconds.
        """
        self._receivers = {**self._receivers, **{handle.name: handle for handle in handles}}
        if self._newest is not None:
            version, weights = self._newest
            given = [handle.tell(WeightsReceiver.set_weights, version, weights, False) for handle in handles]
            ray.wait(given, num_returns=len(given), timeout=GIVE_TIMEOUT_S)

    def send(self, version: int, flat_weights: NDArray[np.float32], pause: bool) -> None:
        """Broadcasts ``<float32>[size]``; ``pause`` tells lock-step collectors that replay has enough for now."""
        weights = ray.put(flat_weights)
        self._newest = (version, weights)
        for receiver in self._receivers.values():
            receiver.tell(WeightsReceiver.set_weights, version, weights, pause)
