import pytest

from robotini_ray.benchmarks import catalog
from robotini_ray.benchmarks.catalog import LONG_NAMES, NAMES, choose, measurements
from robotini_ray.config import ConfigError


class TestChoose:
    @pytest.fixture(autouse=True)
    def names(self, monkeypatch):
        monkeypatch.setattr(catalog, "NAMES", ("first", "second", "third"))
        monkeypatch.setattr(catalog, "LONG_NAMES", ("long",))

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
