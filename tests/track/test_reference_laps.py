"""The reference laps of any track."""

import pytest

from robotini_ray.track.reference_laps import ReferenceLaps


def test_on_their_own_circuit_they_are_the_laps_on_record():
    laps = ReferenceLaps.of(5.6)
    assert laps == pytest.approx((5.6, 7.35, 15.6), rel=0.002)


def test_a_lap_is_compared_with_both():
    assert ReferenceLaps.of(5.6).compare(7.8) == (
        "1.06 times the 7.34 s of the best hand-made bot, 0.50 times the 15.62 s of the original trainer"
    )
