"""Applies light, colour factors and noise to a painted picture."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robotini_ray.machine.compiled import compiled
from robotini_ray.simulator.world.randomisation import Look

# Each number of the noise is the sum of four random bytes: the standard deviation of this sum, and its mean.
BYTES_SPREAD = (4 * (256**2 - 1) / 12) ** 0.5
BYTES_MIDDLE = 2 * 255

# These are float32 and uint32 because the inner loops are several times slower with 64 bits.
BLACK, WHITE, HALF = np.float32(0.0), np.float32(255.0), np.float32(0.5)
WEYL, FIRST_MIX, SECOND_MIX = np.uint32(0x9E3779B9), np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35)
BYTE, BITS_8, BITS_13, BITS_16, BITS_24 = np.uint32(255), np.uint32(8), np.uint32(13), np.uint32(16), np.uint32(24)


def apply_look(image: NDArray[np.uint8], look: Look, frame: int) -> None:
    """Changes a picture in place: first light and colours, then noise.

    The noise depends on nothing but ``look.noise_key`` and ``frame``.

    Args:
        image: ``<uint8>[height, width, 3]``, blue first.
        look: Light, colour factors and noise of the viewer's camera.
        frame: The world's frame number.
    """
    if look.light != 1.0 or look.colour != (1.0, 1.0, 1.0):
        _multiply(image.reshape(len(image), -1), _factors(image.shape[1], look.light, look.colour))
    if look.noise > 0.0:
        _add_noise(image.reshape(-1), np.float32(look.noise / BYTES_SPREAD), look.noise_key, frame)


@lru_cache(maxsize=64)
def _factors(width: int, light: float, colour: tuple[float, float, float]) -> NDArray[np.float32]:
    """Returns the factor of every channel of a row of pixels, ``<float32>[width * 3]``."""
    return np.tile(light * np.array(colour[::-1]), width).astype(np.float32)


@compiled
def _multiply(rows: Any, factors: Any) -> None:
    for row in range(len(rows)):
        for k in range(len(factors)):
            rows[row, k] = np.uint8(min(WHITE, np.float32(rows[row, k]) * factors[k] + HALF))


@compiled
def _add_noise(values: Any, scale: Any, key: int, frame: int) -> None:
    """Adds nearly normal numbers with a standard deviation of ``scale * BYTES_SPREAD``.

    Evenly spaced numbers that start at a seed are passed through the finaliser of MurmurHash3. The sum of the four bytes of
    its output is nearly normal.

    Args:
        values: ``<uint8>[n]``, changed in place.
        scale: Factor on the noise, which is the sum of four bytes minus ``BYTES_MIDDLE``.
        key: Seeds the noise together with ``frame``.
        frame: The world's frame number.
    """
    seed = np.uint32(_seed(key, frame))
    for place in range(len(values)):
        bits = np.uint32(np.uint32(np.uint32(place) * WEYL) + seed)
        bits = np.uint32((bits ^ bits >> BITS_16) * FIRST_MIX)
        bits = np.uint32((bits ^ bits >> BITS_13) * SECOND_MIX)
        bits = np.uint32(bits ^ bits >> BITS_16)
        total = (bits & BYTE) + (bits >> BITS_8 & BYTE) + (bits >> BITS_16 & BYTE) + (bits >> BITS_24)
        value = np.float32(values[place]) + scale * np.float32(np.int32(total) - BYTES_MIDDLE)
        values[place] = np.uint8(min(WHITE, max(BLACK, value + HALF)))


@compiled
def _seed(key: int, frame: int) -> np.uint64:
    """Returns a seed that is unrelated to those of other keys and frames.

    It is the output of SplitMix64's finaliser for both numbers.
    """
    mixed = np.uint64(key) ^ np.uint64(frame) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ mixed >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ mixed >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return mixed ^ mixed >> np.uint64(31)
