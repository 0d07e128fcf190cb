"""Triggers, segments and laps by Unity's rules."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robotini_ray.simulator.world.laps import LapAccount, Triggers
from robotini_ray.track.track import load_track

TRACK = load_track("oval")
LENGTH_M = TRACK.length_m


def segments_crossed(triggers, before_m, after_m):
    return [crossing.segment for crossing in triggers.crossed(before_m % LENGTH_M, after_m % LENGTH_M)]


def test_triggers_stand_where_the_track_puts_them():
    triggers = Triggers(TRACK, 30)
    for segment, arc_m in enumerate(TRACK.trigger_arcs_m(30)):
        assert segments_crossed(triggers, arc_m - 0.01, arc_m + 0.01) == [segment]
        assert segments_crossed(triggers, arc_m + 0.01, arc_m - 0.01) == [segment]


def test_the_finish_line_counts_as_segment_0():
    triggers = Triggers(TRACK, 3)
    assert segments_crossed(triggers, -0.02, 0.02) == [0]
    assert segments_crossed(triggers, 0.02, -0.02) == [0]
    assert triggers.segment_at(0.1) == 0
    assert triggers.segment_at(LENGTH_M * 0.3) == 0
    assert triggers.segment_at(LENGTH_M * 0.51) == 1
    assert triggers.segment_at(LENGTH_M * 0.99) == 2


def test_a_car_on_the_line_crosses_it_as_it_drives_off():
    triggers = Triggers(TRACK, 30)
    assert segments_crossed(triggers, 0.0, 0.0) == []
    assert segments_crossed(triggers, 0.0, 0.05) == [0]
    assert segments_crossed(triggers, 0.0, -0.05) == []


def test_several_triggers_in_one_move_come_in_the_order_met():
    triggers = Triggers(TRACK, 1000)
    forward = triggers.crossed(0.02, 0.06)
    assert [crossing.segment for crossing in forward] == [1, 2, 3]
    assert [crossing.part for crossing in forward] == sorted(crossing.part for crossing in forward)
    assert segments_crossed(triggers, 0.06, 0.02) == [3, 2, 1]


@given(start=st.floats(0, LENGTH_M), moves=st.lists(st.floats(-0.06, 0.06), max_size=40))
def test_crossings_balance_and_none_is_missed(start, moves):
    """Forward minus backward crossings of the line are the laps between start and end, wherever steps end."""
    triggers = Triggers(TRACK, 30)
    arc_m, crossed = start, 0
    for move in moves:
        found = triggers.crossed(arc_m % LENGTH_M, (arc_m + move) % LENGTH_M)
        assert all(0 <= crossing.part <= 1 + 1e-6 for crossing in found)
        crossed += round(math.copysign(1, move)) * len(found)
        arc_m += move
    spacing_m = LENGTH_M / 31
    exact = math.ceil(arc_m / spacing_m) - math.ceil(start / spacing_m)
    close = min(abs(math.remainder(end, spacing_m)) for end in (start, arc_m)) < 1e-9
    assert crossed == exact or (close and abs(crossed - exact) <= 1)


def drive(account, segments, seconds_each=1.0, start_s=0.0):
    results = []
    for index, segment in enumerate(segments):
        results.append(account.cross(segment, 3, start_s + index * seconds_each))
    return results


def test_lap_count_is_minus_1_then_0_then_laps():
    account = LapAccount()
    assert (account.lap_count, account.segment) == (-1, -1)
    assert drive(account, [0]) == [(True, False)]
    assert account.lap_count == 0
    assert math.isnan(account.last_lap_s)
    assert drive(account, [1, 2, 0], start_s=1.0) == [(True, False), (True, False), (True, True)]
    assert (account.lap_count, account.last_lap_s, account.best_lap_s, account.total_time_s) == (1, 3.0, 3.0, 3.0)
    drive(account, [1, 2, 0], seconds_each=2.0, start_s=5.0)
    assert (account.last_lap_s, account.best_lap_s) == (6.0, 3.0)
    assert account.lap_count == 2


def test_the_line_and_the_first_trigger_are_one_segment():
    account = LapAccount()
    assert drive(account, [0, 0, 1]) == [(True, False), (False, False), (True, False)]


def test_driving_backwards_sets_the_segment_without_progress():
    account = LapAccount()
    drive(account, [0, 1, 2])
    assert drive(account, [1, 0]) == [(False, False), (False, False)]
    assert account.segment == 0
    assert account.lap_count == 0


def test_json_has_unitys_names():
    assert set(LapAccount().to_json()) == {"lapCount", "lastLap", "bestLap", "totalTime", "dnf"}
    assert LapAccount().to_json()["lapCount"] == -1


def test_times_are_within_a_frame():
    triggers = Triggers(TRACK, 30)
    (crossing,) = triggers.crossed(LENGTH_M - 0.01, 0.03)
    assert crossing == (0, pytest.approx(0.25))
