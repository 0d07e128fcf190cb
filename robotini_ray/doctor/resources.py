"""Compares the cores, the GPU, the memory and the disks of this machine with what a config needs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from robotini_ray.config import Config, ConfigError
from robotini_ray.doctor.finding import Finding
from robotini_ray.machine.inventory import machine
from robotini_ray.machine.memory import available_memory_bytes
from robotini_ray.run.memory_needed import PROCESS_BYTES, check_memory, replay_bytes

COLLECTORS_PER_CORE = 2
MEMORY_MARGIN = 0.8
"""Share of the free memory that a run may need without a warning; the rest is for other programs."""

OBJECT_STORE_SHARE = 0.3
"""Share of the free memory that Ray reserves for its objects in /dev/shm."""

LEAST_DISK_BYTES = 1_000_000_000
RAY_DISK_LIMIT = 0.95
"""Share of its disk in use above which Ray refuses work."""

SHARED_MEMORY = Path("/dev/shm")


def check_cores(config: Config) -> list[Finding]:
    """Compares the collectors and the learner's threads with the cores that this process may use."""
    cores = len(os.sched_getaffinity(0))
    collectors = config.collection.collectors
    findings = []
    if collectors > COLLECTORS_PER_CORE * cores:
        what = f"{collectors} collectors on {cores} cores: more than {COLLECTORS_PER_CORE} per core wait for each other"
        least = -(-config.collection.cars // (COLLECTORS_PER_CORE * cores))
        cure = f"raise collection.cars_per_collector to {min(32, least)}, lower collection.cars, or add machines"
        findings.append(Finding("cores", "warning", what, cure))
    if config.learner.threads > cores:
        what = f"learner.threads is {config.learner.threads}, but there are {cores} cores"
        findings.append(Finding("cores", "warning", what, f"set learner.threads to {cores}"))
    return findings or [
        Finding("cores", "ok", f"{cores} for {collectors} collectors and {config.learner.threads} learner threads")
    ]


def check_gpu(config: Config) -> list[Finding]:
    """Checks that the machine has a GPU if the config asks for one; Ray would wait for a missing GPU without a message."""
    gpu, wanted = machine()["gpu"], config.learner.num_gpus
    if not wanted:
        return []
    if gpu is None:
        what = f"learner.num_gpus is {wanted:g}, but this machine has no NVIDIA GPU"
        return [Finding("gpu", "error", what, "set learner.num_gpus to 0, or train on a cluster with a GPU node (--address)")]
    return [Finding("gpu", "ok", str(gpu))]


def check_memory_for(config: Config, available_bytes: int | None = None) -> list[Finding]:
    """Compares the memory of the replay and of the processes with the free memory.

    Args:
        config: The config of the run.
        available_bytes: The free memory in bytes; None reads it from the machine.
    """
    available = available_memory_bytes() if available_bytes is None else available_bytes
    replay, item = replay_bytes(config), replay_bytes(config) / config.replay.capacity
    asked = (
        f"replay {replay / 1e9:.2f} GB ({item:,.0f} bytes an item x {config.replay.capacity:,}) and "
        f"{config.collection.collectors + 3} processes of {PROCESS_BYTES / 1e9:.2f} GB; {available / 1e9:.1f} GB are free"
    )
    try:
        check_memory(config, available)
    except ConfigError as error:
        _, _, cure = str(error).rpartition(": ")  # the cure follows the last colon
        return [Finding("memory", "error", asked, cure)]
    try:
        check_memory(config, int(MEMORY_MARGIN * available))
    except ConfigError:
        return [
            Finding("memory", "warning", f"{asked}: that leaves hardly any", "lower replay.capacity, or end other programs")
        ]
    return [Finding("memory", "ok", asked)]


def check_shared_memory(folder: Path = SHARED_MEMORY) -> list[Finding]:
    """Checks the free space of the folder in which Ray keeps its objects, among them the weights."""
    wanted = OBJECT_STORE_SHARE * available_memory_bytes()
    free = shutil.disk_usage(folder).free if folder.is_dir() else 0
    what = f"{free / 1e9:.1f} GB free in {folder}; Ray needs {wanted / 1e9:.1f} GB"
    if free >= wanted:
        return [Finding("shared memory", "ok", what)]
    cure = f"enlarge it (docker run --shm-size={wanted / 1e9:.0f}g): otherwise Ray uses the slower /tmp"
    return [Finding("shared memory", "warning", what, cure)]


def check_disk(config: Config, run_dir: Path, ray_folder: Path = Path("/tmp")) -> list[Finding]:
    """Checks the disk space for the kept checkpoints, each with its replay, and for Ray's own files.

    Args:
        config: The config of the run.
        run_dir: The run directory; it need not exist.
        ray_folder: The folder in which Ray keeps its files.
    """
    place = existing_parent(run_dir)
    free = shutil.disk_usage(place).free
    wanted = (config.learner.checkpoints_to_keep + 1) * replay_bytes(config)
    what = f"{free / 1e9:.1f} GB free for {run_dir}; its checkpoints take up to {wanted / 1e9:.1f} GB before compression"
    findings = []
    if free < LEAST_DISK_BYTES:
        findings.append(Finding("disk", "error", what, f"free some space on the disk of {place}, or choose another --run-dir"))
    elif free < wanted:
        cure = "free some space, choose another --run-dir, or lower learner.checkpoints_to_keep or replay.capacity"
        findings.append(Finding("disk", "warning", what, cure))
    ray = shutil.disk_usage(ray_folder)
    if ray.total - ray.free > RAY_DISK_LIMIT * ray.total:
        used = f"the disk of {ray_folder} is {100 * (1 - ray.free / ray.total):.0f} % full"
        cure = f"free some space there: above {100 * RAY_DISK_LIMIT:.0f} % Ray refuses work"
        findings.append(Finding("disk", "warning", used, cure))
    return findings or [Finding("disk", "ok", what)]


def existing_parent(path: Path) -> Path:
    """Returns the resolved path if it exists, else the nearest folder above it that does."""
    path = path.resolve()
    while not path.exists():
        path = path.parent
    return path
