"""Reads and checks ``RaceParameters.json``: its keys are spelled as in Robotini, the fields here as usual in Python."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from robotini_ray.errors import RobotiniError
from robotini_ray.machine.text_files import read_json

MODES = ("development", "race")


class ParametersError(RobotiniError, ValueError):
    """Raised when race parameters cannot be used; the message names the file, the key and the value."""


@dataclass(frozen=True)
class ListedCar:
    """A car of the race parameters: the client that logs in with its ``teamId`` gets its name, colour and texture."""

    team_id: str
    name: str
    color: str = ""
    texture: str = ""


@dataclass(frozen=True)
class RaceParameters:
    """The parameters of a race; all times are in seconds.

    The defaults here are those that trainers use. A key that is missing in a file has the simulator's own default instead:
    see ``load_parameters``.

    Attributes:
        mode: ``development`` for free practice, ``race`` for a race with its phases.
        cars: The cars that may take part; empty for any car. Free practice takes other cars as well.
        track: The name of a track file; empty for the track that the simulator was started with.
        race_log_file: The file that the spectator stream is written to; empty for none.
        race_result_file: The file that the final standings are written to; empty for none.
    """

    lap_count: int = 5
    num_segments: int = 30
    num_segments_between_cars: int = 2
    mode: str = "development"
    cars: tuple[ListedCar, ...] = field(default=())
    visibility: str = "team"
    track: str = ""
    auto_start_qualifying_seconds: int = 30
    qualifying_duration_seconds: int = 30
    auto_start_race_seconds: int = 10
    race_timeout_seconds: int = 300
    race_timeout_after_winner_seconds: int = 60
    race_log_file: str = ""
    race_result_file: str = ""

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ParametersError(f"mode {self.mode!r} must be one of: {', '.join(MODES)}")
        for name, least in (("lap_count", 1), ("num_segments", 2), ("num_segments_between_cars", 0)):
            _check_range(name, getattr(self, name), least, 10_000)
        for name in (f.name for f in fields(self) if f.name.endswith("_seconds")):
            _check_range(name, getattr(self, name), 0, 1_000_000)

    def to_json(self) -> dict[str, Any]:
        """Returns the parameters with Robotini's keys, as in the file and on the spectator stream."""
        content = {_camel(f.name): getattr(self, f.name) for f in fields(self) if f.name != "cars"}
        content["cars"] = [{_camel(f.name): getattr(car, f.name) for f in fields(car)} for car in self.cars]
        return content


def load_parameters(path: str | Path) -> RaceParameters:
    """Loads a ``RaceParameters.json``.

    A missing key gets the simulator's own default, which differs from that of ``RaceParameters`` in two fields: there are 3
    segments, and 1 segment between cars at the start.

    Raises:
        ParametersError: The file cannot be read, or one of its keys or values is not allowed.
    """
    try:
        content = read_json(Path(path))
    except OSError as error:
        raise ParametersError(f"race parameters {str(path)!r} cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise ParametersError(f"race parameters {str(path)!r} cannot be used: {error}") from None
    try:
        return parameters_from_json(content)
    except ParametersError as error:
        raise ParametersError(f"race parameters {str(path)!r}: {error}") from None


def parameters_from_json(content: Any) -> RaceParameters:
    """Converts the decoded content of a ``RaceParameters.json``; see ``load_parameters`` for missing keys.

    Raises:
        ParametersError: A key or a value is not allowed.
    """
    values = _checked("the file", content, RaceParameters)
    listed = values.get("cars", [])
    if not isinstance(listed, list):
        raise ParametersError(f"cars {listed!r} must be a list")
    cars = []
    for index, entry in enumerate(listed):
        car = _checked(f"cars[{index}]", entry, ListedCar)
        if not car.get("team_id") or not car.get("name"):
            raise ParametersError(f"cars[{index}] needs a teamId and a name")
        cars.append(ListedCar(**car))
    return RaceParameters(**{"num_segments": 3, "num_segments_between_cars": 1, **values, "cars": tuple(cars)})


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _checked(where: str, content: Any, kind: Any) -> dict[str, Any]:
    """Returns the entries of a JSON object by field name.

    Args:
        where: The object's place in the file, for messages.
        content: The decoded object.
        kind: The dataclass whose fields are allowed.

    Raises:
        ParametersError: The content is not an object, or ``kind`` has no such field or one of another type.
    """
    if not isinstance(content, dict):
        raise ParametersError(f"{where} must be a JSON object, not {content!r}")
    known = {_camel(f.name): f for f in fields(kind)}
    values: dict[str, Any] = {}
    for key, value in content.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            raise ParametersError(
                f"unknown key {key!r} in {where}; {'did you mean' if near else 'allowed:'} "
                f"{near[0] if near else ', '.join(known)}"
            )
        wanted = known[key].type
        if wanted == "int" and type(value) is not int:
            raise ParametersError(f"{key} {value!r} must be a whole number")
        if wanted == "str":
            value = "" if value is None else value
            if not isinstance(value, str):
                raise ParametersError(f"{key} {value!r} must be a string")
        values[known[key].name] = value
    return values


def _check_range(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ParametersError(f"{_camel(name)} {value!r} must be from {least} to {most}")
