"""trackAngle and trackSegment from positions alone, against a plain reference."""

import dataclasses
import functools
import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robotini_ray.car.errors import TrackMismatch
from robotini_ray.car.state import CarState
from robotini_ray.car.track_fields import ASTRAY_LIMIT_FRAMES, LEAPS_LIMIT, TrackFields
from robotini_ray.shipped.files import shipped_tracks
from robotini_ray.track.track import load_track

NUM_SEGMENTS = 12
RIDE_HEIGHT_M = 0.048
shipped = functools.cache(load_track)


def state_at(track, arc_m, offset_m=0.0, turned_rad=0.0):
    """A car `offset_m` right of the line, turned clockwise from its direction; the fields to compute are nonsense."""
    x, z, heading = track.pose(arc_m)
    return CarState(
        "car", 1, 0.0, x + offset_m * math.cos(heading), z - offset_m * math.sin(heading), track.height(arc_m) + RIDE_HEIGHT_M,
        1.0, 1.0, heading + turned_rad, -7.0, -7, 0, 0, 0,
    )  # fmt: skip


class Car:
    """A car under way, by arc lengths that go on counting from lap to lap."""

    def __init__(self, track, arc_m=0.0, num_segments=NUM_SEGMENTS):
        self.track = track
        self.fields = TrackFields(track, num_segments)
        self.spacing_m = track.length_m / (num_segments + 1)
        self.arc_m = arc_m
        self.segment = self.show().track_segment

    def show(self, offset_m=0.0):
        return self.fields.complete(state_at(self.track, self.arc_m, offset_m))

    def drive_to(self, arc_m, frame_m=0.06):
        """Every segment that is seen on the way, without repeats."""
        seen = [self.segment]
        frames = math.ceil(abs(arc_m - self.arc_m) / frame_m)
        for arc in [self.arc_m + (arc_m - self.arc_m) * number / frames for number in range(1, frames + 1)]:
            self.arc_m = arc
            self.segment = self.show().track_segment
            if self.segment != seen[-1]:
                seen.append(self.segment)
        return seen

    def put_to(self, arc_m):
        self.fields.put_back()
        self.arc_m = arc_m
        self.segment = self.show().track_segment
        return self.segment


def reference_segment(arcs_m, length_m, num_segments):
    """The segment after a drive: of the last trigger met, found by asking all of them about every move."""
    segment = -1
    triggers = [
        (lap * length_m + number * length_m / (num_segments + 1), entered)
        for lap in range(-3, 4)
        for number, entered in enumerate([0, *range(num_segments)])
    ]
    for before_m, after_m in itertools.pairwise(arcs_m):
        low_m, high_m = min(before_m, after_m), max(before_m, after_m)
        met = [(abs(at_m - before_m), entered) for at_m, entered in triggers if low_m <= at_m < high_m]
        if met:
            segment = max(met)[1]
    return segment


@settings(deadline=None, max_examples=60)
@given(
    name=st.sampled_from(shipped_tracks()),
    num_segments=st.integers(2, 120),
    start=st.floats(0, 1),
    moves_m=st.lists(st.floats(-0.25, 0.25) | st.floats(0.15, 0.25), max_size=150),
    offset_m=st.floats(-0.3, 0.3),
)
def test_random_drives_cross_what_the_reference_says(name, num_segments, start, moves_m, offset_m):
    track = shipped(name)
    spacing_m = track.length_m / (num_segments + 1)

    def beside_triggers(arc_m):
        """In a bend the place of a car beside the line is known to 8 mm only: keep farther from every trigger."""
        off_m = math.remainder(arc_m, spacing_m)
        return arc_m + math.copysign(max(0.0, 0.015 - abs(off_m)), off_m)

    arcs_m = [beside_triggers(start * track.length_m)]
    fields = TrackFields(track, num_segments)
    fields.complete(state_at(track, arcs_m[0], offset_m))
    for move_m in moves_m:
        arcs_m.append(beside_triggers(arcs_m[-1] + move_m))
        segment = fields.complete(state_at(track, arcs_m[-1], offset_m)).track_segment
        assert segment == reference_segment(arcs_m, track.length_m, num_segments)


