"""Runs all checks, in the order in which a user would fix their findings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from robotini_ray.config import Config
from robotini_ray.doctor import exposure, ports, ray_files, resources, simulator, software
from robotini_ray.doctor.finding import Finding
from robotini_ray.run.leftovers import describe_leftovers, find_leftovers, run_dirs_in


def examine(config: Config, run_dir: Path) -> Iterator[Finding]:
    """Yields the findings of all checks, one by one as they are made; all checks together take less than 15 s.

    Args:
        config: The config of the run that is to be checked.
        run_dir: The directory that the run will use.
    """
    yield from software.check_platform()
    yield from software.check_versions()
    yield from software.check_redis_server()
    yield from check_leftovers(run_dir)
    yield from ports.check_ports()
    yield from resources.check_cores(config)
    yield from resources.check_gpu(config)
    yield from resources.check_memory_for(config)
    yield from resources.check_shared_memory()
    yield from resources.check_disk(config, run_dir)
    yield from ray_files.check_ray_folder()
    yield from simulator.check_simulators(config)
    yield from exposure.check_token()
    yield from exposure.check_addresses()


def check_leftovers(run_dir: Path) -> list[Finding]:
    """Checks for processes that an earlier program has left running.

    Found are processes of this run, of the runs beside it, and of any other run whose processes carry the program's mark.
    """
    leftovers = find_leftovers({run_dir, *run_dirs_in(run_dir.parent)})
    if not leftovers:
        return [Finding("leftovers", "ok", "no process of an earlier program")]
    what, _, cure = describe_leftovers(leftovers).rpartition("; ")  # the cure follows the last semicolon
    return [Finding("leftovers", "warning", what, cure)]
