"""A client that knows only the wire drives a lap of the oval by the balance of the colours it sees."""

import numpy as np


def test_a_lap_by_colour_balance(world):
    spectator = world.spectator()
    car = world.car(imageWidth=64)
    for _ in range(620):
        car.drive_by_colour(0.08)
    completed = spectator.until("LapCompleted")
    assert completed["car"]["name"] == "red"
    assert completed["lapCount"] == 1
    assert 9 < completed["lastLap"] == completed["bestLap"] < 11
    assert "CarCrashed" not in [event["type"] for event in spectator.seen]
    starts = [event for event in spectator.seen if event["type"] == "CurrentStandings"]
    assert len(starts) == 30  # the line and the other segments of the first lap
    assert starts[0]["standings"][0]["lapCount"] == 0
    assert np.isnan(starts[0]["standings"][0]["lastLap"])
