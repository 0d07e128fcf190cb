"""Walls in bends tighter than they stand from the line, and bridges: laps without false crashes, levels kept apart."""

import math

import numpy as np
import pytest

from robotini_ray.simulator.world import contacts, physics
from robotini_ray.track.centre_line import LEFT_WALL, RIGHT_WALL

AHEAD_M = 0.3  # where the driver looks
HAIRPIN_M = 0.39  # less than the walls' 0.44 m: the inner walls of bend and legs cross


class Driven:
    """One car, steered along the centre line."""

    def __init__(self, track, arc_m=0.0, **place):
        self.track = track
        self.cars = physics.parked_cars(1)
        self.cars["present"] = True
        physics.place_car(self.cars, 0, track.line, arc_m, **place)
        self.touching = np.zeros((1, 1), np.bool_)
        self.frames = self.contacts = 0

    def step(self):
        physics.advance(self.cars, self.touching, self.track.line, physics.STEPS_OF_FRAME[self.frames % 3], True)
        self.frames += 1
        self.contacts += int(self.cars["new_wall_contacts"][0])

    def follow_line(self, throttle):
        """One frame; returns how far along the line it went."""
        x, z, heading, arc_m = (float(self.cars[name][0]) for name in ("x", "z", "heading", "arc"))
        target_x, target_z, _ = self.track.pose(self.track.locate(x, z, arc_m).arc_m + AHEAD_M)
        self.cars["throttle"] = throttle
        self.cars["turn"] = -3.0 * math.remainder(math.atan2(target_x - x, target_z - z) - heading, 2 * math.pi)
        self.step()
        return math.remainder(float(self.cars["arc"][0]) - arc_m, self.track.length_m)


@pytest.mark.parametrize(("name", "throttle"), [("hairpins", 0.04), ("bridge_track", 0.08)])
def test_laps_of_the_centre_line_touch_no_wall(request, name, throttle):
    track = request.getfixturevalue(name)
    driven = Driven(track)
    gained_m = [driven.follow_line(throttle) for _ in range(20)]
    while sum(gained_m) < 2 * track.length_m and driven.frames < 4000:
        gained_m.append(driven.follow_line(throttle))
        assert abs(driven.cars["offset"][0]) < 0.15
    assert sum(gained_m) >= 2 * track.length_m
    assert min(gained_m) >= 0.0
    assert max(gained_m) < 0.05  # what a car can drive in a frame
    assert driven.contacts == 0


def test_a_car_on_the_bridge_stays_up_there(bridge_track):
    driven, heights_m = Driven(bridge_track), []
    for _ in range(1500):
        driven.follow_line(0.08)
        arc_m, y = float(driven.cars["arc"][0]), float(driven.cars["y"][0])
        assert y == pytest.approx(bridge_track.height(arc_m) + physics.BODY_HEIGHT_M)
        heights_m.append(y)
    assert max(heights_m) == pytest.approx(0.25 + physics.BODY_HEIGHT_M, abs=0.001)
    assert min(heights_m) == pytest.approx(physics.BODY_HEIGHT_M, abs=0.001)
    assert np.abs(np.diff(heights_m)).max() < 0.01


def at_the_crossing(track, arcs_m):
    """Cars at rest at these places of the line."""
    cars = physics.parked_cars(len(arcs_m))
    cars["present"] = True
    for slot, arc_m in enumerate(arcs_m):
        physics.place_car(cars, slot, track.line, arc_m)
    touching = np.zeros((len(arcs_m), len(arcs_m)), np.bool_)
    physics.advance(cars, touching, track.line, 100, True)
    return cars, touching


def test_cars_above_each_other_do_not_touch(bridge_track):
    over_m = bridge_track.locate(0.0, 0.0, y=0.25).arc_m
    cars, touching = at_the_crossing(bridge_track, [0.0, over_m])
    assert math.hypot(cars["x"][0] - cars["x"][1], cars["z"][0] - cars["z"][1]) < 0.02
    assert cars["y"][1] - cars["y"][0] > 0.2
    assert not touching.any()
    assert np.hypot(cars["speed_x"], cars["speed_z"]).max() < 0.1
    _, touching = at_the_crossing(bridge_track, [over_m, over_m + 0.2])
    assert touching[0, 1]


def test_cars_touch_on_a_slope(bridge_track):
    arc_m = float(bridge_track.arc_m[np.abs(bridge_track.slopes_rad).argmax()])
    _, touching = at_the_crossing(bridge_track, [arc_m, arc_m + 0.2])
    assert touching[0, 1]


def test_the_wall_of_a_leg_too_near_stands_in_the_road(hairpins):
    """The legs are 0.78 m apart, so each leg's inner wall stands 0.34 m from the other's line; outer walls are free."""
    leg = np.abs(hairpins.points[:, 1]) < 0.9
    walls_m = hairpins.line.profile[:, [LEFT_WALL, RIGHT_WALL]]
    assert walls_m[leg, 0] == pytest.approx(0.44)
    assert walls_m[leg, 1] == pytest.approx(2 * HAIRPIN_M - 0.44, abs=0.002)
    apex = hairpins.points[:, 1].argmax()
    assert walls_m[apex, 1] == pytest.approx(0.44, abs=0.002)


@pytest.mark.parametrize(("offset_m", "touches"), [(0.27, False), (0.285, True), (-0.37, False), (-0.385, True)])
def test_a_car_touches_the_nearer_of_two_walls(hairpins, offset_m, touches):
    driven = Driven(hairpins, 1.0, offset_m=offset_m)
    driven.step()
    assert driven.contacts == touches
    assert math.copysign(1, driven.cars["offset"][0]) == math.copysign(1, offset_m)


def test_walls_of_the_other_level_do_not_count(bridge_track):
    assert bridge_track.line.narrowest_m == contacts.WALL_OFFSET_M


def test_cutting_through_the_crossed_walls_is_a_crash(hairpins):
    """From the apex straight back along the middle, where the legs' inner walls stand 0.1 m apart."""
    apex_m = float(hairpins.arc_m[hairpins.points[:, 1].argmax()])
    driven = Driven(hairpins, apex_m, turned_rad=math.pi / 2, speed_m_s=1.0)
    driven.cars["throttle"] = 0.06
    for _ in range(60):
        driven.step()
    assert driven.contacts == 1
    assert driven.cars["wall_contact_s"][0] > 0.2  # for which it would be put back


@pytest.mark.parametrize("level", [0.0, 0.25])
def test_a_place_is_looked_for_on_the_own_level(bridge_track, level):
    """Half a metre around the crossing, also right above the other level's line, the arc stays on its own."""
    arc_m = bridge_track.locate(0.0, 0.0, y=level).arc_m
    for along_m in np.arange(-0.5, 0.51, 0.1):
        for offset_m in (-0.4, 0.0, 0.4):
            x, z, heading = bridge_track.pose(arc_m + along_m)
            x, z = x + offset_m * math.cos(heading), z - offset_m * math.sin(heading)
            place = bridge_track.locate(x, z, y=level)
            assert abs(math.remainder(place.arc_m - arc_m - along_m, bridge_track.length_m)) < 0.05
            assert place.offset_m == pytest.approx(offset_m, abs=0.01)
