"""Computes the agent's observation from camera pictures: 24 colour features per frame, and a short history of them.

The features are those of the original trainer (robotini-ddpg), so that its agents and those of this project see the same.
They rely on the simulator's colours: the floor's lanes are red, blue and green; walls and sky are below 100 in every channel.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from robotini_ray.car.protocol import image_height

cv2.setNumThreads(1)  # a second thread would busy-wait, using half a core, for pictures too small to split

FEATURES_SHAPE = (8, 3)
FEATURES_SIZE = 24
LATENCY_FRAMES = 2
"""The latency of the standard camera: a frame shows the world this many frames before it is sent.

Where a config is known, the largest of its ``randomisation.latency_frames`` counts instead. The bot and the demo know none.
"""

_QUARTERS = 4
_DARKEST_COLOR = 101
"""The smallest value of a channel that counts as a colour."""

Frame = npt.NDArray[np.uint8]
Features = npt.NDArray[np.float32]


class BadFrame(ValueError):
    """A camera frame cannot be decoded to a picture of the expected size."""


def decode_png(png: bytes, width: int, height: int) -> Frame:
    """Decodes a PNG to ``<uint8>[height, width, 3]``, channels red, green, blue.

    The size in the header is checked first, so that a hostile file cannot decode to a larger picture.

    Args:
        png: The PNG file.
        width: The expected width in pixels.
        height: The expected height in pixels.

    Raises:
        BadFrame: The file is not a PNG of that size.
    """
    found = (int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big"))
    if found != (width, height):
        raise BadFrame(f"a camera frame has {found[0]}x{found[1]} pixels; {width}x{height} were requested at login")
    frame = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    if frame is None or frame.shape != (height, width, 3):
        raise BadFrame(f"a camera frame of {len(png)} bytes cannot be decoded as a PNG")
    return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB, frame)


def merge_frames(frames: Sequence[Frame]) -> Frame:
    """Returns the pixelwise maximum of one or more frames of equal shape, as the original trainer merged late ones."""
    merged = frames[0]
    for frame in frames[1:]:
        merged = cv2.max(merged, frame)
    return merged


def threshold(frame: Frame) -> Frame:
    """Returns the colours of a frame without its top quarter, with every channel either 0 or 255.

    A channel becomes 255 where it is the maximum of its pixel and above 100; if several channels share the maximum, all of
    them become 255.

    Args:
        frame: ``<uint8>[h, w, 3]``.

    Returns:
        ``<uint8>[h - h // 4, w, 3]``.
    """
    return cv2.merge(_color_planes(frame))


def features(frame: Frame) -> Features:
    """Returns the features of one frame.

    The top ``h // 4`` rows of the picture are left out. For each column of the rest, the share of every colour is computed
    and scaled so that the rarest colour becomes 0 and the most frequent 1 (all 0 if they are equal); these values are
    averaged over the columns of each quarter of the width. The same is done for rows and the quarters of the height. If the
    size is not divisible by 4, a column (row) on the border of two quarters counts in both, in proportion to its area.

    Args:
        frame: ``<uint8>[h, w, 3]``, channels red, green, blue.

    Returns:
        ``<float32>[8, 3]`` in [0, 1], channels red, green, blue. Rows 0-3 describe the quarters of the width from left to
        right, rows 4-7 those of the height from top to bottom.
    """
    planes = _color_planes(frame)
    height, width = planes[0].shape
    # Sums can replace means because the scaling below cancels any factor; they are whole numbers and therefore exact.
    profiles = np.empty((3, width + height), np.float32)
    for profile, plane in zip(profiles, planes, strict=True):
        profile[:width] = cv2.reduce(plane, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32F)[0]
        profile[width:] = cv2.reduce(plane, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32F)[:, 0]
    lowest = profiles.min(axis=0)
    spread = profiles.max(axis=0) - lowest
    profiles -= lowest
    profiles /= np.maximum(spread, 1.0)  # a spread is 0 or at least 255
    quarters = np.ascontiguousarray((profiles @ _quarter_weights(width, height)).T)
    return np.minimum(quarters, 1.0, out=quarters)  # rounding may have exceeded 1


def picture_features(pngs: Sequence[bytes], image_width: int) -> Features:
    """Returns the features ``<float32>[8, 3]`` of one camera picture, or of several merged into one.

    Args:
        pngs: The pictures as PNG files; at least one.
        image_width: The width of each picture in pixels.

    Raises:
        BadFrame: One of the files is not a PNG of that size.
    """
    frames = [decode_png(png, image_width, image_height(image_width)) for png in pngs]
    return features(frames[0] if len(frames) == 1 else merge_frames(frames))


def _color_planes(frame: Frame) -> list[Frame]:
    """Returns the three channels of ``threshold`` as separate planes."""
    red, green, blue = cv2.split(frame[frame.shape[0] // 4 :])
    brightest = cv2.max(cv2.max(cv2.max(red, green), blue), _DARKEST_COLOR)
    return [cv2.compare(plane, brightest, cv2.CMP_EQ) for plane in (red, green, blue)]


@functools.lru_cache(maxsize=32)
def _quarter_weights(width: int, height: int) -> npt.NDArray[np.float32]:
    """Returns the matrix ``<float32>[width + height, 8]`` that averages columns and rows over their quarters; read-only."""
    weights = np.zeros((width + height, 2 * _QUARTERS), np.float32)
    weights[:width, :_QUARTERS] = _area_weights(width)
    weights[width:, _QUARTERS:] = _area_weights(height)
    weights.flags.writeable = False
    return weights


def _area_weights(size: int) -> npt.NDArray[np.float64]:
    """Returns ``<float64>[size, 4]``: the share of each quarter of ``size`` pixels that each pixel covers."""
    starts = np.arange(size)[:, None]
    borders = np.arange(_QUARTERS + 1) * (size / _QUARTERS)
    overlap = np.minimum(starts + 1, borders[1:]) - np.maximum(starts, borders[:-1])
    return np.maximum(overlap, 0.0) / (size / _QUARTERS)


class HistoryStack:
    """Keeps the newest observations and actions of one car as one vector.

    The vector is ``<float32>[observation_history * observation_size + action_history * action_size]``. Its layout, for
    histories of n and m::

        [ features now | features 1 ago | ... | features n-1 ago | action 1 ago | action 2 ago | ... | action m ago ]

    "action 1 ago" is the action that led to "features now". At an episode's start the first features take the place of all
    earlier ones, and the actions before it are 0.

    Args:
        observation_size: The number of features per observation.
        action_size: The length of an action.
        observation_history: The number of observations in the vector, at least 1.
        action_history: The number of actions in the vector, at least 0.

    Raises:
        ValueError: A history is shorter than that.
    """

    def __init__(self, observation_size: int, action_size: int, observation_history: int, action_history: int) -> None:
        if observation_history < 1 or action_history < 0:
            raise ValueError(
                f"observation history is {observation_history} and action history {action_history}; at least 1 and 0 are needed"
            )
        self._vector = np.zeros(observation_history * observation_size + action_history * action_size, np.float32)
        self._observations = self._vector[: observation_history * observation_size].reshape(observation_history, -1)
        self._actions = self._vector[observation_history * observation_size :].reshape(action_history, action_size)

    @property
    def size(self) -> int:
        """The length of the vector."""
        return self._vector.size

    def reset(self, first: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Begins an episode and returns the vector as a new array.

        Args:
            first: The episode's first features, of any shape with ``observation_size`` elements.
        """
        self._observations[:] = first.reshape(-1)
        self._actions[:] = 0.0
        return self._vector.copy()

    def push(self, newest: npt.NDArray[np.float32], action: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Adds the newest features and the action that led to them, and returns the vector as a new array.

        Args:
            newest: The features, of any shape with ``observation_size`` elements.
            action: The action, ``<float32>[action_size]``.
        """
        self._observations[1:] = self._observations[:-1]
        self._observations[0] = newest.reshape(-1)
        if len(self._actions):
            self._actions[1:] = self._actions[:-1]
            self._actions[0] = action
        return self._vector.copy()
