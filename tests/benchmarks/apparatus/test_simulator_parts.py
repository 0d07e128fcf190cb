import pytest

from robotini_ray.benchmarks.apparatus import simulator_parts
from robotini_ray.benchmarks.apparatus.simulator_parts import STEPS_PER_PICTURE, Workbench
from robotini_ray.track.track import load_track


@pytest.fixture(scope="module")
def workbench():
    return Workbench(load_track("default"), cars=2, widths=(16,))


def test_each_part_takes_its_share_of_a_clock(workbench, monkeypatch):
    """On a clock that moves by one second each time it is read, a part takes one for both cars, all steps together too."""
    seconds = iter(range(10**9))
    monkeypatch.setattr(simulator_parts.time, "thread_time", lambda: float(next(seconds)))
    assert workbench.measure(16, seconds=0.0) == (0.5 / STEPS_PER_PICTURE, 0.5, 0.5)


def test_parts_take_time(workbench):
    assert min(workbench.measure(16, seconds=0.01)) > 0


def test_the_cars_drive_and_stay_on_the_road(workbench, monkeypatch):
    moments = iter(range(10**9))
    monkeypatch.setattr(simulator_parts.time, "perf_counter", lambda: float(next(moments)))
    crashes = []
    race = workbench._race
    monkeypatch.setattr(
        race, "take_events", lambda taken=race.take_events: crashes.extend(e for e in taken() if e["type"] == "CarCrashed")
    )
    before = race.frame
    workbench.measure(32, seconds=300)
    assert race.frame - before >= 500
    speeds = [car["velocity"]["x"] ** 2 + car["velocity"]["z"] ** 2 for car in race.status({0: 0, 1: 0})["cars"]]
    assert min(speeds) > 0.6**2 and crashes == []
