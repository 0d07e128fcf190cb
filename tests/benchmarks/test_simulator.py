import os
import subprocess
import sys
from pathlib import Path

import pytest

import robotini_ray
from robotini_ray.benchmarks import simulator
from robotini_ray.benchmarks.apparatus.cpu_time import cpu_time_s
from robotini_ray.benchmarks.apparatus.fleet import Window
from robotini_ray.benchmarks.simulator import Served, measure_lockstep, measure_realtime, realtime_figures
from robotini_ray.config import SimulatorConfig
from robotini_ray.simulator.embedded import temporary_simulator
from tests.waiting import LONG_S

PACKAGE_PARENT = str(Path(robotini_ray.__file__).parents[1])
TIMES = ["physics", "camera", "png", "socket", "waiting", "client"]


@pytest.fixture(autouse=True)
def package_path(monkeypatch):
    """Simulators find the package wherever the tests are started from."""
    monkeypatch.setenv("PYTHONPATH", PACKAGE_PARENT)


@pytest.fixture
def short_warm_ups(monkeypatch):
    monkeypatch.setattr(simulator, "WARM_UP_S", 0.01)
    monkeypatch.setattr(simulator, "REALTIME_WARM_UP_S", 0.01)


@pytest.mark.usefixtures("short_warm_ups")
class TestRealMeasurements:
    def test_lockstep(self):
        said = []
        figures = measure_lockstep(said.append, window_s=0.1, short_window_s=0.02, parts_window_s=0.01, rounds=2)
        names = [figure.name for figure in figures]
        assert names == [
            "simulator",
            "simulator_width_32",
            *(f"simulator_{cars}{width}" for width in ("", "_width_32") for cars in ("1_car", "24_cars")),
            *(f"simulator_time_{part}{width}" for width in ("", "_width_32") for part in TIMES),
        ]
        by_name = {figure.name: figure for figure in figures}
        assert {name: figure.target.value for name, figure in by_name.items() if figure.target} == {
            "simulator": 15.0,
            "simulator_width_32": 35.0,
        }
        for figure in figures:
            assert figure.spread.low <= figure.spread.value <= figure.spread.high
            assert (figure.spread.pairs, figure.pace, figure.network) == (2, "max", None)
            if not figure.name.startswith(("simulator_time_socket", "simulator_time_waiting")):
                assert figure.spread.low > 0
        assert len(said) == 3 and "round 2 of 2" in said[-1]

    def test_the_times_add_up_to_the_rate(self):
        figures = measure_lockstep(lambda line: None, window_s=0.1, short_window_s=0.01, parts_window_s=0.01, rounds=1)
        values = {figure.name: figure.spread.value for figure in figures}
        for width in ("", "_width_32"):
            frame_us = sum(values[f"simulator_time_{part}{width}"] for part in TIMES if part != "client")
            assert frame_us == pytest.approx(1e6 / (360 * values[f"simulator{width}"]))

    def test_realtime(self):
        said = []
        interval, share = measure_realtime(said.append, window_s=0.2, rounds=2)
        assert (interval.name, share.name) == ("simulator_frame_interval_p99", "simulator_core_share")
        assert interval.pace == share.pace == "realtime"
        assert interval.spread.value >= 1000 / 60 - 1  # it never sends more than 60 a second
        assert share.spread.value >= 0
        assert len(said) == 2


def stretch(intervals_s, wall_s=2.0, server_cpu_s=0.5):
    return Served(Window(len(intervals_s), wall_s, 0.1, intervals_s), server_cpu_s)


class TestRealtimeFigures:
    def test_late_frames_of_one_stretch_are_not_hidden_by_the_others(self):
        even, uneven = [0.0167] * 100, [0.0167] * 80 + [0.05] * 20
        interval, _ = realtime_figures([stretch(even), stretch(uneven), stretch(even)])
        assert interval.spread == pytest.approx((50.0, 16.7, 50.0, 3))
        assert interval.met is False

    def test_one_frame_of_a_thousand_may_be_late(self):
        interval, _ = realtime_figures([stretch([0.0167] * 999 + [0.05])])
        assert interval.spread.value == pytest.approx(16.7) and interval.met

    @pytest.mark.parametrize(("server_cpu_s", "met"), [(0.6, True), (0.7, False)])
    def test_the_share_of_a_core(self, server_cpu_s, met):
        _, share = realtime_figures([stretch([0.0167], server_cpu_s=server_cpu_s)] * 3)
        assert share.spread.value == pytest.approx(server_cpu_s / 2.0)
        assert share.met is met


def test_a_simulator_charges_for_its_work():
    with temporary_simulator(SimulatorConfig(pace="max"), 0) as running:
        assert running.lockstep
        assert 0 < cpu_time_s(running.pid) < 100
    with pytest.raises(FileNotFoundError):
        cpu_time_s(running.pid)


def test_it_needs_neither_tensorflow_nor_ray():
    code = "import sys, robotini_ray.commands.benchmark, robotini_ray.benchmarks.simulator; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=LONG_S, check=True, env=os.environ
    )
    loaded = set(done.stdout.split())
    assert "robotini_ray.simulator.world.race" in loaded
    assert not {"tensorflow", "tf_agents", "reverb", "ray"} & loaded
