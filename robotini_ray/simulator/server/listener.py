"""Opens the ports that the simulator listens on, and accepts connections."""

from __future__ import annotations

import logging
import socket

from robotini_ray.errors import RobotiniError

LOG = logging.getLogger(__name__)


class SimulatorError(RobotiniError):
    """Raised when the server cannot start; the message gives the reason and the cure."""


def listen(host: str, port: int) -> socket.socket:
    """Opens a non-blocking listening socket.

    Args:
        host: The name or address to bind.
        port: The TCP port; 0 takes a free one.

    Raises:
        SimulatorError: The port cannot be bound.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or error
        raise SimulatorError(
            f"cannot listen on {host}:{port} ({reason}); stop the program that uses it or choose another port, 0 for a free one"
        ) from None
    listener.setblocking(False)
    return listener


def accept(listener: socket.socket) -> socket.socket | None:
    """Returns the next connection, or None if it was closed meanwhile or the process has no file descriptor left."""
    try:
        return listener.accept()[0]
    except OSError as error:
        LOG.info("a connection could not be accepted: %s", error)
        return None
