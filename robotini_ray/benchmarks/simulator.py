"""Measures the figures of ``simulator``: how fast the embedded simulator serves its cars, and where a frame's time goes.

The simulator is a process of its own, as users start it, and the client (``fleet``) is this process: two cores do the work.
In lock-step the value is the rate of frames over the socket, as a multiple of the 60 a second that each car gets in real
time. The ``simulator_time_`` figures are times per frame of one car: ``physics``, ``camera`` and ``png`` are processor
times that ``simulator_parts`` takes alone in this process; ``socket`` is the rest of the server's processor time (sockets,
parsing of lines, the loop); ``waiting`` is the rest of the wall time (for the client, or for a core); ``client`` is the
processor time of the client.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from robotini_ray.benchmarks.apparatus.cpu_time import cpu_time_s
from robotini_ray.benchmarks.apparatus.figure import Figure, Measurement, Say, Target
from robotini_ray.benchmarks.apparatus.fleet import Fleet, Window
from robotini_ray.benchmarks.apparatus.pairs import PAIRS, Spread, interleave, ratios, spread
from robotini_ray.benchmarks.apparatus.simulator_parts import PartTimes, Workbench
from robotini_ray.config import FRAMES_PER_SECOND, SimulatorConfig
from robotini_ray.simulator.embedded import EmbeddedSimulator, temporary_simulator
from robotini_ray.track.track import load_track

TRACK = "default"
SEED = 0
WIDTHS = (128, 32)
CARS = 6
MORE_CARS = (1, 24)

RATE_TARGETS = {128: Target("at least", 15.0), 32: Target("at least", 35.0)}
INTERVAL_TARGET = Target("at most", 1000 / FRAMES_PER_SECOND + 2.0)
CORE_TARGET = Target("at most", 1 / 3)

WARM_UP_S = 0.15
REALTIME_WARM_UP_S = 1.0


class Served(NamedTuple):
    """A stretch of driving, and the processor time that the server used during it."""

    window: Window
    server_cpu_s: float


class WidthReading(NamedTuple):
    """One round at one picture width: stretches by number of cars, and the times of the parts alone."""

    served: dict[int, Served]
    parts: PartTimes


def measure_lockstep(
    say: Say, *, window_s: float = 1.3, short_window_s: float = 0.25, parts_window_s: float = 0.3, rounds: int = PAIRS
) -> list[Figure]:
    """Measures rates and times per frame in lock-step (pace ``max``).

    Args:
        say: Takes a line of progress at a time.
        window_s: Duration of the stretch with six cars in each round.
        short_window_s: Duration of the stretches with one car and with 24.
        parts_window_s: Duration for which the parts are timed alone.
        rounds: Number of repetitions.
    """
    say("simulator: starting a simulator in lock-step")
    windows_s = {CARS: window_s, **dict.fromkeys(MORE_CARS, short_window_s)}
    with temporary_simulator(SimulatorConfig(track=TRACK, pace="max"), SEED) as simulator:
        workbench = Workbench(load_track(TRACK), CARS, WIDTHS)
        measures = {
            width: functools.partial(_read_width, simulator, workbench, width, windows_s, parts_window_s) for width in WIDTHS
        }
        readings = interleave(measures, rounds, lambda number: say(f"simulator: pace max, round {number} of {rounds}"))
    return [
        *(_rate_figure(width, CARS, readings[width]) for width in WIDTHS),
        *(_rate_figure(width, cars, readings[width]) for width in WIDTHS for cars in MORE_CARS),
        *(figure for width in WIDTHS for figure in _time_figures(width, readings[width])),
    ]


def measure_realtime(say: Say, *, window_s: float = 1.5, rounds: int = PAIRS) -> list[Figure]:
    """Measures the evenness of frames and the processor time in real time, with six cars and pictures of 128x80 pixels.

    Args:
        say: Takes a line of progress at a time.
        window_s: Duration of a stretch.
        rounds: Number of stretches, one after the other.
    """
    say("simulator: starting a simulator in real time")
    with (
        temporary_simulator(SimulatorConfig(track=TRACK, pace="realtime"), SEED) as simulator,
        Fleet(simulator.address, CARS, WIDTHS[0], lockstep=False) as fleet,
    ):
        fleet.drive(REALTIME_WARM_UP_S)
        say(f"simulator: pace realtime, {window_s * rounds:.0f} s")
        stretches = [_drive(simulator, fleet, window_s) for _ in range(rounds)]
    return realtime_figures(stretches)


def realtime_figures(stretches: Sequence[Served]) -> list[Figure]:
    """Computes the interval between frames and the processor share of the server.

    The interval is the 99th percentile of the time between two frames of a car over all stretches; its extremes are those
    of single stretches. The processor share is in cores: 1 is one core fully used.
    """
    p99s_ms = [_p99_ms(stretch.window.intervals_s) for stretch in stretches]
    overall_ms = _p99_ms([interval_s for stretch in stretches for interval_s in stretch.window.intervals_s])
    interval = Spread(overall_ms, min(p99s_ms), max(p99s_ms), len(p99s_ms))
    share = ratios([stretch.server_cpu_s for stretch in stretches], [stretch.window.wall_s for stretch in stretches])
    return [
        Figure("simulator_frame_interval_p99", interval, "ms", INTERVAL_TARGET, "realtime"),
        Figure("simulator_core_share", share, "cores", CORE_TARGET, "realtime"),
    ]


def _read_width(
    simulator: EmbeddedSimulator, workbench: Workbench, width: int, windows_s: dict[int, float], parts_window_s: float
) -> WidthReading:
    served = {}
    for cars, window_s in windows_s.items():
        with Fleet(simulator.address, cars, width, lockstep=True) as fleet:
            fleet.drive(WARM_UP_S)
            served[cars] = _drive(simulator, fleet, window_s)
    return WidthReading(served, workbench.measure(width, parts_window_s))


def _drive(simulator: EmbeddedSimulator, fleet: Fleet, seconds: float) -> Served:
    began_s = cpu_time_s(simulator.pid)
    window = fleet.drive(seconds)
    return Served(window, cpu_time_s(simulator.pid) - began_s)


def _rate_figure(width: int, cars: int, readings: Sequence[WidthReading]) -> Figure:
    """Computes frames per second as a multiple of real time. Only the rate with six cars has a target."""
    windows = [reading.served[cars].window for reading in readings]
    rate = ratios([window.frames for window in windows], [FRAMES_PER_SECOND * cars * window.wall_s for window in windows])
    words = () if cars == CARS else ("1_car" if cars == 1 else f"{cars}_cars",)
    return Figure(_name(*words, width=width), rate, "x real time", RATE_TARGETS[width] if cars == CARS else None, "max")


def _time_figures(width: int, readings: Sequence[WidthReading]) -> list[Figure]:
    """Computes where the time of a frame goes with six cars. None of these figures has a target."""

    def figure(word: str, time_s: Callable[[WidthReading], float]) -> Figure:
        times_us = spread([1e6 * time_s(reading) for reading in readings])
        return Figure(_name("time", word, width=width), times_us, "us/frame", pace="max")

    return [
        figure("physics", lambda reading: reading.parts.physics_s),
        figure("camera", lambda reading: reading.parts.camera_s),
        figure("png", lambda reading: reading.parts.png_s),
        figure("socket", lambda reading: _per_frame(reading, reading.served[CARS].server_cpu_s) - sum(reading.parts)),
        figure("waiting", _waiting_s),
        figure("client", lambda reading: _per_frame(reading, reading.served[CARS].window.client_cpu_s)),
    ]


def _waiting_s(reading: WidthReading) -> float:
    served = reading.served[CARS]
    return _per_frame(reading, served.window.wall_s - served.server_cpu_s)


def _per_frame(reading: WidthReading, seconds: float) -> float:
    return seconds / reading.served[CARS].window.frames


def _p99_ms(intervals_s: Sequence[float]) -> float:
    return 1000 * float(np.percentile(intervals_s, 99))


def _name(*words: str, width: int) -> str:
    """Joins the words of a figure's name; the width is added unless it is the full one (128)."""
    return "_".join(["simulator", *words, *([] if width == WIDTHS[0] else [f"width_{width}"])])


MEASUREMENTS: tuple[Measurement, ...] = (measure_lockstep, measure_realtime)
