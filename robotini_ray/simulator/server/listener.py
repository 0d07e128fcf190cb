"""The ports that the simulator listens on."""

from __future__ import annotations

import logging
import socket

from robotini_ray.errors import RobotiniError

LOG = logging.getLogger(__name__)


class SimulatorError(RobotiniError):
    """The server cannot start; the message says why and what to do."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket that never blocks; port 0 takes a free one. Raises SimulatorError if the port cannot be bound."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or error
        raise SimulatorError(
            f"cannot listen on {host}:{port} ({reason}); stop what uses it or choose another port, 0 for a free one"
        ) from None
    listener.setblocking(False)
    return listener


def accept(listener: socket.socket) -> socket.socket | None:
    """The next connection, or None if it has gone again or no file is left for it."""
    try:
        return listener.accept()[0]
    except OSError as error:
        LOG.info("a connection could not be accepted: %s", error)
        return None
