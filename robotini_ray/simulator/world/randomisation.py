"""Draws the properties that differ from car to car and from episode to episode when training is randomised."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from robotini_ray.config import RandomisationConfig


class Look(NamedTuple):
    """The differences of a car's camera and of the light from the standard; the defaults are no difference."""

    light: float = 1.0
    """A factor on every channel."""
    colour: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Factors on red, green and blue."""
    pitch_rad: float = 0.0
    """Added to the camera's pitch; a positive value looks further down."""
    roll_rad: float = 0.0
    """The roll; a positive value turns the camera clockwise about its optical axis."""
    yaw_rad: float = 0.0
    """The yaw; a positive value looks to the right."""
    height_m: float = 0.0
    """Added to the camera's height."""
    noise: float = 0.0
    """The standard deviation of the noise in every channel of every pixel, on the scale 0..255."""
    noise_key: int = 0
    """Seeds the noise, together with the number of the frame."""


STANDARD_LOOK = Look()


@dataclass(frozen=True)
class Conditions:
    """The properties of one car from one placement (start or put-back) to the next; the defaults are the real simulator's.

    Attributes:
        grip: A factor on the friction of the tyres.
        mass: A factor on the mass of the car.
        motor: A factor on the torque of the motor.
        latency_frames: The frames between a moment and the sending of its picture.
        look: The car's camera and the light.
        start_offset_m: The distance to the right of the centre line at which the car is placed.
        start_heading_rad: The heading at which it is placed, clockwise from that of the track.
        start_speed_m_s: The speed with which it is placed.
    """

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
    """Draws the properties of a car uniformly from the ranges of the config.

    Each range consumes a number of ``random`` even if it is a single value, so that opening one range does not change the
    draws of the others.

    Returns:
        The drawn properties; the object ``STANDARD`` itself if they equal it.
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
