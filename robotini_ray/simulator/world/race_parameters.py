"""RaceParameters.json: what a race is about. Keys are spelled as Robotini spells them, fields as Python does."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from robotini_ray.errors import RobotiniError

MODES = ("development", "race")


class ParametersError(RobotiniError, ValueError):
    """A RaceParameters file that cannot be used; the message names the file, the key and the value."""


@dataclass(frozen=True)
class ListedCar:
    """A car that the race knows beforehand: whoever logs in with its teamId gets its name, colour and texture."""

    team_id: str
    name: str
    color: str = ""
    texture: str = ""


@dataclass(frozen=True)
class RaceParameters:
    """Times are seconds. The defaults are those that trainers use; a file's are the simulator's own (`load_parameters`).

    `track` is a track file's name, empty for the one the simulator was started with; an empty file name writes no file.
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
        """The parameters with Robotini's keys, as they stand in the file and on the spectator stream."""
        content = {_camel(f.name): getattr(self, f.name) for f in fields(self) if f.name != "cars"}
        content["cars"] = [{_camel(f.name): getattr(car, f.name) for f in fields(car)} for car in self.cars]
        return content


def load_parameters(path: str | Path) -> RaceParameters:
    """Read a RaceParameters.json; a missing key has the simulator's default, which is 3 segments, 1 between cars.

    Raises:
      ParametersError: there is no such file, or a key or a value in it is not allowed.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ParametersError(f"race parameters {str(path)!r} cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise ParametersError(f"race parameters {str(path)!r}: not JSON ({error})") from None
    try:
        return parameters_from_json(content)
    except ParametersError as error:
        raise ParametersError(f"race parameters {str(path)!r}: {error}") from None


def parameters_from_json(content: Any) -> RaceParameters:
    """The content of a RaceParameters.json; see `load_parameters`."""
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
    """The entries of a JSON object by field name, refused where `kind` has no such field or another type."""
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
                raise ParametersError(f"{key} {value!r} must be a text")
        values[known[key].name] = value
    return values


def _check_range(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ParametersError(f"{_camel(name)} {value!r} must be from {least} to {most}")
