"""Finds the tracks, policies and recipes (config files) that come with the package by their names.

In a checkout the recipes are in ``launch/``. In a wheel they are in ``shipped/recipes``, where ``setup.py`` puts them.
"""

from __future__ import annotations

from pathlib import Path

SHIPPED = Path(__file__).parent
TRACKS = SHIPPED / "tracks"
LIMITS_FILE = TRACKS / "limits.json"
POLICIES = SHIPPED / "policies"
LAUNCH = Path("launch")
RECIPES = SHIPPED / "recipes" if (SHIPPED / "recipes").is_dir() else SHIPPED.parents[1] / LAUNCH
QUICKSTART = RECIPES / "quickstart.yaml"


def shipped_tracks() -> tuple[str, ...]:
    """Returns the names of the shipped tracks, sorted."""
    return tuple(sorted(path.stem for path in TRACKS.glob("*.json") if path != LIMITS_FILE))


def shipped_policies() -> tuple[str, ...]:
    """Returns the names of the shipped policies, sorted."""
    return tuple(sorted(path.parent.name for path in POLICIES.glob("*/policy.json")))


def find_recipe(path: Path) -> Path:
    """Returns the path of a config file: the shipped ``td3.yaml`` if ``td3.yaml`` or ``launch/td3.yaml`` does not exist.

    Any other path, and that of a file that exists, is returned as it is.
    """
    shipped = RECIPES / path.name
    if not path.exists() and path in (Path(path.name), LAUNCH / path.name) and shipped.is_file():
        return shipped
    return path
