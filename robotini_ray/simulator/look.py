"""Light, colours and noise of a painted picture."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from robotini_ray.compiled import compiled
from robotini_ray.simulator.randomisation import Look

# Four random bytes make one number of the noise: the spread of their sum, and its middle.
BYTES_SPREAD = (4 * (256**2 - 1) / 12) ** 0.5
BYTES_MIDDLE = 2 * 255


def apply_look(image: NDArray[np.uint8], look: Look, frame: int) -> None:
    """Change a picture uint8[height, width, 3], blue first, in place: first light and colours, then noise.

    The noise depends on nothing but `look.noise_key` and `frame`.
    """
    if look.light != 1.0 or look.colour != (1.0, 1.0, 1.0):
        cv2.LUT(image, _channel_table(look.light, look.colour), dst=image)
    if look.noise > 0.0:
        _add_noise(image.reshape(-1), look.noise / BYTES_SPREAD, _mixed(look.noise_key, frame))


@lru_cache(maxsize=64)
def _channel_table(light: float, colour: tuple[float, float, float]) -> NDArray[np.uint8]:
    """uint8[1, 256, 3]: what becomes of every value of blue, green and red."""
    factors = light * np.array(colour[::-1])
    return np.rint(np.minimum(np.arange(256)[:, None] * factors, 255)).astype(np.uint8)[None]


def _mixed(key: int, frame: int) -> np.uint32:
    """A seed that has nothing in common with those of neighbouring keys and frames."""
    return np.random.SeedSequence([key, frame]).generate_state(1, np.uint32)[0]


@compiled
def _add_noise(values: Any, scale: float, seed: np.uint32) -> None:
    """Add to uint8[n] about normal numbers of standard deviation `scale` * BYTES_SPREAD.

    Their source is the finaliser of MurmurHash3, applied to the place's number plus `seed`: four bytes at a time, whose sum is
    nearly normal.
    """
    for place in range(len(values)):
        bits = np.uint32(place) * np.uint32(0x9E3779B9) + seed
        bits = (bits ^ (bits >> np.uint32(16))) * np.uint32(0x85EBCA6B)
        bits = (bits ^ (bits >> np.uint32(13))) * np.uint32(0xC2B2AE35)
        bits ^= bits >> np.uint32(16)
        total = (bits & np.uint32(255)) + (bits >> np.uint32(8) & np.uint32(255))
        total += (bits >> np.uint32(16) & np.uint32(255)) + (bits >> np.uint32(24))
        value = values[place] + scale * (np.int32(total) - BYTES_MIDDLE)
        values[place] = min(255.0, max(0.0, value + 0.5))
