"""A policy that a verb is told to take: by its directory, or by the name of one that is shipped."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from robotini_ray.acting import NumpyPolicy, PolicyError, load_policy
from robotini_ray.policy_origin import origin_warning
from robotini_ray.shipped.files import POLICIES, shipped_policies


def load_named_policy(name_or_path: Path) -> tuple[NumpyPolicy, dict[str, Any]]:
    """A policy and its facts; where it is from elsewhere, stderr says so before it is read.

    Args:
        name_or_path: a directory that exists goes before a shipped policy of that name.

    Raises:
        PolicyError: there is none.
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