@settings(deadline=None)
@given(name=st.sampled_from(shipped_tracks()), arc_m=st.floats(0, 40), turned_rad=st.floats(-10, 10))
def test_the_angle_is_between_the_car_and_the_line(name, arc_m, turned_rad):
    fields = TrackFields(shipped(name), NUM_SEGMENTS)
    angle_deg = fields.complete(state_at(shipped(name), arc_m, turned_rad=turned_rad)).track_angle_deg
    assert angle_deg == pytest.approx(math.degrees(math.acos(math.cos(turned_rad))), abs=1e-3)


def test_nothing_else_of_a_state_changes():
    state = state_at(shipped("oval"), 3.0)
    completed = TrackFields(shipped("oval"), NUM_SEGMENTS).complete(state)
    assert dataclasses.replace(completed, track_angle_deg=-7.0, track_segment=-7) == state


def test_a_lap_from_the_line():
    car = Car(shipped("oval"))
    assert car.drive_to(2 * car.track.length_m + 0.1) == [-1, *range(NUM_SEGMENTS), *range(NUM_SEGMENTS), 0]


def test_a_start_on_a_trigger_is_known_though_the_first_state_comes_a_frame_late():
    car = Car(shipped("oval"), 0.002)
    assert car.segment == 0
    assert Car(shipped("oval"), 0.02).segment == -1


def test_a_start_between_the_line_and_the_first_trigger():
    car = Car(shipped("oval"), 0.3)
    assert car.drive_to(0.9 * car.spacing_m) == [-1]
    assert car.drive_to(1.1 * car.spacing_m) == [-1, 0], "segment 0's own trigger"


def test_backwards_over_the_line():
    car = Car(shipped("oval"), 1.5 * shipped("oval").length_m / (NUM_SEGMENTS + 1))
    assert car.drive_to(-2.5 * car.spacing_m) == [-1, 0, NUM_SEGMENTS - 1, NUM_SEGMENTS - 2]
    assert car.drive_to(0.5 * car.spacing_m) == [NUM_SEGMENTS - 2, NUM_SEGMENTS - 1, 0], "each on the way back as well"


def test_to_and_fro_over_one_trigger():
    car = Car(shipped("oval"), 3.5 * shipped("oval").length_m / (NUM_SEGMENTS + 1))
    assert car.drive_to(4.2 * car.spacing_m) == [-1, 3]
    assert car.drive_to(3.8 * car.spacing_m) == [3], "crossing it backwards sets it again"


def test_a_put_back_car_is_in_the_segment_of_its_place():
    car = Car(shipped("twisty"))
    car.drive_to(1.5 * car.spacing_m)
    assert car.put_to(7.3 * car.spacing_m) == 6
    assert car.drive_to(8.1 * car.spacing_m) == [6, 7]
    assert car.put_to(8.1 * car.spacing_m - 0.3) == 6, "also close to where it was"
    assert car.put_to(0.2 * car.spacing_m) == 0


def test_a_put_back_before_the_first_trigger():
    car = Car(shipped("twisty"), 0.2)
    assert car.segment == -1
    assert car.put_to(4.5 * car.spacing_m) == 3


def test_a_put_back_that_is_announced_a_frame_early():
    car = Car(shipped("oval"))
    car.drive_to(1.5 * car.spacing_m)
    assert car.put_to(car.arc_m) == 0
    car.arc_m = 6.5 * car.spacing_m
    assert car.show().track_segment == 5


