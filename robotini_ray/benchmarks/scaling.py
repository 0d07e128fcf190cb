"""Measures ``scaling``: rates of collecting and training by the number of cars and of nodes, all on this machine.

Each reading is a short training of ``launch/quickstart.yaml`` as users start it, on one node or on a Ray cluster of several:
a head with launcher, learner and replay, and nodes that offer the resource ``sim``. The replay ratio ties both rates
together: with few cars the learner waits for experience, with many the cars wait for the learner. The nodes share the
machine's cores, so that more nodes show what distribution costs, not what more machines gain. ``cluster/SCALING.md``
extrapolates from the processor time of replay, Redis, learner and simulators, and from the bytes of each stream (``wire``).
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ray.cluster_utils import Cluster

from robotini_ray.benchmarks.apparatus.cpu_time import cpu_time_s
from robotini_ray.benchmarks.apparatus.figure import Figure, Measurement, MeasurementError, Say
from robotini_ray.benchmarks.apparatus.pairs import spread
from robotini_ray.benchmarks.apparatus.training_run import last_printed, running_launch
from robotini_ray.benchmarks.wire import Bytes, Wire, read_wire
from robotini_ray.config import load_config
from robotini_ray.program.part import WORKER_ENVIRONMENT
from robotini_ray.program.placement import SIM
from robotini_ray.program.ray_token import LOCAL
from robotini_ray.shipped.files import QUICKSTART

CARS = (1, 2, 4, 8, 16)
NODES = (1, 2, 3)
CARS_PER_COLLECTOR = 4
WIRE_CARS = 8
UNDISTURBED = ["--evaluation.interval_s", "100000"]
NODE_ENVIRONMENT = {**WORKER_ENVIRONMENT, "RAY_worker_niceness": "0"}

SUMMARY_TIMEOUT_S = 600.0
"""Only a training that hangs meets this limit, however busy the machine is."""

POLL_S = 0.2
WARM_UP_SUMMARIES = 2

CLASSES = ("replay", "redis", "learner", "simulator", "collector")
"""Classes of processes: the beginnings of the names of their log files."""


class Reading(NamedTuple):
    """Rates of one training, and the processor seconds per frame of its processes by class (``CLASSES``)."""

    frames_per_s: float
    train_steps_per_s: float
    cpu_s_per_frame: dict[str, float]


def measure(
    say: Say, *, cars: Sequence[int] = CARS, nodes: Sequence[int] = NODES, window_s: float = 15.0, wire_window_s: float = 10.0
) -> list[Figure]:
    """Measures one training for each number of nodes and cars, then the bytes of each stream.

    Args:
        say: Takes a line of progress at a time.
        cars: Numbers of collecting cars.
        nodes: Numbers of nodes; 1 means a local Ray without a cluster.
        window_s: Duration over which each training is measured.
        wire_window_s: Duration over which bytes are counted.
    """
    readings: dict[tuple[int, int], Reading] = {}
    for count in nodes:
        say(f"scaling: starting {count} node{'s' * (count > 1)}")
        with _cluster(count, max(cars)) as address:
            for number in cars:
                reading = readings[count, number] = _read(address, number, window_s)
                say(
                    f"scaling: {count} nodes, {number} cars: {reading.frames_per_s:,.0f} frames/s, "
                    f"{reading.train_steps_per_s:.0f} train steps/s"
                )
    say("scaling: counting bytes in real time")
    wire = read_wire(load_config(QUICKSTART, {}), WIRE_CARS, wire_window_s)
    return [*rate_figures(readings), *wire_figures(wire)]


def rate_figures(readings: dict[tuple[int, int], Reading]) -> list[Figure]:
    """Computes the figures of the trainings.

    The first is the ratio of frame rates between the most and the fewest cars (one, by default) on the fewest nodes.

    Args:
        readings: By number of nodes and number of cars.
    """
    counts = sorted({cars for _, cars in readings})
    nodes = min(count for count, _ in readings)
    few, many = readings[nodes, counts[0]], readings[nodes, counts[-1]]
    figures = [Figure("scaling", spread([many.frames_per_s / few.frames_per_s]), f"x {counts[0]} car", None, "max")]
    for (count, cars), reading in readings.items():
        name = f"{count}_nodes_{cars}_cars"
        figures.append(Figure(f"scaling_collect_{name}", spread([reading.frames_per_s]), "frames/s", None, "max"))
        figures.append(Figure(f"scaling_train_{name}", spread([reading.train_steps_per_s]), "steps/s", None, "max"))
        figures += [
            Figure(f"scaling_cpu_{kind}_{name}", spread([1e6 * reading.cpu_s_per_frame[kind]]), "us/frame", None, "max")
            for kind in CLASSES
        ]
    return figures


def wire_figures(wire: Wire) -> list[Figure]:
    """Computes the figures of the bytes; bytes per frame are those of one car."""

    def row(name: str, value: float, unit: str) -> Figure:
        return Figure(f"scaling_bytes_{name}", spread([value]), unit, None, "realtime")

    def rows(suffix: str, stretch: Bytes, cars: int) -> list[Figure]:
        ticks = stretch.frames / cars
        return [
            row(f"camera_{suffix}", stretch.car_frames / stretch.frames, "B/frame"),
            row(f"commands_{suffix}", stretch.car_commands / stretch.frames, "B/frame"),
            row(f"spectator_{suffix}", stretch.spectator / ticks, "B/tick"),
            row(f"redis_{suffix}", 60 * stretch.redis / stretch.frames, "B/s and car"),
            row(f"replay_insert_{suffix}", stretch.replay_insert / stretch.decisions, "B/decision"),
        ]

    return [
        *rows("1_car", wire.one, 1),
        *rows(f"{wire.cars}_cars", wire.more, wire.cars),
        row("replay_sample", wire.sample_bytes, "B/item"),
        row("weights", wire.weights_bytes, "B/broadcast"),
    ]


@contextlib.contextmanager
def _cluster(nodes: int, cars: int) -> Iterator[str]:
    """Yields the address of a Ray cluster whose nodes, except the head, offer ``sim`` for all cars; ``local`` for one node."""
    if nodes == 1:
        yield LOCAL
        return
    environment = {"env_vars": NODE_ENVIRONMENT}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False, **environment})
    try:
        for _ in range(nodes - 1):
            cluster.add_node(num_cpus=1, resources={SIM: cars}, **environment)
        yield cluster.address
    finally:
        cluster.shutdown()


def _read(address: str, cars: int, window_s: float) -> Reading:
    with tempfile.TemporaryDirectory(prefix="robotini-") as folder:
        run_dir = Path(folder) / "run"
        flags = ["--run-dir", str(run_dir), "--address", address, "--cars", str(cars), *UNDISTURBED]
        flags += ["--collection.cars_per_collector", str(CARS_PER_COLLECTOR)]
        log = Path(folder) / "train.log"
        with running_launch(["train", str(QUICKSTART), *flags], log) as child:
            return _watch(child, run_dir, log, window_s)


def _watch(child: subprocess.Popen[bytes], run_dir: Path, log: Path, window_s: float) -> Reading:
    """Computes rates between two of the training's summaries, ``WARM_UP_SUMMARIES`` or more after the learner has begun."""
    summary = _next_summary(child, run_dir, log, None)
    while not summary["train_steps"]:
        summary = _next_summary(child, run_dir, log, summary)
    for _ in range(WARM_UP_SUMMARIES):
        summary = _next_summary(child, run_dir, log, summary)
    pids = part_pids(run_dir)
    first, began = summary, {pid: cpu_time_s(pid) for pid in pids}
    while summary["wall_s"] < first["wall_s"] + window_s:
        summary = _next_summary(child, run_dir, log, summary)
    frames, wall_s = summary["env_steps"] - first["env_steps"], summary["wall_s"] - first["wall_s"]
    used = dict.fromkeys(CLASSES, 0.0)
    for pid, kind in pids.items():
        used[kind] += cpu_time_s(pid) - began[pid]
    steps = summary["train_steps"] - first["train_steps"]
    return Reading(frames / wall_s, steps / wall_s, {kind: seconds / max(1, frames) for kind, seconds in used.items()})


def _next_summary(child: subprocess.Popen[bytes], run_dir: Path, log: Path, last: dict[str, Any] | None) -> dict[str, Any]:
    deadline_s = time.monotonic() + SUMMARY_TIMEOUT_S
    while child.poll() is None and time.monotonic() < deadline_s:
        time.sleep(POLL_S)
        path = run_dir / "summary.json"
        if path.exists():
            summary: dict[str, Any] = json.loads(path.read_text())
            if last is None or summary["wall_s"] > last["wall_s"]:
                return summary
    raise MeasurementError(f"the training has ended or writes no new summary.json; its last line: {last_printed(log)}")


def part_pids(run_dir: Path) -> dict[int, str]:
    """Returns the classes, by process id, of a run's processes on this machine, found by the log file that each holds open."""
    found: dict[int, str] = {}
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            target = descriptor.readlink()
        except OSError:  # another user's process, or one that has just ended
            continue
        if target.parent == run_dir / "logs" and target.suffix == ".log":
            kind = next((kind for kind in CLASSES if target.name.startswith(kind)), None)
            if kind is not None:
                found[int(descriptor.parts[2])] = kind
    return found


MEASUREMENTS: tuple[Measurement, ...] = (measure,)
