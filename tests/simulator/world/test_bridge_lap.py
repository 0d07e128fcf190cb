"""A lap over a bridge and under it, by a client that knows only the wire: pictures, positions and segments agree."""

import itertools

import numpy as np
import pytest


def test_a_lap_of_a_figure_of_eight_by_colour_balance(make_world, bridge_track):
    world = make_world(track=str(bridge_track.path))
    spectator, car = world.spectator(), world.car(imageWidth=64)
    for _ in range(1300):
        car.drive_by_colour(0.08)
    completed = spectator.until("LapCompleted")
    assert completed["lapCount"] == 1
    assert 17 < completed["lastLap"] < 21
    assert "CarCrashed" not in [event["type"] for event in spectator.seen]
    states = [event["cars"][0] for event in spectator.seen if event["type"] == "GameStatus"]
    heights_m = np.array([state["position"]["y"] for state in states])
    assert heights_m.max() == pytest.approx(0.298, abs=0.002)
    assert heights_m.min() == pytest.approx(0.048, abs=0.002)
    rises_m_s = np.array([state["velocity"]["y"] for state in states])
    assert np.diff(heights_m) * 60 == pytest.approx(rises_m_s[1:], abs=0.02)
    segments = [state["trackSegment"] for state in states]
    assert sorted(set(segments)) == [-1, *range(30)]
    assert [b - a for a, b in itertools.pairwise(segments) if b not in (a, 0)] == [1] * 29
