"""What tests of several packages need."""

import json
import math

import pytest
from hypothesis import settings

from robotini_ray.track import Track, load_track

settings.register_profile("robotini", deadline=None)  # no test depends on how fast the machine is
settings.load_profile("robotini")


@pytest.fixture(scope="session")
def bridge_track(tmp_path_factory: pytest.TempPathFactory) -> Track:
    """A figure of eight: the line runs through (0, 0) towards +x +z on the ground, and 0.25 m up towards -x +z."""
    handle_m = 1.2
    nodes = []
    for x, y, z, heading_deg in [
        (0.0, 0.0, 0.0, 45), (2.5, 0.0, 2.0, 90), (4.5, 0.05, 0.0, 180), (2.5, 0.2, -2.0, 270),
        (0.0, 0.25, 0.0, 315), (-2.5, 0.2, 2.0, 270), (-4.5, 0.05, 0.0, 180), (-2.5, 0.0, -2.0, 90), (0.0, 0.0, 0.0, 45),
    ]:  # fmt: skip
        heading = math.radians(heading_deg)
        direction = {"x": x + handle_m * math.sin(heading), "y": y, "z": z + handle_m * math.cos(heading)}
        nodes.append({"position": {"x": x, "y": y, "z": z}, "direction": direction})
    path = tmp_path_factory.mktemp("tracks") / "bridge.json"
    path.write_text(json.dumps({"trackNodes": nodes}))
    return load_track(str(path))
