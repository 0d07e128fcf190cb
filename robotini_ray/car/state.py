"""The state of one car in one world frame."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class CarState:
    """One car in one world frame, as the spectator stream tells it.

    Position and headings are in Unity's frame: x right, y up, z forward, headings 0 along +z and positive towards +x.
    The three counters count the car's events since the spectator connected, this frame's included.
    """

    name: str
    frames_sent: int
    """Camera frames sent to the car's client so far, or -1 where the simulator does not say (Unity)."""
    game_time_s: float
    """World frames since the spectator connected, divided by 60."""
    x: float
    z: float
    y: float
    speed_m_s: float
    """Length of the velocity vector."""
    forward_speed_m_s: float
    """Velocity along the car's own axis, negative in reverse."""
    heading_rad: float
    track_angle_deg: float
    """Between the car and the track's direction: 0 straight ahead, 180 the wrong way round."""
    track_segment: int
    """The last segment trigger crossed, -1 before the first; like the angle computed where the simulator sends none."""
    crashes: int
    bumps: int
    returns: int
