"""What figures were measured on: the machine and the versions of what does the work."""

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
"""Packages by their common name, and the distributions that may bring them."""


def machine(proc: Path = Path("/proc")) -> dict[str, Any]:
    """Model of the processor, cores that we may use, memory in bytes, model of the first GPU (None without one)."""
    return {
        "cpu": _field(proc / "cpuinfo", "model name") or platform.machine(),  # ARM's cpuinfo names no model
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": int((_field(proc / "meminfo", "MemTotal") or "0 kB").split()[0]) * 1024,
        "gpu": _gpu(proc),
    }


def versions() -> dict[str, str | None]:
    """Version of Python, of us and of what we use, None for what is not installed; nothing is imported to find out."""
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
    """NVIDIA's driver describes each GPU in a file of its own."""
    for path in sorted(proc.glob("driver/nvidia/gpus/*/information")):
        return _field(path, "Model")
    return None


def _field(path: Path, name: str) -> str | None:
    """The value of the first line ``name: value`` of a file under /proc."""
    for line in path.read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None
