import pytest

from robotini_ray.benchmarks import figure
from robotini_ray.benchmarks.figure import LONG_NAMES, NAMES, Figure, Target, choose, measurements
from robotini_ray.benchmarks.pairs import Spread
from robotini_ray.config import ConfigError


class TestFigure:
    @pytest.mark.parametrize(
        ("target", "value", "met"),
        [
            (Target("at least", 15.0), 15.0, True),
            (Target("at least", 15.0), 14.9, False),
            (Target("at most", 0.4), 0.4, True),
            (Target("at most", 0.4), 0.5, False),
            (None, 1.0, None),
        ],
    )
    def test_a_target_is_met_by_the_value_not_by_its_extremes(self, target, value, met):
        made = Figure("speed", Spread(value, 0.0, 100.0, 7), "x", target)
        assert made.met is met
        assert made.to_json()["met"] is met

    def test_json(self):
        made = Figure("speed", Spread(2.0, 1.0, 4.0, 7), "x", Target("at least", 3.0), "max", "LSTM 64")
        assert made.to_json() == {
            "name": "speed",
            "value": 2.0,
            "min": 1.0,
            "max": 4.0,
            "pairs": 7,
            "target": 3.0,
            "met": False,
            "unit": "x",
            "pace": "max",
            "network": "LSTM 64",
        }

    def test_what_does_not_apply_is_null(self):
        content = Figure("speed", Spread(2.0, 1.0, 4.0, 7), "x").to_json()
        assert [content[key] for key in ("target", "met", "pace", "network")] == [None] * 4


class TestChoose:
    @pytest.fixture(autouse=True)
    def names(self, monkeypatch):
        monkeypatch.setattr(figure, "NAMES", ("first", "second", "third"))
        monkeypatch.setattr(figure, "LONG_NAMES", ("long",))

    def test_no_name_is_all(self):
        assert choose(()) == ("first", "second", "third")

    def test_a_long_one_is_measured_when_it_is_named(self):
        assert choose(("long", "first")) == ("long", "first")

    def test_names_keep_their_order_and_count_once(self):
        assert choose(("third", "first", "third")) == ("third", "first")

    @pytest.mark.parametrize(
        ("name", "hint"), [("secnd", "did you mean second?"), ("x", "allowed: first, second, third, long")]
    )
    def test_an_unknown_one_is_named_with_the_nearest(self, name, hint):
        with pytest.raises(ConfigError) as caught:
            choose(("first", name))
        assert str(caught.value) == f"unknown figure {name}; {hint}"


@pytest.mark.parametrize("name", NAMES + LONG_NAMES)
def test_every_name_has_measurements(name):
    found = measurements(name)
    assert found and all(callable(measurement) for measurement in found)
