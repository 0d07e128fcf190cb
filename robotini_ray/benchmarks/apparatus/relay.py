"""Relays connections between clients and a server on this machine and counts the bytes of each direction."""

from __future__ import annotations

import selectors
import socket
import threading
from types import TracebackType

RECEIVE_BYTES = 1 << 16
POLL_S = 0.1


class Relay:
    """A relay that listens on a free port of 127.0.0.1 and forwards to a server, in a thread that ends with the context.

    Args:
        port: The server's port on 127.0.0.1.

    Attributes:
        port: The port that the relay listens on.
        to_server_bytes: Bytes sent by clients so far.
        to_client_bytes: Bytes sent by the server so far.
    """

    def __init__(self, port: int) -> None:
        self.to_server_bytes = 0
        self.to_client_bytes = 0
        self._server_port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._others: dict[socket.socket, socket.socket] = {}
        self._servers: set[socket.socket] = set()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)

    def __enter__(self) -> Relay:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ending.is_set():
            for key, _ in self._selector.select(POLL_S):
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                if sock is self._listener:
                    self._accept()
                elif sock in self._others:  # otherwise it was closed together with its other end
                    self._hand_on(sock)
        for sock in (self._listener, *self._others):
            sock.close()
        self._selector.close()

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        server = socket.create_connection(("127.0.0.1", self._server_port))
        for sock, other in ((client, server), (server, client)):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._others[sock] = other
            self._selector.register(sock, selectors.EVENT_READ)
        self._servers.add(server)

    def _hand_on(self, sock: socket.socket) -> None:
        other = self._others[sock]
        try:
            data = sock.recv(RECEIVE_BYTES)
            if sock in self._servers:  # counted before sending: the reader may look at the count at once
                self.to_client_bytes += len(data)
            else:
                self.to_server_bytes += len(data)
            other.sendall(data)
        except OSError:
            data = b""
        if not data:
            for end in (sock, other):
                self._selector.unregister(end)
                self._servers.discard(end)
                del self._others[end]
                end.close()
