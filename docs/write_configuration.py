"""``python docs/write_configuration.py``: writes docs/configuration.md anew from the config's dataclasses."""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
import types
import typing
from pathlib import Path
from typing import Any, Literal

from robotini_ray.config import Config

PAGE = Path(__file__).parents[1] / "docs" / "configuration.md"
COMMAND = "python docs/write_configuration.py"
INTRODUCTION = f"""# Configuration

<!-- Made by `{COMMAND}` from robotini_ray/config.py: change it there. -->

A config file is YAML with the sections below; a key that it leaves out keeps its default. On the command line any value is
`--section.key VALUE`, which goes over the file, and a named flag such as `--cars` goes over both:

```
python -m robotini_ray.launch train launch/td3.yaml --agent.horizon_s 4 --agent.actor_layers [64,64] --cars 8
```

A run keeps every value in `runs/NAME/config.yaml`. A value out of its range or a key that does not exist is refused, with what
is allowed. The files in [launch/](../launch) are examples to start from.
"""


def main() -> None:
    """Writes the page."""
    PAGE.write_text(configuration_page())
    print(PAGE)


def configuration_page() -> str:
    """The page as Markdown."""
    hints = typing.get_type_hints(Config)
    return "\n".join([INTRODUCTION, *(_section(field.name, hints[field.name]) for field in dataclasses.fields(Config))])


def _section(name: str, hint: Any) -> str:
    """``hint`` is the dataclass of the section, or a tuple of such where the section is a list."""
    is_list = typing.get_origin(hint) is tuple
    kind = typing.get_args(hint)[0] if is_list else hint
    hints = typing.get_type_hints(kind)
    lines = [f"## {name}", "", inspect.cleandoc(kind.__doc__), ""]
    if is_list:
        lines += ["In a file a list, empty by default, of entries with these keys:", ""]
    lines += ["| key | default | allowed | what it is |", "| --- | --- | --- | --- |"]
    for field in dataclasses.fields(kind):
        allowed = _allowed(hints[field.name], field.metadata["low"], field.metadata["high"])
        meaning = field.metadata["doc"].replace("|", "\\|")
        lines.append(f"| `{field.name}` | `{_default(field.default)}` | {allowed} | {meaning} |")
    return "\n".join([*lines, ""])


def _default(value: Any) -> str:
    """As it is written in YAML."""
    return value if isinstance(value, str) and value else json.dumps(value)


def _allowed(hint: Any, low: float, high: float) -> str:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        (kind,) = (part for part in parts if part is not type(None))
        return f"{_allowed(kind, low, high)}, or null"
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in parts)
    if origin is tuple:
        what = "list of" if parts[-1] is Ellipsis else "[low, high],"
        return f"{what} {_allowed(parts[0], low, high)}"
    if hint is bool:
        return "true, false"
    if hint in (int, float):
        return f"{'whole ' if hint is int else ''}{_number(low)} to {_number(high)}"
    return "text"


def _number(value: float) -> str:
    if math.isinf(value):
        return "any"
    return f"{int(value):,}".replace(",", " ") if value == int(value) else f"{value:g}"


if __name__ == "__main__":
    main()
