"""Describes the machine and the software versions that figures were measured with."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

import robotini_ray

DISTRIBUTIONS = {
    "numpy": ("numpy",),
    "numba": ("numba",),
    "opencv": ("opencv-python-headless", "opencv-python"),
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "tf-agents": ("tf-agents",),
    "reverb": ("dm-reverb",),
    "ray": ("ray",),
}
"""Packages by their common name, with the distributions that may provide them."""


def machine(proc: Path = Path("/proc")) -> dict[str, Any]:
    """Returns processor model, usable cores, memory in bytes and model of the first NVIDIA GPU (None without one)."""
    return {
        "cpu": _field(proc / "cpuinfo", "model name") or platform.machine(),  # cpuinfo names no model on ARM
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": int((_field(proc / "meminfo", "MemTotal") or "0 kB").split()[0]) * 1024,
        "gpu": _gpu(proc),
    }


def versions() -> dict[str, str | None]:
    """Returns the versions of Python, this package and ``DISTRIBUTIONS``; None for a package that is not installed.

    The versions are read from the metadata of the distributions, without importing them.
    """
    found = {name: _version(distributions) for name, distributions in DISTRIBUTIONS.items()}
    return {"python": platform.python_version(), "robotini_ray": robotini_ray.__version__, **found}


def _version(distributions: tuple[str, ...]) -> str | None:
    for distribution in distributions:
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def _gpu(proc: Path) -> str | None:
    """Returns the model of the first GPU; NVIDIA's driver describes each GPU in a file of its own."""
    for path in sorted(proc.glob("driver/nvidia/gpus/*/information")):
        return _field(path, "Model")
    return None


def _field(path: Path, name: str) -> str | None:
    """Returns the value of the first line ``name: value`` of a file under /proc, None without such a line."""
    for line in path.read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None
