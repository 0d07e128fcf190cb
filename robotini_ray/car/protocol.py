"""Encodes and decodes the wire protocol of the car and spectator ports; this module opens no sockets."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import msgspec

from robotini_ray.car.png_check import png_fault, png_header

MIN_IMAGE_WIDTH = 8
MAX_IMAGE_WIDTH = 128
MAX_LOGIN_BYTES = 1024
MAX_EVENT_LINE_BYTES = 1 << 20

_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_COMMANDS = b'{"action":"forward","value":%.6f}\n{"action":"turn","value":%.6f}\n'
_LOCKSTEP_COMMANDS = _COMMANDS + b"\n"


def image_height(width: int) -> int:
    """Returns the height in pixels of a camera picture that is ``width`` pixels wide."""
    return width * 80 // 128


def login_line(name: str, team_id: str, color: str, image_width: int, lockstep: bool) -> bytes:
    """Returns the login, which is the first line that a car's client sends.

    Args:
        name: The car's name on the track; not empty.
        team_id: The car's team; not empty.
        color: The car's colour as ``#rrggbb``.
        image_width: The width of the camera picture in pixels, from 8 to 128.
        lockstep: Whether an embedded simulator that runs as fast as it can waits for the complete answer to each frame. The
            blank line of ``command_lines(..., lockstep=True)`` ends an answer. Other simulators ignore the key.

    Raises:
        ValueError: The simulator would refuse the login without an error message, or misread it; the message names the field.
    """
    if not name:
        raise ValueError("the car's name is empty: the simulator refuses such a login; give the car a name")
    if not team_id:
        raise ValueError(f"teamId of car {name!r} is empty: the simulator refuses such a login; give the car a teamId")
    if not _COLOR.fullmatch(color):
        raise ValueError(f"color of car {name!r} is {color!r}; write it as #rrggbb")
    if not MIN_IMAGE_WIDTH <= image_width <= MAX_IMAGE_WIDTH:
        raise ValueError(f"image width is {image_width}; the simulator renders {MIN_IMAGE_WIDTH} to {MAX_IMAGE_WIDTH}")
    login: dict[str, Any] = {"name": name, "teamId": team_id, "color": color, "imageWidth": image_width}
    if lockstep:
        login["lockstep"] = True
    line = json.dumps(login, ensure_ascii=False).encode() + b"\n"
    if len(line) > MAX_LOGIN_BYTES:
        raise ValueError(
            f"the login of car {name[:40]!r} takes {len(line)} bytes; the simulator reads at most {MAX_LOGIN_BYTES}"
        )
    return line


def command_lines(throttle: float, turn: float, lockstep: bool = False) -> bytes:
    """Returns the two commands that answer a camera frame, as bytes for a single write.

    Values are clamped here because the simulator applies any value that it receives.

    Args:
        throttle: The throttle, clamped to [0, 1].
        turn: The steering, clamped to [-1, 1]; +1 is full left.
        lockstep: Whether to append the blank line that ends an answer in lock-step (see ``login_line``).

    Raises:
        ValueError: A value is not finite.
    """
    if not (math.isfinite(throttle) and math.isfinite(turn)):
        raise ValueError(f"throttle {throttle}, turn {turn}: a command must be finite")
    throttle = 0.0 if throttle < 0.0 else 1.0 if throttle > 1.0 else throttle
    turn = -1.0 if turn < -1.0 else 1.0 if turn > 1.0 else turn
    return (_LOCKSTEP_COMMANDS if lockstep else _COMMANDS) % (throttle, turn)


class FrameDecoder:
    """Splits the byte stream of a car socket into camera frames: 2 bytes of length (big-endian), then a PNG.

    A frame that is empty, not a PNG, damaged or of another size than expected is left out and counted, so that every
    returned frame is safe to decode.

    Attributes:
        frames_seen: The number of complete frames so far, the refused ones included.
        bad_frames: The number of refused frames so far.
        consecutive_bad_frames: The number of refused frames since the last good one.
        last_fault: The reason why the last refused frame was refused; empty before the first one.
    """

    def __init__(self, width: int, height: int) -> None:
        self.frames_seen = 0
        self.bad_frames = 0
        self.consecutive_bad_frames = 0
        self.last_fault = ""
        self._header = png_header(width, height)
        self._buffer = bytearray()

    def feed(self, data: bytes | memoryview) -> list[bytes]:
        """Processes the next bytes of the stream, which may be cut anywhere; returns the PNGs now complete, oldest first."""
        buffer = self._buffer
        buffer += data
        frames = []
        start, available = 0, len(buffer)
        while available - start >= 2:
            end = start + 2 + (buffer[start] << 8 | buffer[start + 1])
            if end > available:
                break
            png = bytes(memoryview(buffer)[start + 2 : end])
            start = end
            if self._accepts(png):
                frames.append(png)
        del buffer[:start]
        return frames

    def _accepts(self, png: bytes) -> bool:
        self.frames_seen += 1
        fault = png_fault(png, self._header)
        if fault is None:
            self.consecutive_bad_frames = 0
            return True
        self.last_fault = fault
        self.bad_frames += 1
        self.consecutive_bad_frames += 1
        return False


class EventDecoder:
    """Splits the byte stream of a spectator socket into events: JSON objects with a string ``type``, usually one per line.

    Several objects may share a line, and a number may be a bare ``NaN``, which Unity writes. Anything else is skipped and
    counted in ``bad_lines``: invalid JSON, invalid UTF-8, nesting too deep to parse, a line over 1 MiB.
    """

    def __init__(self) -> None:
        self.bad_lines = 0
        self._fast = msgspec.json.Decoder()
        self._tolerant = json.JSONDecoder()
        self._partial = bytearray()
        self._skipping = False

    def feed(self, data: bytes | memoryview) -> list[dict[str, Any]]:
        """Processes the next bytes of the stream, which may be cut anywhere; returns the events now complete, oldest first."""
        head, *lines = bytes(data).split(b"\n")
        if not lines:
            self._extend_partial(head)
            return []
        events: list[dict[str, Any]] = []
        self._extend_partial(head)
        if not self._skipping:
            self._decode_line(bytes(self._partial), events)
        self._skipping = False
        self._partial.clear()
        for line in lines[:-1]:
            self._decode_line(line, events)
        self._extend_partial(lines[-1])
        return events

    def _extend_partial(self, piece: bytes) -> None:
        if self._skipping:
            return
        self._partial += piece
        if len(self._partial) > MAX_EVENT_LINE_BYTES:
            self._partial.clear()
            self._skipping = True
            self.bad_lines += 1

    def _decode_line(self, line: bytes, events: list[dict[str, Any]]) -> None:
        if not line or line.isspace():
            return
        if len(line) > MAX_EVENT_LINE_BYTES:
            self.bad_lines += 1
            return
        try:
            self._append_event(self._fast.decode(line), events)
        except (ValueError, RecursionError):
            self._decode_odd_line(line, events)

    def _decode_odd_line(self, line: bytes, events: list[dict[str, Any]]) -> None:
        """Decodes lines that simulators send but the fast decoder refuses; keeps the events before an error in the line."""
        try:
            text = line.decode().strip()
            position = 0
            while position < len(text):
                event, position = self._tolerant.raw_decode(text, position)
                self._append_event(event, events)
                while position < len(text) and text[position].isspace():
                    position += 1
        except (ValueError, RecursionError):
            self.bad_lines += 1

    def _append_event(self, event: Any, events: list[dict[str, Any]]) -> None:
        if isinstance(event, dict) and isinstance(event.get("type"), str):
            events.append(event)
        else:
            self.bad_lines += 1
