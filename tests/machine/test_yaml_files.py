"""YAML 1.2: the types of plain scalars, keys that are set twice, and refusals of one line."""

import pytest
import yaml

from robotini_ray.machine.yaml_files import dump_yaml, load_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0123", 123), ("0o17", 15), ("0x1F", 31), ("-7", -7), ("+7", 7), ("1e5", 1e5), ("1e-4", 1e-4), ("1.5E+3", 1500.0),
        (".5", 0.5), ("5.", 5.0), ("-.inf", float("-inf")), ("true", True), ("False", False), ("null", None), ("~", None),
        ("", None), ("1:30", "1:30"), ("1_000", "1_000"), ("no", "no"), ("Yes", "Yes"), ("on", "on"), ("off", "off"),
        ("y", "y"), ("2024-01-01", "2024-01-01"), ("2024-99-99", "2024-99-99"), ("0b11", "0b11"), ("=", "="), ('"5"', "5"),
        ("1.2.3", "1.2.3"), ("192.168.1.20", "192.168.1.20"),
    ],
)  # fmt: skip
def test_plain_scalars_have_the_types_of_the_core_schema(text, value):
    read = load_yaml(text)
    assert read == value and type(read) is type(value)


@pytest.mark.parametrize(
    "text", ["no", "0123", "1:30", "1_000", "1e5", "0o17", "2024-01-01", "5", "~", "", "<<", "Käärme", ".inf"]
)
def test_text_is_written_so_that_both_versions_read_it_back(text):
    written = dump_yaml({"key": text})
    assert load_yaml(written) == yaml.safe_load(written) == {"key": text}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "agent:\n  n_step: 1\n  batch_size: 2\n  n_step: 5\n",
            "'n_step' is set in line 2, column 3 and again in line 4, column 3; remove one",
        ),
        (
            "{a: 1, b: [{c: 1, c: 1}]}",
            "'c' is set in line 1, column 13 and again in line 1, column 19; remove one",
        ),
        ("a: 1\nb: 2\na: 3\n", "'a' is set in line 1, column 1 and again in line 3, column 1; remove one"),
        (
            "run:\n\tminutes: 1\n",
            "line 2: while scanning for the next token found character '\\t' that cannot start any token; indent with spaces",
        ),
        ("a: 1\n---\na: 2\n", "line 2: expected a single document in the stream but found another document"),
        ("seed: 1" + 400 * "0", "the number 10000000... has 401 digits; at most 20 are allowed"),
    ],
)
def test_what_cannot_be_read_is_one_line_that_names_its_place(text, message):
    with pytest.raises(ValueError, match=r".") as refusal:
        load_yaml(text)
    assert str(refusal.value) == message


@pytest.mark.parametrize("text", ["a: [", "a: \x00", "<<: 5", "*none", "!!int many", "[" * 1_000, "? [a]\n: 1"])
def test_other_faults_are_one_line_too(text):
    with pytest.raises(ValueError, match=r".") as refusal:
        load_yaml(text)
    assert len(str(refusal.value).splitlines()) == 1


def test_anchors_and_merge_keys_still_work():
    text = "[&near {host: a, cars: 2}, {<<: *near, cars: 3}, *near]"
    assert load_yaml(text) == [{"host": "a", "cars": 2}, {"host": "a", "cars": 3}, {"host": "a", "cars": 2}]
