"""RaceParameters.json: Robotini's keys and defaults, refusals by name."""

import json

import pytest

from robotini_ray.simulator.world.race_parameters import (
    ListedCar,
    ParametersError,
    RaceParameters,
    load_parameters,
    parameters_from_json,
)

KEYS = {
    "lapCount",
    "numSegments",
    "numSegmentsBetweenCars",
    "mode",
    "cars",
    "visibility",
    "track",
    "autoStartQualifyingSeconds",
    "qualifyingDurationSeconds",
    "autoStartRaceSeconds",
    "raceTimeoutSeconds",
    "raceTimeoutAfterWinnerSeconds",
    "raceLogFile",
    "raceResultFile",
}


def test_keys_are_robotinis():
    assert set(RaceParameters().to_json()) == KEYS


def test_without_a_file_the_defaults_are_those_of_trainers():
    assert (RaceParameters().num_segments, RaceParameters().num_segments_between_cars) == (30, 2)


def test_in_a_file_the_defaults_are_the_simulators():
    assert parameters_from_json({}).to_json() == {
        "lapCount": 5,
        "numSegments": 3,
        "numSegmentsBetweenCars": 1,
        "mode": "development",
        "cars": [],
        "visibility": "team",
        "track": "",
        "autoStartQualifyingSeconds": 30,
        "qualifyingDurationSeconds": 30,
        "autoStartRaceSeconds": 10,
        "raceTimeoutSeconds": 300,
        "raceTimeoutAfterWinnerSeconds": 60,
        "raceLogFile": "",
        "raceResultFile": "",
    }


def test_what_is_written_is_read_again(tmp_path):
    parameters = RaceParameters(
        lap_count=3, mode="race", cars=(ListedCar("t", "n", "#102030", "x"),), track="long.json", race_log_file="log"
    )
    path = tmp_path / "RaceParameters.json"
    path.write_text(json.dumps(parameters.to_json()))
    assert load_parameters(path) == parameters


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([], "must be a JSON object"),
        ({"lapcount": 3}, "'lapcount'.*did you mean lapCount"),
        ({"zzz": 3}, "'zzz'.*allowed: lapCount"),
        ({"lapCount": 0}, "lapCount 0 must be from 1"),
        ({"lapCount": 2.5}, "lapCount 2.5 must be a whole number"),
        ({"lapCount": True}, "lapCount True must be a whole number"),
        ({"numSegments": 1}, "numSegments 1 must be from 2"),
        ({"mode": "fun"}, "mode 'fun' must be one of: development, race"),
        ({"track": 3}, "track 3 must be a string"),
        ({"raceTimeoutSeconds": -1}, "raceTimeoutSeconds -1 must be from 0"),
        ({"cars": {}}, "cars {} must be a list"),
        ({"cars": [{"teamId": "t"}]}, r"cars\[0\] needs a teamId and a name"),
        ({"cars": [{"teamId": "t", "name": "n", "colour": ""}]}, r"'colour' in cars\[0\]; did you mean color"),
    ],
)
def test_a_bad_value_is_refused_by_name(tmp_path, content, reason):
    path = tmp_path / "RaceParameters.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ParametersError, match=reason) as refusal:
        load_parameters(path)
    assert str(path) in str(refusal.value)


def test_files_that_cannot_be_read_are_refused(tmp_path):
    with pytest.raises(ParametersError, match="No such file"):
        load_parameters(tmp_path / "missing.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(ParametersError, match="not JSON"):
        load_parameters(tmp_path / "bad.json")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path, encoding):
    (tmp_path / "RaceParameters.json").write_text('{"lapCount": 7}', encoding=encoding)
    assert load_parameters(tmp_path / "RaceParameters.json").lap_count == 7


def test_a_number_without_end_is_one_short_line(tmp_path):
    (tmp_path / "RaceParameters.json").write_text('{"lapCount": 1' + 400 * "0" + "}")
    with pytest.raises(
        ParametersError, match=r"RaceParameters\.json' cannot be used: the number 10000000\.\.\. has 401 digits"
    ):
        load_parameters(tmp_path / "RaceParameters.json")
