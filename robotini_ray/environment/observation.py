"""From the camera picture to the agent's observation: 24 colour features a frame, and a short history of them.

The features are the original trainer's (robotini-ddpg), so that its agents and ours see the same; SIMULATOR facts about
colours: the floor's lanes are red, blue and green, walls and sky stay below 100 in every channel.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from robotini_ray.car.protocol import image_height

cv2.setNumThreads(1)  # its second thread spins, a core's half, waiting for pictures too small to be shared

FEATURES_SHAPE = (8, 3)
FEATURES_SIZE = 24
READ_BACK_FRAMES = 2
"""A camera frame shows the world this many frames before it is sent."""

_QUARTERS = 4
_DARKEST_COLOR = 101
"""The smallest value of a channel that counts as a colour."""

Frame = npt.NDArray[np.uint8]
Features = npt.NDArray[np.float32]


class BadFrame(ValueError):
    """A camera frame that cannot be unpacked to the expected picture."""


def decode_png(png: bytes, width: int, height: int) -> Frame:
    """Unpacks a PNG to uint8[height, width, 3], channels red, green, blue.

    The size is checked in the header first, so that a hostile file cannot unpack to more. Raises BadFrame.
    """
    found = (int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big"))
    if found != (width, height):
        raise BadFrame(f"camera frame of {found[0]}x{found[1]} pixels; {width}x{height} were asked for at login")
    frame = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    if frame is None or frame.shape != (height, width, 3):
        raise BadFrame(f"camera frame of {len(png)} bytes cannot be unpacked as a PNG")
    return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB, frame)


def merge_frames(frames: Sequence[Frame]) -> Frame:
    """The pixelwise maximum of one or more frames of the same shape, as the original trainer merged late ones."""
    merged = frames[0]
    for frame in frames[1:]:
        merged = cv2.max(merged, frame)
    return merged


def threshold(frame: Frame) -> Frame:
    """The colours of a frame uint8[h, w, 3], without its top quarter: uint8[h - h // 4, w, 3] of 0 and 255.

    A channel becomes 255 where it is its pixel's maximum and over 100; channels that tie all do.
    """
    return cv2.merge(_color_planes(frame))


def features(frame: Frame) -> Features:
    """The observation of one frame uint8[h, w, 3]: float32[8, 3] in [0, 1], channels red, green, blue.

    The top h // 4 rows are left out. Rows 0-3 describe the quarters of the rest's width from left to right, rows 4-7
    those of its height from top to bottom: of each column (row) the share of every colour, scaled so that the rarest
    colour is 0 and the most frequent 1 (0 where all are equal), averaged over the quarter. Where 4 does not divide the
    size, a column (row) on the border of two quarters counts in both by area.
    """
    planes = _color_planes(frame)
    height, width = planes[0].shape
    # Sums serve as well as means, because the scaling below cancels any factor; they are whole numbers and so exact.
    profiles = np.empty((3, width + height), np.float32)
    for profile, plane in zip(profiles, planes, strict=True):
        profile[:width] = cv2.reduce(plane, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32F)[0]
        profile[width:] = cv2.reduce(plane, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32F)[:, 0]
    lowest = profiles.min(axis=0)
    spread = profiles.max(axis=0) - lowest
    profiles -= lowest
    profiles /= np.maximum(spread, 1.0)  # A spread is 0 or at least 255.
    quarters = np.ascontiguousarray((profiles @ _quarter_weights(width, height)).T)
    return np.minimum(quarters, 1.0, out=quarters)  # rounding may have gone over it


def picture_features(pngs: Sequence[bytes], image_width: int) -> Features:
    """The features float32[8, 3] of one camera picture, or of several merged into one.

    Args:
        pngs: at least one.
        image_width: of each, in pixels.

    Raises:
        BadFrame: one of them is no such picture.
    """
    frames = [decode_png(png, image_width, image_height(image_width)) for png in pngs]
    return features(frames[0] if len(frames) == 1 else merge_frames(frames))


def _color_planes(frame: Frame) -> list[Frame]:
    """The three planes of `threshold`."""
    red, green, blue = cv2.split(frame[frame.shape[0] // 4 :])
    brightest = cv2.max(cv2.max(cv2.max(red, green), blue), _DARKEST_COLOR)
    return [cv2.compare(plane, brightest, cv2.CMP_EQ) for plane in (red, green, blue)]


@functools.lru_cache(maxsize=32)
def _quarter_weights(width: int, height: int) -> npt.NDArray[np.float32]:
    """float32[width + height, 8]: averages a profile of columns, then rows, over its quarters; read-only."""
    weights = np.zeros((width + height, 2 * _QUARTERS), np.float32)
    weights[:width, :_QUARTERS] = _area_weights(width)
    weights[width:, _QUARTERS:] = _area_weights(height)
    weights.flags.writeable = False
    return weights


def _area_weights(size: int) -> npt.NDArray[np.float64]:
    """float64[size, 4]: the share of each quarter of `size` pixels that a pixel covers."""
    starts = np.arange(size)[:, None]
    borders = np.arange(_QUARTERS + 1) * (size / _QUARTERS)
    overlap = np.minimum(starts + 1, borders[1:]) - np.maximum(starts, borders[:-1])
    return np.maximum(overlap, 0.0) / (size / _QUARTERS)


class HistoryStack:
    """The last observations and actions of one car as one vector, float32[observation_history * observation_size +
    action_history * action_size].

    Layout, for sizes 24 and 2 and histories of n and m:

        [ features now | features 1 ago | ... | features n-1 ago | action 1 ago | action 2 ago | ... | action m ago ]

    where "action 1 ago" is the one that led to "features now". At an episode's start the first features stand for all
    earlier ones, and actions before it are 0.
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
        return self._vector.size

    def reset(self, first: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Begins an episode with its first features (any shape of `observation_size` numbers); returns a new vector."""
        self._observations[:] = first.reshape(-1)
        self._actions[:] = 0.0
        return self._vector.copy()

    def push(self, newest: npt.NDArray[np.float32], action: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Adds the newest features and the action that led to them; returns a new vector."""
        self._observations[1:] = self._observations[:-1]
        self._observations[0] = newest.reshape(-1)
        if len(self._actions):
            self._actions[1:] = self._actions[:-1]
            self._actions[0] = action
        return self._vector.copy()
