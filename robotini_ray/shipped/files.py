"""Finds by name what comes with the package: tracks, policies and recipes.

The recipes lie in ``launch/`` of a checkout. A wheel has them in ``shipped/recipes``, where ``setup.py`` puts them.
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
    """The names of the shipped tracks."""
    return tuple(sorted(path.stem for path in TRACKS.glob("*.json") if path != LIMITS_FILE))


def shipped_policies() -> tuple[str, ...]:
    """The names of the shipped policies."""
    return tuple(sorted(path.parent.name for path in POLICIES.glob("*/policy.json")))


def find_recipe(path: Path) -> Path:
    """The config file that is meant: where ``td3.yaml`` or ``launch/td3.yaml`` does not exist, the shipped one is."""
    shipped = RECIPES / path.name
    if not path.exists() and path in (Path(path.name), LAUNCH / path.name) and shipped.is_file():
        return shipped
    return path
