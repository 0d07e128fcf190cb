"""GameStatus: Unity's quaternion, and what the simulator without the fork leaves out."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robotini_ray.simulator.world.game_status import rotation
from robotini_ray.simulator.world.race import Race
from robotini_ray.simulator.world.race_parameters import RaceParameters
from robotini_ray.track.track import load_track


def rotated(quaternion, vector):
    """The vector turned by a unit quaternion, as Unity turns it: v + 2 q x (q x v + w v)."""
    axis, w = np.array([quaternion[key] for key in "xyz"]), quaternion["w"]
    return vector + 2 * np.cross(axis, np.cross(axis, vector) + w * np.array(vector))


@given(st.floats(-7, 7), st.floats(-1, 1))
def test_rotation_points_the_nose_along_heading_and_pitch(heading, pitch):
    nose = rotated(rotation(heading, pitch), [0, 0, 1])
    level = math.cos(pitch)
    assert nose == pytest.approx([level * math.sin(heading), math.sin(pitch), level * math.cos(heading)], abs=1e-9)
    right = rotated(rotation(heading, pitch), [1, 0, 0])
    assert right == pytest.approx([math.cos(heading), 0, -math.sin(heading)], abs=1e-9)


def test_a_car_on_a_slope_is_at_the_roads_height_and_climbs(bridge_track):
    race = Race(bridge_track, RaceParameters())
    race.join("team", "a")
    climbed = 0
    for _ in range(400):
        race.heard_from(0)
        race.command(0, "forward", 0.1)
        place = bridge_track.locate(race._motion["x"][0], race._motion["z"][0], race._motion["arc"][0])
        off_rad = math.remainder(race._motion["heading"][0] - place.heading_rad, 2 * math.pi)
        race.command(0, "turn", 3 * place.offset_m + 2 * off_rad - 0.5 * bridge_track.curvature(place.arc_m))
        race.step()
        (car,) = race.status({0: 1})["cars"]
        arc_m = float(race._motion["arc"][0])
        assert car["position"]["y"] == pytest.approx(bridge_track.height(arc_m) + 0.048, abs=1e-6)
        assert rotated(car["rotation"], [0, 0, 1])[1] == pytest.approx(math.sin(bridge_track.slope(arc_m)), abs=0.02)
        climbed += car["velocity"]["y"] > 0.01
    assert climbed > 60


def test_upstream_leaves_out_exactly_the_two_fields_of_the_fork():
    race = Race(load_track("oval"), RaceParameters())
    race.join("team", "a")
    race.step()
    (fork,) = race.status({0: 1})["cars"]
    (upstream,) = race.status({0: 1}, upstream=True)["cars"]
    assert set(fork) - set(upstream) == {"trackAngle", "trackSegment"}
    assert upstream == {key: fork[key] for key in upstream}
