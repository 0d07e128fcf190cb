"""Reads YAML as version 1.2 defines it, and refuses a key that is set twice.

PyYAML implements version 1.1, in which ``0123`` is 83, ``1:30`` is 90, ``no`` is false, ``1_000`` is 1000, ``1e-4`` is text and
``2024-01-01`` a date, and it takes the last one of equal keys. Here scalars have the types of the core schema of version 1.2
(https://yaml.org/spec/1.2.2/#103-core-schema). Merge keys (``<<``), which only version 1.1 has, still work.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from robotini_ray.machine.text_files import whole_number

DECIMAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
"""The numbers in decimal notation, whole ones included."""

_TAG = "tag:yaml.org,2002:"
_SCALARS = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("float", DECIMAL.pattern, list("-+.0123456789")),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.")),
    ("merge", r"<<", ["<"]),
)
"""The types that plain scalars may have: name, notation and possible first letters. The first that fits counts."""


def load_yaml(text: str) -> Any:
    """Returns the content of a YAML document.

    Raises:
        ValueError: The text is not YAML, or sets a key twice; the message is one line that names the lines.
    """
    try:
        return _Loader(text).get_single_data()
    except yaml.MarkedYAMLError as error:
        raise ValueError(_reason(error)) from None
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def dump_yaml(content: Any) -> str:
    """Returns nested dicts and lists as YAML that versions 1.1 and 1.2 read alike."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False)


class _Loader(yaml.SafeLoader):
    """A loader with the scalars of YAML 1.2 that accepts every key only once."""

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        first: dict[str, Any] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and first.setdefault(key.value, key) is not key:
                raise yaml.constructor.ConstructorError(
                    problem=f"{key.value!r} is set in {_place(first[key.value])} and again in {_place(key)}; remove one"
                )
        return node


class _Dumper(yaml.SafeDumper):
    """A dumper that quotes text which either version of YAML would take for something else."""


def _int(loader: _Loader, node: Any) -> int:
    text = loader.construct_scalar(node)
    return int(text, 0) if text[:2] in ("0o", "0x") else whole_number(text)


def _place(node: Any) -> str:
    return f"line {node.start_mark.line + 1}, column {node.start_mark.column + 1}"


def _reason(error: yaml.MarkedYAMLError) -> str:
    """Returns PyYAML's explanation as one line, without the quoted text."""
    line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
    cure = "; indent with spaces" if "'\\t'" in str(error.problem) else ""
    return line + " ".join(f"{error.context or ''} {error.problem}".split()) + cure


_Loader.yaml_implicit_resolvers = {}  # its own, without those of version 1.1
for _name, _notation, _letters in _SCALARS:
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(rf"(?:{_notation})\Z"), _letters)
    _Dumper.add_implicit_resolver(_TAG + _name, re.compile(rf"(?:{_notation})\Z"), _letters)
_Loader.add_constructor(f"{_TAG}int", _int)
