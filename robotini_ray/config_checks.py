"""Checks the type and range of config values, with error messages that name what is allowed."""

from __future__ import annotations

import difflib
import types
import typing
from typing import Any, Literal

from robotini_ray.errors import RobotiniError
from robotini_ray.machine.yaml_files import DECIMAL


class ConfigError(RobotiniError, ValueError):
    """Raised for a configuration or command line that cannot be run; the message is one line for the user."""


def nearest(name: str, allowed: typing.Iterable[str]) -> str:
    """Returns the end of an error message: the most similar valid name, or all valid names if none is similar."""
    allowed = list(allowed)
    close = difflib.get_close_matches(name, allowed, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else f"allowed: {', '.join(allowed)}"


def checked_value(key: str, value: Any, hint: Any, limits: typing.Mapping[str, Any]) -> Any:
    """Returns a value converted to its declared type.

    Args:
        key: The name of the setting in error messages, such as ``agent.batch_size``.
        value: The value as YAML or a caller passes it.
        hint: The declared type: bool, int, float, str, Literal, a tuple of numbers, or the union of one of these and None.
        limits: The inclusive bounds ``low`` and ``high`` for numbers.

    Raises:
        ConfigError: The value has another type or is out of range; the message names the key, the value and what is allowed.
    """
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
        origin = typing.get_origin(hint)
    if origin is Literal:
        if value not in typing.get_args(hint):
            raise ConfigError(f"{key} is {value!r}; {nearest(str(value), map(str, typing.get_args(hint)))}")
        return value
    if origin is tuple:
        return _numbers(key, value, typing.get_args(hint), limits)
    if hint in (int, float):
        return _number(key, value, hint, limits)
    if not isinstance(value, hint):
        raise ConfigError(f"{key} is {value!r}; allowed: {'true or false' if hint is bool else 'text'}")
    return value


def _numbers(key: str, value: Any, kinds: tuple[Any, ...], limits: typing.Mapping[str, Any]) -> tuple[Any, ...]:
    """Returns a tuple of numbers: of any length for ``tuple[kind, ...]``, a range ``(low, high)`` for ``tuple[kind, kind]``."""
    is_range = kinds[-1] is not Ellipsis
    if not isinstance(value, list | tuple) or not value or (is_range and len(value) != len(kinds)):
        raise ConfigError(f"{key} is {value!r}; allowed: {'a range [low, high]' if is_range else 'a list such as [128, 128]'}")
    numbers = tuple(_number(key, item, kinds[0], limits) for item in value)
    if is_range and numbers[0] > numbers[1]:
        raise ConfigError(f"{key} is {list(numbers)}; allowed: a range [low, high], the lower end first")
    return numbers


def _number(key: str, value: Any, kind: type, limits: typing.Mapping[str, Any]) -> Any:
    wanted = "a whole number" if kind is int else "a number"
    low, high = limits["low"], limits["high"]
    allowed = f"allowed: {wanted} from {_plain(low)} to {_plain(high)}"
    if isinstance(value, str) and DECIMAL.fullmatch(value):  # a quoted number
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{key} is {value!r}; {allowed}")
    if not low <= value <= high or (kind is int and value != int(value)):  # NaN fails the comparison
        raise ConfigError(f"{key} is {_plain(value)}; {allowed}")
    return kind(value)


def _plain(number: float) -> str:
    """Formats a number with as many digits as it takes to identify it: 200000, 0.05, 1e-08."""
    return str(int(number)) if abs(number) < 1e15 and number == int(number) else repr(number)
