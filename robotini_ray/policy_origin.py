"""Where a policy comes from: of a run of this user, or from somebody else."""

from __future__ import annotations

import os
from pathlib import Path

from robotini_ray.machine.terminal_text import one_line


def is_of_own_run(directory: Path) -> bool:
    """Whether a policy lies in ``RUN/policies`` of a run directory that this user made."""
    for folder in directory.resolve().parents:
        config = folder.parent / "config.yaml"
        if folder.name == "policies" and config.is_file():
            return config.stat().st_uid == os.getuid()
    return False


def origin_warning(directory: Path) -> str | None:
    """One line to say before a policy from elsewhere is loaded; None for one's own, and where there is none to load."""
    if is_of_own_run(directory) or not (directory / "policy.json").is_file():
        return None
    return (
        f"{one_line(str(directory), 200)} is in no run directory of yours: policy.json and weights.npz are read as plain text "
        "and numbers; a SavedModel beside them is a program, and is not loaded"
    )
