"""Draws a recording from above: the track, the car's trail coloured by speed, and the camera picture."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from robotini_ray.car.protocol import image_height
from robotini_ray.environment.observation import BadFrame, decode_png
from robotini_ray.racing.lap_recording import Moment, Recording
from robotini_ray.track.track import Track

Picture = NDArray[np.uint8]
Color = tuple[int, int, int]

WIDTH, HEIGHT = 960, 600
SIDE_WIDTH = 288
MARGIN = 16
VALUE_COLUMN = 62
ROAD_WIDTH_M = 0.9
ROOM_M = 0.3
"""The space between the road and the border of the map."""

CAR_LENGTH_M, CAR_WIDTH_M = 0.26, 0.12
CAR_ENLARGED = 1.6
"""The factor by which the car is enlarged, so that it is visible on a long track."""

BACKGROUND: Color = (22, 24, 29)
ROAD: Color = (56, 60, 69)
EDGE: Color = (128, 134, 146)
TEXT: Color = (226, 229, 235)
FAINT: Color = (150, 155, 166)
CAR: Color = (245, 194, 17)
SHIFT = 4
"""The fractional bits of OpenCV's drawing coordinates, which are in 16ths of a pixel."""


class LapPicture:
    """Draws the frames of one recording.

    Args:
        recording: The recording, with at least two moments.
        track: The track that it was driven on.
        image_width: The width of its camera pictures, in pixels.
        title: The first line of the text beside the map.
        limit_s: The track's lap limit, in seconds.
    """

    def __init__(self, recording: Recording, track: Track, image_width: int, title: str, limit_s: float) -> None:
        self._recording = recording
        self._track = track
        self._image_width = image_width
        self._title = title
        self._limit_s = limit_s
        self._top_speed_m_s = max(0.5, *(moment.state.speed_m_s for moment in recording.moments))
        self._scale, self._origin = _fit(track.points, WIDTH - SIDE_WIDTH, HEIGHT)
        self._map = self._draw_map()
        self._camera = np.zeros((image_height(image_width), image_width, 3), np.uint8)

    def frames(self, every: int) -> Iterator[Picture]:
        """Yields the frames of a film as ``<uint8>[HEIGHT, WIDTH, 3]`` (red, green, blue).

        Args:
            every: The number of moments per frame; the last moment always gets a frame.
        """
        moments = self._recording.moments
        trail = self._map.copy()
        for index, moment in enumerate(moments):
            if index:
                self._draw_trail(trail, moments[index - 1], moment)
            if index % every == 0 or index == len(moments) - 1:
                yield self._draw_frame(trail, moment)

    def whole(self) -> Picture:
        """Returns the last frame, which shows the whole trail."""
        *_, last = self.frames(len(self._recording.moments))
        return last

    def _at(self, x: float, z: float) -> tuple[int, int]:
        """Returns the drawing coordinates of a point of the track in metres; z points up in the picture."""
        right = self._origin[0] + self._scale * x
        down = self._origin[1] - self._scale * z
        return round(right * (1 << SHIFT)), round(down * (1 << SHIFT))

    def _draw_map(self) -> Picture:
        picture = np.full((HEIGHT, WIDTH, 3), BACKGROUND, np.uint8)
        line = np.array([self._at(x, z) for x, z in self._track.points], np.int32)
        road_px = max(3, round(self._scale * ROAD_WIDTH_M))
        for color, width in ((EDGE, road_px + 3), (ROAD, road_px)):
            cv2.polylines(picture, [line], True, color, width, cv2.LINE_AA, SHIFT)
        x, z, heading = self._track.pose(0.0)
        across = np.array([np.cos(heading), -np.sin(heading)]) * ROAD_WIDTH_M / 2
        start, end = self._at(*(np.array([x, z]) - across)), self._at(*(np.array([x, z]) + across))
        cv2.line(picture, start, end, TEXT, 2, cv2.LINE_AA, SHIFT)
        picture[:, WIDTH - SIDE_WIDTH :] = BACKGROUND
        return picture

    def _draw_trail(self, picture: Picture, before: Moment, moment: Moment) -> None:
        if moment.state.returns > before.state.returns:
            return  # the car was put back on the track: it did not drive this line
        start, end = (self._at(one.state.x, one.state.z) for one in (before, moment))
        cv2.line(picture, start, end, _speed_color(moment.state.speed_m_s / self._top_speed_m_s), 4, cv2.LINE_AA, SHIFT)

    def _draw_frame(self, trail: Picture, moment: Moment) -> Picture:
        picture = trail.copy()
        self._draw_car(picture, moment)
        self._draw_side(picture, moment)
        return picture

    def _draw_car(self, picture: Picture, moment: Moment) -> None:
        state = moment.state
        ahead = np.array([np.sin(state.heading_rad), np.cos(state.heading_rad)]) * CAR_LENGTH_M / 2 * CAR_ENLARGED
        right = np.array([np.cos(state.heading_rad), -np.sin(state.heading_rad)]) * CAR_WIDTH_M / 2 * CAR_ENLARGED
        middle = np.array([state.x, state.z])
        corners = [middle + ahead + right, middle + ahead * 1.25, middle + ahead - right, middle - ahead - right]
        corners.append(middle - ahead + right)
        shape = np.array([self._at(*corner) for corner in corners], np.int32)
        cv2.fillPoly(picture, [shape], CAR, cv2.LINE_AA, SHIFT)
        cv2.polylines(picture, [shape], True, BACKGROUND, 1, cv2.LINE_AA, SHIFT)

    def _draw_side(self, picture: Picture, moment: Moment) -> None:
        left = WIDTH - SIDE_WIDTH + MARGIN
        width = SIDE_WIDTH - 2 * MARGIN
        height = image_height(width)
        with contextlib.suppress(BadFrame):  # the previous picture stays, as it does for the policy
            self._camera = decode_png(moment.png, self._image_width, image_height(self._image_width))
        view = cv2.resize(self._camera, (width, height), interpolation=cv2.INTER_NEAREST)
        picture[MARGIN : MARGIN + height, left : left + width] = view
        first = self._recording.moments[0].state
        rows = [
            (self._title, "", TEXT),
            (f"track {self._track.path.stem}, {self._track.length_m:.1f} m", "", FAINT),
            ("time", f"{moment.state.game_time_s - first.game_time_s:.2f} s", TEXT),
            ("speed", f"{moment.state.speed_m_s:.2f} m/s", TEXT),
            *self._lap_rows(),
        ]
        for index, (label, value, color) in enumerate(rows):
            baseline = MARGIN + height + 34 + 28 * index
            for text, x in ((label, left), (value, left + VALUE_COLUMN)):
                cv2.putText(picture, text, (x, baseline), cv2.FONT_HERSHEY_SIMPLEX, 0.55, color, 1, cv2.LINE_AA)
        self._draw_legend(picture, left, HEIGHT - 52, width)

    def _lap_rows(self) -> list[tuple[str, str, Color]]:
        lap_s = self._recording.lap_time_s
        if lap_s is None:
            return []
        limit = f"{self._limit_s:.2f} s, x {lap_s / self._limit_s:.2f}"
        return [("lap", f"{lap_s:.2f} s", TEXT), ("limit", limit, FAINT)]

    def _draw_legend(self, picture: Picture, left: int, top: int, width: int) -> None:
        picture[top : top + 12, left : left + width] = [_speed_color(column / (width - 1)) for column in range(width)]
        for text, x in (("0", left), (f"{self._top_speed_m_s:.1f} m/s", left + width - 64)):
            cv2.putText(picture, text, (x, top + 32), cv2.FONT_HERSHEY_SIMPLEX, 0.48, FAINT, 1, cv2.LINE_AA)


def _fit(points: NDArray[np.float64], width: int, height: int) -> tuple[float, tuple[float, float]]:
    """Returns the pixels per metre and the pixel coordinates of (0, 0) with which the road fits into the map."""
    room = ROAD_WIDTH_M / 2 + ROOM_M
    low, high = points.min(axis=0) - room, points.max(axis=0) + room
    scale = float(min(width / (high[0] - low[0]), height / (high[1] - low[1])))
    middle = (low + high) / 2
    return scale, (width / 2 - scale * float(middle[0]), height / 2 + scale * float(middle[1]))


def _speed_color(share: float) -> Color:
    """Returns the colour of a speed from 0 (blue) over 0.5 (green) to 1 (red)."""
    blue, green, red = _COLORS[min(255, max(0, round(255 * share)))]
    return int(red), int(green), int(blue)


_COLORS: Sequence[Sequence[int]] = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_TURBO)[:, 0].tolist()
