"""Finds the tracks, policies and recipes (config files) that come with the package by their names.

In a checkout the recipes are in ``launch/``. In a wheel they are in ``shipped/recipes``, where ``setup.py`` puts them.
"""

from __future__ import annotations

from pathlib import Path

from robotini_ray.config_checks import ConfigError, nearest

SHIPPED = Path(__file__).parent
TRACKS = SHIPPED / "tracks"
LIMITS_FILE = TRACKS / "limits.json"
POLICIES = SHIPPED / "policies"
LAUNCH = Path("launch")
RECIPES = SHIPPED / "recipes" if (SHIPPED / "recipes").is_dir() else SHIPPED.parents[1] / LAUNCH
QUICKSTART = RECIPES / "quickstart.yaml"
RENAMED = {"record": "fastest_lap"}
"""The present names of recipes by their old ones; only the old file names, such as ``launch/record.yaml``, still find them."""


def shipped_tracks() -> tuple[str, ...]:
    """Returns the names of the shipped tracks, sorted."""
    return tuple(sorted(path.stem for path in TRACKS.glob("*.json") if path != LIMITS_FILE))


def shipped_policies() -> tuple[str, ...]:
    """Returns the names of the shipped policies, sorted."""
    return tuple(sorted(path.parent.name for path in POLICIES.glob("*/policy.json")))


def shipped_recipes() -> tuple[str, ...]:
    """Returns the names of the shipped recipes, sorted."""
    return tuple(sorted(path.stem for path in RECIPES.glob("*.yaml")))


def find_recipe(path: Path) -> Path:
    """Returns the path of a config file that is given by its path or by the name of a shipped recipe.

    A path that exists is returned as it is. Otherwise ``td3``, ``td3.yaml`` and ``launch/td3.yaml`` all mean the shipped
    ``td3.yaml``. Any other path is returned as it is, although there is no such file.

    Raises:
        ConfigError: ``path`` is a name without folder and ending, and neither a file nor a recipe has that name.
    """
    if path.exists():
        return path
    is_name = path == Path(path.stem)
    recipes = shipped_recipes()
    if is_name or (path.suffix == ".yaml" and path.parent in (Path(), LAUNCH)):
        name = path.stem if is_name else RENAMED.get(path.stem, path.stem)
        if name in recipes:
            return RECIPES / f"{name}.yaml"
    if is_name:
        raise ConfigError(f"config {path} is neither a file nor a shipped recipe; {_nearest_recipe(path.stem, recipes)}")
    return path


def _nearest_recipe(name: str, recipes: tuple[str, ...]) -> str:
    """Returns the end of an error message: the recipe with the most similar name if there is one, and all recipes."""
    hint, listed = nearest(name, recipes), ", ".join(recipes)
    return hint if listed in hint else f"{hint} All recipes: {listed}"
