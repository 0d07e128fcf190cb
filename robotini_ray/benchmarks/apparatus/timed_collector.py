"""Runs a collector that measures how long each frame waits for its answer, by the kernel's time stamps."""

from __future__ import annotations

import socket
import struct
import time
from typing import Any

import robotini_ray.car.link
from robotini_ray.parts.collector import Collector

SO_TIMESTAMPNS = 35
"""Linux socket option, see ``socket(7)``: every read reports when its last byte arrived. Python has no name for it.

The time is that of the real-time clock, as ``time.time`` returns it.
"""

ANCILLARY_BYTES = 64
TIME_STAMP = struct.Struct("@qq")


class TimedSocket(socket.socket):
    """A socket that measures the time of each answer, from the arrival of the last byte read to the return of the write.

    Args:
        connected: A connected socket, which this one replaces.
        answers_s: The times are appended to this list.
    """

    def __init__(self, connected: socket.socket, answers_s: list[float]) -> None:
        super().__init__(fileno=connected.detach())
        self.setblocking(False)
        self.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._answers_s = answers_s
        self._arrived_s: float | None = None

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """Reads like ``socket.recv_into`` and notes when the bytes arrived."""
        count, ancillary, _, _ = self.recvmsg_into([buffer], ANCILLARY_BYTES)
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
                seconds, nanoseconds = TIME_STAMP.unpack(data[: TIME_STAMP.size])
                self._arrived_s = seconds + 1e-9 * nanoseconds
        return count

    def send(self, data: Any, flags: int = 0) -> int:
        """Sends like ``socket.send`` and notes how long the answer took."""
        sent = super().send(data, flags)
        if self._arrived_s is not None:
            self._answers_s.append(time.time() - self._arrived_s)
            self._arrived_s = None
        return sent


class TimedCollector(Collector):
    """A collector whose cars use sockets of the class ``TimedSocket``.

    It replaces ``open_socket`` of ``robotini_ray.car.link`` for the whole process, and so needs a process of its own.
    """

    def __init__(self, *arguments: Any) -> None:
        self._answers_s: list[float] = []
        module: Any = robotini_ray.car.link
        open_socket = module.open_socket
        module.open_socket = lambda *where: TimedSocket(open_socket(*where), self._answers_s)
        super().__init__(*arguments)

    def take_answers_s(self) -> list[float]:
        """Returns the times of the answers since the last call, in seconds, and clears them."""
        count = len(self._answers_s)
        taken = self._answers_s[:count]
        del self._answers_s[:count]
        return taken
