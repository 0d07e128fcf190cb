"""Loads the policy that a verb is given, by its directory or by the name of a shipped policy."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from robotini_ray.machine.terminal_text import one_line
from robotini_ray.policy.numpy_policy import NumpyPolicy
from robotini_ray.policy.policy_files import load_policy
from robotini_ray.policy.policy_spec import PolicyError
from robotini_ray.shipped.files import POLICIES, shipped_policies


def load_named_policy(name_or_path: Path) -> tuple[NumpyPolicy, dict[str, Any]]:
    """Returns a policy and its facts; before it reads a policy from elsewhere, it prints ``origin_warning`` on stderr.

    Args:
        name_or_path: The directory of a policy or the name of a shipped one; an existing directory takes precedence.

    Raises:
        PolicyError: There is no such policy, or it cannot be read.
    """
    if not name_or_path.exists() and str(name_or_path) in shipped_policies():
        return load_policy(POLICIES / str(name_or_path))
    if not name_or_path.exists() and len(name_or_path.parts) == 1:
        shipped = ", ".join(shipped_policies())
        raise PolicyError(f"{name_or_path} is neither a directory nor a shipped policy; shipped are: {shipped}")
    warning = origin_warning(name_or_path)
    if warning is not None:
        print(warning, file=sys.stderr)
    return load_policy(name_or_path)


def is_of_own_run(directory: Path) -> bool:
    """Returns whether a policy lies in ``RUN/policies`` of a run directory whose ``config.yaml`` belongs to this user."""
    for folder in directory.resolve().parents:
        config = folder.parent / "config.yaml"
        if folder.name == "policies" and config.is_file():
            return config.stat().st_uid == os.getuid()
    return False


def origin_warning(directory: Path) -> str | None:
    """Returns the warning to print before a policy from elsewhere is loaded.

    Returns:
        One line, or None if the policy lies in a run directory of this user, or if the directory holds no policy.
    """
    if is_of_own_run(directory) or not (directory / "policy.json").is_file():
        return None
    return (
        f"{one_line(str(directory), 200)} is not in a run directory of yours: policy.json and weights.npz are read as plain "
        "text and numbers; a SavedModel beside them is a program, and is not loaded"
    )
