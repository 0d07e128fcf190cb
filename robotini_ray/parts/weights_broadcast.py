"""Broadcasts the learner's weights to the parts that drive, through Ray's object store."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import ray
from numpy.typing import NDArray

from robotini_ray.parts.interfaces import Handle, WeightsReceiver

GIVE_TIMEOUT_S = 10.0


class WeightsBroadcast:
    """Sends the actor's weights to the parts that drive.

    A broadcast takes one ``ray.put``, whatever the number of receivers, and does not wait for them. Only the newest version is
    kept.
    """

    def __init__(self) -> None:
        self._receivers: dict[str, Handle[WeightsReceiver]] = {}
        self._newest: tuple[int, ray.ObjectRef[NDArray[np.float32]]] | None = None

    def add(self, handles: Sequence[Handle[WeightsReceiver]]) -> None:
        """Adds receivers and sends them the newest weights, if there are any yet.

        Receivers are distinguished by name: a part that was started again replaces its earlier instance. Blocks until they have
        the weights, at most ``GIVE_TIMEOUT_S``.
        """
        self._receivers = {**self._receivers, **{handle.name: handle for handle in handles}}
        if self._newest is not None:
            version, weights = self._newest
            given = [handle.tell(WeightsReceiver.set_weights, version, weights, False) for handle in handles]
            ray.wait(given, num_returns=len(given), timeout=GIVE_TIMEOUT_S)

    def send(self, version: int, flat_weights: NDArray[np.float32], pause: bool) -> None:
        """Broadcasts weights ``<float32>[size]``; the arguments are those of ``WeightsReceiver.set_weights``."""
        weights = ray.put(flat_weights)
        self._newest = (version, weights)
        for receiver in self._receivers.values():
            receiver.tell(WeightsReceiver.set_weights, version, weights, pause)
