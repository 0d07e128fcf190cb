"""The policies that are shipped with the package, by name."""

from __future__ import annotations

from pathlib import Path

PRETRAINED = Path(__file__).parent / "pretrained"


def pretrained_names() -> tuple[str, ...]:
    """Names of the policies in the package."""
    return tuple(sorted(path.parent.name for path in PRETRAINED.glob("*/policy.json")))


def pretrained_directory(name: str) -> Path:
    """The directory of a policy by its name, one of ``pretrained_names``."""
    return PRETRAINED / name
