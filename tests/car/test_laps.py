import pytest
from hypothesis import given
from hypothesis import strategies as st

from robotini_ray.car.laps import Lap, LapCounter
from robotini_ray.car.state import CarState


def drive(counter, segments, start_s=0.0, frame_s=0.5, crashes=0, returns=0):
    """Feeds one state per segment of a list; an int is a segment, "crash" and "return" raise a counter first.

    Returns the completed laps.
    """
    laps, time_s = [], start_s
    for item in segments:
        if item == "crash":
            crashes += 1
        elif item == "return":
            returns += 1
        else:
            lap = counter.update(CarState("car", 1, time_s, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, item, crashes, 0, returns))
            time_s += frame_s
            if lap:
                laps.append(lap)
    return laps


def test_flying_laps_are_counted_line_to_line():
    assert drive(LapCounter(4), [3, 2, 3, 0, 1, 2, 3, 0, 0, 1, 2, 3, 0]) == [Lap(2.0, True), Lap(2.5, True)]


def test_a_start_from_minus_one_does_not_count():
    assert drive(LapCounter(3), [-1, -1, 0, 1, 2, 0]) == []
    assert drive(LapCounter(3), [-1, -1, 0, 1, 2, 0, 1, 2, 0]) == [Lap(1.5, True)]


def test_a_crash_makes_a_lap_unclean_and_the_next_can_be_clean():
    laps = drive(LapCounter(3), [-1, 0, 1, 2, "crash", 0, 1, "crash", 1, 2, 0, 1, 2, 0])
    assert [lap.clean for lap in laps] == [False, True]


def test_a_crash_on_the_frame_of_the_line_belongs_to_the_lap_that_ends():
    laps = drive(LapCounter(3), [-1, 0, 1, 2, 0, 1, 2, "crash", 0, 1, 2, 0])
    assert [lap.clean for lap in laps] == [False, True]


def test_a_return_to_track_ends_the_lap():
    assert drive(LapCounter(3), [-1, 0, 1, 2, 0, 1, "return", 1, 2, 0]) == []
    assert drive(LapCounter(3), [-1, 0, 1, 2, 0, 1, "return", 1, 2, 0, 1, 2, 0]) == [Lap(1.5, True)]


def test_the_first_trigger_after_a_return_is_not_taken_for_the_line():
    """Put back between the line and segment 0's trigger, segment 2 on record, the car shows 2 -> 0 at the trigger."""
    counter = LapCounter(3)
    assert drive(counter, [-1, 0, 1, 2, "return", 2, 0, 1, 2, 0]) == []
    assert drive(counter, [1, 2, 0], returns=1) == [Lap(pytest.approx(-3.0), True)]  # from the true line on


def test_a_return_that_moves_the_segment_is_no_crossing():
    assert drive(LapCounter(3), [-1, 0, 1, 2, "return", 0, 1, 2, 0]) == []


def test_a_skipped_or_backward_segment_ends_the_lap():
    assert drive(LapCounter(4), [-1, 0, 1, 2, 3, 0, 1, 3, 0]) == []
    assert drive(LapCounter(4), [-1, 0, 1, 2, 3, 0, 1, 2, 1, 2, 3, 0]) == []
    assert drive(LapCounter(4), [-1, 0, 3, 2, 1, 0, 3, 2, 1, 0]) == []


def test_reset_forgets_the_lap():
    counter = LapCounter(3)
    drive(counter, [-1, 0, 1, 2, 0, 1])
    counter.reset()
    assert drive(counter, [1, 2, 0]) == []


def test_two_segments_are_needed():
    with pytest.raises(ValueError, match="num_segments is 1"):
        LapCounter(1)


@given(st.lists(st.integers(-1, 4) | st.sampled_from(["lap", "return"]), max_size=30), st.integers(2, 5))
def test_a_lap_ends_exactly_where_the_rule_says(items, num_segments):
    """The rule said differently: the segments entered since the last return end in n-1, 0, 1, ..., n-1, 0."""
    whole_lap = [*range(num_segments), 0]
    counter, entered, previous, returns = LapCounter(num_segments), [], None, 0
    for item in items:
        if item == "return":
            returns += 1
            previous = None
            continue
        for segment in whole_lap if item == "lap" else [item]:
            lap = counter.update(CarState("car", 1, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, segment, 0, 0, returns))
            crossed = previous is not None and segment != previous
            entered = [] if previous is None else [*entered, segment] if crossed else entered
            previous = segment
            due = crossed and entered[-num_segments - 2 :] == [num_segments - 1, *whole_lap]
            assert (lap is not None) == due
