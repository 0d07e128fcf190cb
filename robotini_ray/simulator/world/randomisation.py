"""What differs from car to car and episode to episode when training is randomised, and how it is drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from robotini_ray.config import RandomisationConfig


class Look(NamedTuple):
    """How a car's camera and the light differ from the standard, which all defaults are."""

    light: float = 1.0
    """Factor on every channel."""
    colour: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Factors on red, green and blue."""
    pitch_rad: float = 0.0
    """Added to the camera's; positive looks further down."""
    roll_rad: float = 0.0
    """Positive turns the camera clockwise about its optical axis."""
    yaw_rad: float = 0.0
    """Positive looks to the right."""
    height_m: float = 0.0
    """Added to the camera's height."""
    noise: float = 0.0
    """Standard deviation of every channel of every pixel, of 0..255."""
    noise_key: int = 0
    """Seeds the noise together with the frame's number."""


STANDARD_LOOK = Look()


@dataclass(frozen=True)
class Conditions:
    """One car's circumstances from where it is put to where it is put next; the defaults are the real simulator's."""

    grip: float = 1.0
    mass: float = 1.0
    motor: float = 1.0
    latency_frames: int = 2
    look: Look = STANDARD_LOOK
    start_offset_m: float = 0.0
    start_heading_rad: float = 0.0
    start_speed_m_s: float = 0.0


STANDARD = Conditions()


def draw(config: RandomisationConfig, random: np.random.Generator) -> Conditions:
    """Draw every range evenly; `STANDARD` itself where nothing in the config differs from it.

    Each range takes its own number from `random` even if it is a single value: to open one range does not change what
    the others give.
    """
    grip, mass, motor, light, red, green, blue, pitch_deg, roll_deg, yaw_deg, height_m, noise = (
        _between(limits, random)
        for limits in (
            config.grip,
            config.mass,
            config.motor,
            config.light,
            config.colour,
            config.colour,
            config.colour,
            config.camera_pitch_deg,
            config.camera_roll_deg,
            config.camera_yaw_deg,
            config.camera_height_m,
            config.frame_noise,
        )
    )
    noise_key = int(random.integers(2**62))
    shortest, longest = config.latency_frames
    latency_frames = shortest + int((longest - shortest + 1) * random.random())
    drawn = Conditions(
        grip=grip,
        mass=mass,
        motor=motor,
        latency_frames=latency_frames,
        look=Look(
            light=light,
            colour=(red, green, blue),
            pitch_rad=math.radians(pitch_deg),
            roll_rad=math.radians(roll_deg),
            yaw_rad=math.radians(yaw_deg),
            height_m=height_m,
            noise=noise,
            noise_key=noise_key if noise > 0 else 0,
        ),
        start_offset_m=_between(config.start_offset_m, random),
        start_heading_rad=math.radians(_between(config.start_heading_deg, random)),
        start_speed_m_s=_between(config.start_speed_m_s, random),
    )
    return STANDARD if drawn == STANDARD else drawn


def _between(limits: tuple[float, float], random: np.random.Generator) -> float:
    low, high = limits
    return low + (high - low) * float(random.random())
