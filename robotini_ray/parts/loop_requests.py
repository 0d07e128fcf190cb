"""Passes requests of other threads to a loop that owns the objects they need."""

from __future__ import annotations

import concurrent.futures
import queue
import threading
from collections.abc import Callable


class LoopRequests:
    """A queue of work that a loop does between two of its steps, while the requesting threads wait for the results."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[Callable[[], None], concurrent.futures.Future[None]]] = queue.SimpleQueue()
        self._ended = threading.Event()

    def ask(self, work: Callable[[], None]) -> None:
        """Has the loop do the work and returns when it is done; after the loop's end the calling thread does it.

        Raises:
            Exception: The work has raised it.
        """
        done: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._queue.put((work, done))
        if self._ended.is_set():
            self.serve()
        done.result()

    def serve(self) -> None:
        """Does all waiting work; the loop calls it between two steps."""
        while True:
            try:
                work, done = self._queue.get_nowait()
            except queue.Empty:
                return
            try:
                work()
                done.set_result(None)
            except Exception as error:  # it goes to the thread that waits for the result
                done.set_exception(error)

    def end(self) -> None:
        """Ends the loop's service after doing the work that still waits; call it at the loop's end."""
        self._ended.set()
        self.serve()
