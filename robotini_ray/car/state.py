"""Defines the state of one car in one world frame."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class CarState:
    """The state of one car in one world frame, from the spectator stream.

    The position (in metres) and the heading are in Unity's coordinates: x right, y up, z forward; the heading is 0 along +z
    and positive towards +x.
    """

    name: str
    frames_sent: int
    """The number of camera frames sent to the car's client so far; -1 if the simulator does not report it (Unity)."""
    game_time_s: float
    """The number of world frames since the spectator connected, divided by 60."""
    x: float
    z: float
    y: float
    speed_m_s: float
    """The length of the velocity vector."""
    forward_speed_m_s: float
    """The velocity along the car's forward axis, negative in reverse."""
    heading_rad: float
    track_angle_deg: float
    """The angle between the car's heading and the track's direction: 0 straight ahead, 180 the wrong way round.

    Like ``track_segment`` it is computed if the simulator does not send it.
    """
    track_segment: int
    """The segment of the last trigger that the car crossed; -1 before the first."""
    crashes: int
    """The number of crashes since the spectator connected, this frame's included."""
    bumps: int
    """The number of ``CarBumped`` events since the spectator connected, this frame's included."""
    returns: int
    """The number of times that the car was put back since the spectator connected, this frame's included."""