def test_a_car_over_the_wall_keeps_its_segment_until_it_is_put_back():
    car = Car(shipped("oval"))
    car.drive_to(2.5 * car.spacing_m)
    for number in range(ASTRAY_LIMIT_FRAMES):
        away = car.show(offset_m=-0.61 - 0.005 * number)  # to the outside
        assert away.track_segment == 1
        assert away.track_angle_deg == pytest.approx(0.0, abs=10.0)
    assert car.put_to(9.5 * car.spacing_m) == 8
    car.show(offset_m=-1.0)


def test_a_start_off_the_line_is_another_track():
    with pytest.raises(TrackMismatch, match=r"'car' is 0\.7\d m from the line of track 'oval\.json'.*--track"):
        TrackFields(shipped("oval"), NUM_SEGMENTS).complete(state_at(shipped("oval"), 1.0, -0.75))


def test_a_car_that_stays_off_the_line_is_on_another_track():
    car = Car(shipped("oval"))
    car.drive_to(1.0)
    with pytest.raises(TrackMismatch):
        for number in range(ASTRAY_LIMIT_FRAMES + 10):
            car.show(offset_m=-0.61 - 0.005 * number)


def test_a_car_that_leaps_across_the_walls_again_and_again_is_on_another_track():
    car = Car(shipped("oval"))
    car.drive_to(1.0)
    for number in range(2 * LEAPS_LIMIT):
        car.arc_m += 3.0
        car.show()
        if number == LEAPS_LIMIT - 1:
            car.put_to(car.arc_m)
    car.arc_m += 3.0
    with pytest.raises(TrackMismatch, match=r"is \d\.\d\d m from the line of track 'oval\.json'"):
        car.show()


def test_a_bridge_is_not_the_road_under_it(bridge_track):
    car = Car(bridge_track, -0.5)
    seen = car.drive_to(bridge_track.length_m - 0.5)
    assert seen == [-1, *range(NUM_SEGMENTS)], "through the crossing on both levels"
    assert car.drive_to(-0.6) == [*reversed(range(NUM_SEGMENTS))], "and back over the line"


@settings(deadline=None)
@given(part=st.floats(0, 1), offset_m=st.floats(-0.42, 0.42), bounce_m=st.floats(-0.008, 0.008))
def test_a_place_is_found_on_its_own_level(bridge_track, part, offset_m, bounce_m):
    arc_m = part * bridge_track.length_m
    state = state_at(bridge_track, arc_m, offset_m)
    place = bridge_track.locate(state.x, state.z, y=state.y + bounce_m)
    assert abs(math.remainder(place.arc_m - arc_m, bridge_track.length_m)) < 0.1
    assert place.offset_m == pytest.approx(offset_m, abs=0.01)


def test_put_back_onto_either_level(bridge_track):
    up_m = bridge_track.locate(0.0, 0.0, bridge_track.length_m / 2).arc_m
    for level_m in (0.0, up_m):
        car = Car(bridge_track, 3.0)
        assert car.put_to(level_m) == max(0, int(level_m / car.spacing_m) - 1)
        assert car.show().track_angle_deg == pytest.approx(0.0, abs=1.0)


def test_a_fall_from_the_bridge_onto_the_road_under_it(bridge_track):
    up_m = bridge_track.locate(0.0, 0.0, bridge_track.length_m / 2).arc_m
    car = Car(bridge_track, up_m - 0.3)
    car.drive_to(up_m)
    on_ground = []
    for number in range(12):  # to the right of the bridge, which is along the road under it
        state = state_at(bridge_track, up_m, 0.07 * number)
        height_m = max(0.0, 0.25 - 0.05 * number)
        on_ground.append(car.fields.complete(dataclasses.replace(state, y=height_m + RIDE_HEIGHT_M)))
    assert on_ground[5].track_angle_deg == pytest.approx(0.0, abs=15.0), "it is still beside the bridge"
    assert on_ground[11].track_angle_deg == pytest.approx(90.0, abs=15.0), "across the road that it has fallen onto"
    assert on_ground[11].track_segment == 0
