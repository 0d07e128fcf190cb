"""Puts the recipes of launch/ into the wheel; everything else of the build stands in pyproject.toml."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

PACKAGE = "robotini_ray.shipped"


class BuildWithRecipes(build_py):
    """Copies ``launch/*.yaml`` to ``robotini_ray/shipped/recipes``, so that a checkout needs no second copy of them."""

    def _get_data_files(self):
        recipes = [path.name for path in Path("launch").glob("*.yaml")]
        target = Path(self.build_lib, *PACKAGE.split("."), "recipes")
        return [*super()._get_data_files(), (PACKAGE, "launch", str(target), recipes)]


setup(cmdclass={"build_py": BuildWithRecipes})
