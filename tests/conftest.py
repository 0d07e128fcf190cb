"""What tests of several packages need."""

import asyncio
import contextlib
import dataclasses
import itertools
import json
import math
import signal
import socket
import struct
import threading
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import aiohttp
import pytest
from hypothesis import settings

from robotini_ray.simulator.server import server as server_module
from robotini_ray.simulator.server.server import SimulatorServer
from robotini_ray.simulator.world.race_parameters import RaceParameters
from robotini_ray.simulator_address import SimulatorAddress
from robotini_ray.track.track import Track, load_track
from tests.waiting import LONG_S

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the background ignores it, and so would every child

settings.register_profile("robotini", deadline=None)  # no test depends on how fast the machine is
settings.load_profile("robotini")


@pytest.fixture(scope="session")
def make_track(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, list[tuple[float, ...]]], Track]:
    """Writes a track file and loads it.

    Its nodes are (x, y, z, heading in rad, distance to the control point ahead, how much that lies above the node); the first
    one is repeated at the end.
    """

    def make(name: str, nodes: list[tuple[float, ...]]) -> Track:
        entries = []
        for x, y, z, heading, handle_m, rise_m in [*nodes, nodes[0]]:
            direction = {"x": x + handle_m * math.sin(heading), "y": y + rise_m, "z": z + handle_m * math.cos(heading)}
            entries.append({"position": {"x": x, "y": y, "z": z}, "direction": direction})
        path = tmp_path_factory.mktemp("tracks") / f"{name}.json"
        path.write_text(json.dumps({"trackNodes": entries}))
        return load_track(str(path))

    return make


@pytest.fixture(scope="session")
def bridge_track(make_track: Callable[[str, list[tuple[float, ...]]], Track]) -> Track:
    """A figure of eight: the line runs through (0, 0) towards +x +z on the ground, and 0.25 m up towards -x +z."""
    places = [
        (0.0, 0.0, 0.0, 45), (2.5, 0.0, 2.0, 90), (4.5, 0.05, 0.0, 180), (2.5, 0.2, -2.0, 270),
        (0.0, 0.25, 0.0, 315), (-2.5, 0.2, 2.0, 270), (-4.5, 0.05, 0.0, 180), (-2.5, 0.0, -2.0, 90),
    ]  # fmt: skip
    return make_track("bridge", [(x, y, z, math.radians(heading_deg), 1.2, 0.0) for x, y, z, heading_deg in places])


@pytest.fixture(scope="session")
def serve() -> Callable[..., contextlib.AbstractContextManager[SimulatorAddress]]:
    """Runs an embedded simulator in lock-step in a thread, for the time of a context; keywords are those of SimulatorServer."""

    @contextlib.contextmanager
    def run(track_name: str = "oval", **settings: Any) -> Iterator[SimulatorAddress]:
        ports = {"car_port": 0, "log_port": 0}
        server = SimulatorServer(
            load_track(track_name), RaceParameters(), **ports, pace="max", answer_timeout_ms=600_000, **settings
        )
        thread = threading.Thread(target=server.run)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(server_module, "LOGIN_TIMEOUT_S", math.inf)
            thread.start()
            try:
                yield SimulatorAddress(server.car_address[0], server.car_address[1], server.log_address[1])
            finally:
                server.stop()
                thread.join()

    return run


@dataclasses.dataclass(frozen=True)
class SeenOnPage:
    """What a tab of the monitor has been told: the name of the track, the cars by name, and who has sent a picture."""

    track: str
    cars: dict[str, dict[str, Any]]
    with_picture: set[str]


@pytest.fixture(scope="session")
def watch_page() -> Callable[[str, Callable[[SeenOnPage], bool]], SeenOnPage]:
    """Is a tab of the monitor at an address until what it has been told is as wanted."""

    def watch(address: str, wanted: Callable[[SeenOnPage], bool]) -> SeenOnPage:
        return asyncio.run(asyncio.wait_for(_watch_page(address, wanted), timeout=600))

    return watch


async def _messages(address: str) -> AsyncIterator[str | bytes]:
    """Yields the monitor's messages to a tab, which connects again, as the page does, if the monitor hangs up on it."""
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.ws_connect(f"{address}socket", origin=address.rstrip("/")) as tab:
                await tab.send_str("next")
                async for message in tab:
                    yield message.data
                    if isinstance(message.data, bytes):
                        with contextlib.suppress(ConnectionError):  # the monitor is hanging up
                            await tab.send_str("next")


async def _watch_page(address: str, wanted: Callable[[SeenOnPage], bool]) -> SeenOnPage:
    track, pictured = "", set()
    async with contextlib.aclosing(_messages(address)) as messages:
        async for message in messages:
            if isinstance(message, str):
                track = json.loads(message).get("track", {}).get("name", track)
                continue
            size = struct.unpack_from("<I", message)[0]
            cars = {car["name"]: car for car in json.loads(message[4 : 4 + size])["cars"]}
            listed_bytes = struct.unpack_from("<I", message, 4 + size)[0]
            listed = {key for key, _ in json.loads(message[8 + size : 8 + size + listed_bytes])}
            pictured |= {name for name, car in cars.items() if car["key"] in listed}
            seen = SeenOnPage(track, cars, pictured)
            if wanted(seen):
                return seen


class FaultServer:
    """A scripted TCP server on a free loopback port: runs `script(sock)` for each connection in a thread, then closes it."""

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
            sock.settimeout(LONG_S)
            self._script(sock)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(timeout=LONG_S)


@pytest.fixture
def fault_server() -> Iterator[Callable[[Callable[[socket.socket], None]], FaultServer]]:
    """Starts fault servers, each with its script."""
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
