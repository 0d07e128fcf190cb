import pytest

from robotini_ray.car import frame_meter
from robotini_ray.car.frame_meter import FrameMeter
from tests.fake_time import FakeTime


@pytest.fixture
def clock(monkeypatch):
    return FakeTime(monkeypatch, frame_meter)


def drive(meter, clock, frames, interval_s):
    for _ in range(frames):
        clock.now_s += interval_s
        meter.take(1)
        meter.measure()


def test_the_usual_rate_is_never_late(clock):
    meter = FrameMeter()
    drive(meter, clock, 120, 1 / 60)
    assert meter.per_s == pytest.approx(60, rel=0.02) and meter.late_share == 0.0


def test_five_frames_a_second_are_all_late(clock):
    meter = FrameMeter()
    drive(meter, clock, 20, 0.2)
    assert meter.per_s == pytest.approx(5, rel=0.01) and meter.late_share == 1.0


def test_a_burst_counts_whole_and_is_late_at_most_once(clock):
    meter = FrameMeter()
    clock.now_s += 1.0
    meter.take(200)
    meter.measure()
    assert meter.per_s == pytest.approx(200) and meter.late_share == pytest.approx(1 / 200)


def test_rates_go_to_zero_in_silence_and_hold_for_a_second(clock):
    meter = FrameMeter()
    drive(meter, clock, 61, 1 / 60)
    clock.now_s += 0.5
    meter.measure()
    assert meter.per_s > 50
    clock.now_s += 2.0
    meter.measure()
    assert meter.silence_s() == pytest.approx(2.5)
    clock.now_s += 1.0
    meter.measure()
    assert (meter.per_s, meter.late_share) == (0.0, 0.0)


def test_an_excused_silence_makes_nothing_late(clock):
    meter = FrameMeter()
    clock.now_s += 50.0
    meter.excuse_silence()
    assert meter.silence_s() == 0.0
    clock.now_s += 1 / 60
    meter.take(1)
    meter.measure()
    assert meter.late_share == 0.0


def test_counts_are_those_since_the_last_call(clock):
    meter = FrameMeter()
    drive(meter, clock, 70, 1 / 60)
    drive(meter, clock, 3, 0.2)
    assert meter.take_counts() == (73, 3)
    assert meter.take_counts() == (0, 0)
    clock.now_s += 1.0
    meter.take(2)
    assert meter.take_counts() == (2, 1)
