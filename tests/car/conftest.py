"""What tests of the car's side need."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from robotini_ray.car.state import CarState


@pytest.fixture
def serve(fault_server: Callable[[Callable[[socket.socket], None]], Any]) -> Callable[[Callable[[socket.socket], None]], Any]:
    return fault_server


@pytest.fixture
def car_state() -> Callable[..., CarState]:
    def make(**fields: object) -> CarState:
        values: dict[str, object] = {
            "name": "car", "frames_sent": 1, "game_time_s": 0.0, "x": 0.0, "z": 0.0, "y": 0.048, "speed_m_s": 1.0,
            "forward_speed_m_s": 1.0, "heading_rad": 0.0, "track_angle_deg": 0.0, "track_segment": 0, "crashes": 0,
            "bumps": 0, "returns": 0,
        }  # fmt: skip
        return CarState(**(values | fields))  # type: ignore[arg-type]

    return make
