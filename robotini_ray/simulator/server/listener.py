"""Opens the ports that the simulator listens on, and accepts connections."""

from __future__ import annotations

import errno
import logging
import os
import socket
import time

from robotini_ray.errors import RobotiniError
from robotini_ray.simulator_address import host_and_port

LOG = logging.getLogger(__name__)

RETRY_S = 0.05
"""The pause of a server that can neither accept nor refuse a connection."""


class SimulatorError(RobotiniError):
    """Raised when the server cannot start; the message gives the reason and the cure."""


class Listener:
    """A non-blocking listening socket that never spins when the process has no file descriptor left.

    A connection that cannot be accepted stays in the queue, so that the socket stays readable and a loop over it would never
    rest. A spare descriptor, given up for a moment, makes room to accept and close such a connection.
    """

    def __init__(self, opened: socket.socket) -> None:
        """Takes over a listening socket."""
        self._socket = opened
        self._spare: int | None = os.open(os.devnull, os.O_RDONLY)
        self._has_warned = False

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fileno(self) -> int:
        """Returns the file descriptor, which is readable when a connection can be accepted."""
        return self._socket.fileno()

    def getsockname(self) -> tuple[str, int]:
        """Returns the address and the port that the socket is bound to."""
        host, port = self._socket.getsockname()[:2]
        return host, port

    def accept(self) -> socket.socket | None:
        """Returns the next connection, or None if it was closed meanwhile or was refused for want of a file descriptor."""
        try:
            return self._socket.accept()[0]
        except OSError as error:
            LOG.info("a connection could not be accepted: %s", error)
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._refuse(error)
            return None

    def close(self) -> None:
        """Closes the socket; may be called again."""
        self._socket.close()
        self._give_up_spare()

    def _refuse(self, error: OSError) -> None:
        """Closes the next connection, and warns the first time."""
        if not self._has_warned:
            self._has_warned = True
            LOG.warning("connections are refused: %s; raise the limit with `ulimit -n`", error.strerror)
        self._give_up_spare()
        try:
            self._socket.accept()[0].close()
            self._spare = os.open(os.devnull, os.O_RDONLY)
        except OSError:  # another thread or process was faster
            time.sleep(RETRY_S)

    def _give_up_spare(self) -> None:
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None


def listen(host: str, port: int) -> Listener:
    """Opens a non-blocking listening socket.

    Args:
        host: The name or address to bind; an IPv6 address is without brackets.
        port: The TCP port; 0 takes a free one.

    Raises:
        SimulatorError: The port cannot be bound.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except (OSError, OverflowError, ValueError) as error:  # ValueError: text that cannot be a host's name
        listener.close()
        reason = getattr(error, "strerror", None) or error
        raise SimulatorError(
            f"cannot listen on {host_and_port(host, port)} ({reason}); stop the program that uses it or choose another port, "
            "0 for a free one"
        ) from None
    listener.setblocking(False)
    return Listener(listener)
