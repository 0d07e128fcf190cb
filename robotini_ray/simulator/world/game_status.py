"""Builds the event ``GameStatus``: the pose and the velocity of every car, sent to spectators in every frame."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from numpy.typing import NDArray

from robotini_ray.simulator.world.entries import Car, Event

COLUMNS = ("x", "y", "z", "heading", "pitch", "speed_x", "speed_y", "speed_z", "track_heading")


def car_statuses(
    cars: Iterable[Car], motion: NDArray[Any], frames_sent: dict[int, int], upstream: bool
) -> list[dict[str, Any]]:
    """Returns the value of ``cars`` in a ``GameStatus``.

    Args:
        cars: The cars to list.
        motion: The state of every car by slot, a record array of dtype ``physics.CAR``.
        frames_sent: The number of frames sent to each car, by slot.
        upstream: True to leave out ``trackAngle`` and ``trackSegment``, which only the trainers' fork sends.
    """
    columns = [motion[name].tolist() for name in COLUMNS]
    statuses = []
    for car in cars:
        x, y, z, heading, pitch, speed_x, speed_y, speed_z, track_heading = (column[car.slot] for column in columns)
        status: Event = {
            "name": car.info["name"],
            "position": {"x": x, "y": y, "z": z},
            "velocity": {"x": speed_x, "y": speed_y, "z": speed_z},
            "rotation": rotation(heading, pitch),
        }
        if not upstream:
            status["trackAngle"] = math.degrees(abs(math.remainder(heading - track_heading, 2 * math.pi)))
            status["trackSegment"] = car.laps.segment
        status["frames_sent"] = frames_sent[car.slot]
        statuses.append(status)
    return statuses


def rotation(heading: float, pitch: float) -> dict[str, float]:
    """Returns Unity's quaternion of a car's orientation.

    The rotation is about y by the heading, then about x, where a raised nose is a negative angle (left-handed axes).

    Args:
        heading: The heading in radians, clockwise from +z as seen from above.
        pitch: The pitch in radians, positive with the nose up.
    """
    sin_heading, cos_heading = math.sin(heading / 2), math.cos(heading / 2)
    if pitch == 0.0:
        return {"x": 0.0, "y": sin_heading, "z": 0.0, "w": cos_heading}
    sin_pitch, cos_pitch = math.sin(-pitch / 2), math.cos(pitch / 2)
    return {
        "x": cos_heading * sin_pitch,
        "y": sin_heading * cos_pitch,
        "z": -sin_heading * sin_pitch,
        "w": cos_heading * cos_pitch,
    }
