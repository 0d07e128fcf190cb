"""Starts a Ray of this process's own, and again if Ray's own limits were too short for a busy machine.

Ray's node process ends itself when its two agents, which import for seconds of processor time, have not written down their
ports 15 s after their start. No setting changes that (https://github.com/ray-project/ray/issues/65983), and the same start
often succeeds a little later.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from robotini_ray.errors import RobotiniError
from robotini_ray.machine.processes import own_processes, process_stat

Started = TypeVar("Started")

ATTEMPTS = 5
SAY_AFTER_S = 15.0

PATIENCE = {
    "RAY_raylet_start_wait_time_s": "40",  # Ray's 30 are as long as the node's two waits for an agent together
    "RAY_agent_register_timeout_ms": "600000",  # Ray's 30 s; then the node ends itself
    "RAY_worker_register_timeout_seconds": "600",  # Ray's 60; then the process of a part is killed while it imports Ray
}
"""Environment variables of Ray, with values that a very busy machine keeps too."""


class RayStartError(RobotiniError):
    """Raised if the Ray on this machine does not start; the message is one line for the user."""


def start_head(start: Callable[[], Started], look: Callable[[], None], say: Callable[[str], None]) -> Started:
    """Returns what ``start`` returns, and calls it again after an error that says that the time has run out.

    Args:
        start: Starts Ray.
        look: Called before every further attempt; raises an error to end the attempts.
        say: Called with a line if an attempt takes longer than 15 s, and before every further attempt.

    Raises:
        RayStartError: The error of ``start``, at the last attempt or for another reason than the time.
    """
    attempt = 1
    while True:
        others = _children()
        try:
            with _said_if_long(say):
                return start()
        except RayStartError as error:
            if attempt == ATTEMPTS or "timed out" not in str(error):
                raise
        for process_id in _children() - others:
            os.kill(process_id, signal.SIGKILL)
        look()
        attempt += 1
        say(f"Ray has not started in the time that it allows itself, on a busy machine; attempt {attempt} of {ATTEMPTS}")


@contextlib.contextmanager
def _said_if_long(say: Callable[[str], None]) -> Iterator[None]:
    timer = threading.Timer(SAY_AFTER_S, say, ["Ray is still starting, which takes long on a busy machine"])
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _children() -> set[int]:
    """Returns the child processes of this process."""
    stats = {process_id: process_stat(process_id) for process_id in own_processes()}
    return {process_id for process_id, stat in stats.items() if stat is not None and stat.parent == os.getpid()}
