"""The policies that are shipped with the package, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from robotini_ray.acting import NumpyPolicy, PolicyError, load_policy

PRETRAINED = Path(__file__).parent / "pretrained"


def pretrained_names() -> tuple[str, ...]:
    """Names of the policies in the package."""
    return tuple(sorted(path.parent.name for path in PRETRAINED.glob("*/policy.json")))


def find_policy(name_or_path: Path) -> Path:
    """The directory that is meant: one that exists goes before a shipped policy of that name."""
    if not name_or_path.exists() and str(name_or_path) in pretrained_names():
        return PRETRAINED / name_or_path
    return name_or_path


def load_named_policy(name_or_path: Path) -> tuple[NumpyPolicy, dict[str, Any]]:
    """A policy by its directory or its shipped name, and its facts.

    Raises:
        PolicyError: there is none.
    """
    directory = find_policy(name_or_path)
    if not directory.exists() and len(directory.parts) == 1:
        shipped = ", ".join(pretrained_names())
        raise PolicyError(f"{directory} is neither a directory nor a shipped policy; shipped are: {shipped}")
    return load_policy(directory)
