"""What tests of several packages need."""

import contextlib
import json
import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings

from robotini_ray.car.address import SimulatorAddress
from robotini_ray.simulator.parameters import RaceParameters
from robotini_ray.simulator.server import SimulatorServer
from robotini_ray.track import Track, load_track

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
            load_track(track_name), RaceParameters(), **ports, pace="max", answer_timeout_ms=60_000, **settings
        )
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            yield SimulatorAddress(server.car_address[0], server.car_address[1], server.log_address[1])
        finally:
            server.stop()
            thread.join()

    return run
