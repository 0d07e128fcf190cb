"""The docstrings of the package are sentences that a stranger understands: what ruff's pydocstyle rules do not see."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "robotini_ray"
SOURCES = sorted(PACKAGE.rglob("*.py"))

RIDDLES = ("Of", "What", "Whether", "How", "Who", "Whose", "Where", "When", "Those", "That", "Likewise", "The same", "As", "It")
"""Words that no docstring begins with: they leave the subject out or ask a question."""

EMPTY_ARGUMENT = re.compile(r"^\s+\w+: [Oo]f (the|its|a|an|this) [\w' ]+\.$", re.MULTILINE)
"""An argument line such as ``run_dir: of the run.``, which says nothing."""


def docstrings(path: Path) -> Iterator[tuple[str, str]]:
    """The docstrings of a file, with the names of what they belong to."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node, clean=False)
            if text is not None:
                yield getattr(node, "name", path.stem), text


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_docstrings_say_something_in_one_style(path: Path) -> None:
    for name, text in docstrings(path):
        first = text.split("\n", 1)[0]
        assert not any(re.match(rf"{word}\b", first) for word in RIDDLES), f"{name}: {first}"
        assert not EMPTY_ARGUMENT.search(text), f"{name}: {EMPTY_ARGUMENT.search(text)}"
        assert not re.search(r"(?<!`)`[^`\n]+`(?!`)", text), f"{name}: code stands in double backticks"


def test_the_reading_of_docstrings_sees_what_there_is() -> None:
    assert sum(1 for path in SOURCES for _ in docstrings(path)) > 1500
    assert EMPTY_ARGUMENT.search("    Args:\n        run_dir: of the run.\n")
