import pytest

from robotini_ray.benchmarks.apparatus.figure import Figure, Target
from robotini_ray.benchmarks.apparatus.pairs import Spread


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
