"""A scripted fault server: a TCP server on a free loopback port whose every connection runs one function."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import struct
import threading
import zlib
from collections.abc import Callable, Iterator

import pytest

from robotini_ray.car.state import CarState


class FaultServer:
    """Runs `script(sock)` for each connection in a thread and closes the socket after it."""

    def __init__(self, script: Callable[[socket.socket], None]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        self._script = script
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            sock.settimeout(20)
            self._script(sock)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(timeout=20)


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[socket.socket], None]], FaultServer]]:
    servers: list[FaultServer] = []

    def start(script: Callable[[socket.socket], None]) -> FaultServer:
        servers.append(FaultServer(script))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def make_png(width: int = 16, height: int = 10, extra: bytes = b"", pixels: bytes | None = None) -> bytes:
    """An RGB PNG: black, or with the given packed pixel data; `extra` chunks go before the pixels."""
    packed = zlib.compress(bytes(height * (1 + 3 * width))) if pixels is None else pixels
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def framed(png: bytes) -> bytes:
    return struct.pack(">H", len(png)) + png


_timestamps = itertools.count()


def status_line(name: str = "car", segment: int = 3, **fields: object) -> bytes:
    """A GameStatus line with one car, later than the last one; `fields` replace or add to the car's."""
    car: dict[str, object] = {
        "name": name,
        "position": {"x": 1.0, "y": 0.048, "z": 2.0},
        "velocity": {"x": 0.0, "y": 0.0, "z": 1.5},
        "rotation": {"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0},
        "trackAngle": 4.5,
        "trackSegment": segment,
    }
    car.update(fields)
    return json.dumps({"type": "GameStatus", "timestamp": next(_timestamps), "cars": [car]}).encode() + b"\n"


@pytest.fixture
def wire() -> type:
    """The makers of wire bytes above, for tests of other modules."""

    class Wire:
        chunk = staticmethod(chunk)
        png = staticmethod(make_png)
        framed = staticmethod(framed)
        status = staticmethod(status_line)

    return Wire


@pytest.fixture
def car_state() -> Callable[..., CarState]:
    def make(**fields: object) -> CarState:
        values: dict[str, object] = {
            "name": "car", "frames_sent": 1, "game_time_s": 0.0, "x": 0.0, "z": 0.0, "y": 0.048, "speed_m_s": 1.0,
            "forward_speed_m_s": 1.0, "heading_rad": 0.0, "track_angle_deg": 0.0, "track_segment": 0, "crashes": 0,
            "bumps": 0, "returns": 0,
        }  # fmt: skip
        return CarState(**(values | fields))  # type: ignore[arg-type]

    return make
