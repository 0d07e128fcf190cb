"""The configs of ``launch/``, which a wheel carries as well (``recipes`` is a link to that directory in a checkout)."""

from __future__ import annotations

from pathlib import Path

RECIPES = Path(__file__).parent / "recipes"
QUICKSTART = RECIPES / "quickstart.yaml"


def find_recipe(path: Path) -> Path:
    """The file that is meant: where there is none of this name, ``td3.yaml`` and ``launch/td3.yaml`` mean the shipped one."""
    shipped = RECIPES / path.name
    if not path.exists() and path in (Path(path.name), Path("launch") / path.name) and shipped.is_file():
        return shipped
    return path
