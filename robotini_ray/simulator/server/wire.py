"""Decodes the lines that clients send and encodes frames and events, independently of sockets; defines the limits."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, get_args

import msgspec

from robotini_ray.simulator.camera.pixel_view import MAX_WIDTH, MIN_WIDTH

LOGIN_LIMIT_BYTES = 1024
LINE_LIMIT_BYTES = 512
LARGEST_VALUE = 100.0  # values are not limited to -1..1, only to what the physics can compute with
ACTIONS = ("forward", "turn", "brake", "reverse")
UiCommand = Literal["ProceedToNextPhase", "MotorsToggle", "ResetSimulator"]
UI_COMMANDS: tuple[UiCommand, ...] = get_args(UiCommand)


class WireError(Exception):
    """Raised when a client breaks the protocol and has to be dropped; the message says how."""


class Login(NamedTuple):
    """The first line that a car's client sends.

    Attributes:
        name: The name of the car.
        team_id: The id of its team, ``teamId`` on the wire.
        color: The colour of its body, ``#rrggbb``; empty if the client sent none.
        image_width: The width of its frames in pixels, ``imageWidth`` on the wire.
        lockstep: True if the client promises to end every answer with a line that is not a command.
    """

    name: str
    team_id: str
    color: str
    image_width: int
    lockstep: bool


class Command(NamedTuple):
    """A line that a car's client sends after the login; every such line requests the next frame.

    Attributes:
        action: One of ``ACTIONS``; None for a line that only requests a frame.
        value: The value of the action, -``LARGEST_VALUE`` .. ``LARGEST_VALUE``.
        blank: True for a blank line, which does not prevent the command timeout of the car.
    """

    action: str | None = None
    value: float = 0.0
    blank: bool = False


BLANK = Command(blank=True)
NO_COMMAND = Command()


class _CommandLine(msgspec.Struct):
    action: Any = None
    value: Any = 0.0


_COMMANDS = msgspec.json.Decoder(_CommandLine)


class LineBuffer:
    """Splits a stream of bytes into lines of a limited length.

    Args:
        limit_bytes: The length of the longest line that is accepted.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._pending = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yields the lines that ``data`` completes, without their ends; ``limit_bytes`` may change between two lines.

        Raises:
            WireError: A line is longer than the limit, whether it is complete or not.
        """
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            self._check(line)
            yield line
        self._check(self._pending)

    def _check(self, line: bytes) -> None:
        if len(line) > self.limit_bytes:
            raise WireError(f"it sent a line of over {self.limit_bytes} bytes")


def parse_login(line: bytes) -> Login:
    """Decodes the first line of a car's client.

    A missing or unsuitable ``imageWidth`` becomes ``MAX_WIDTH``, such a ``color`` an empty string.

    Raises:
        WireError: The line is not a JSON object, or ``name`` or ``teamId`` is missing or empty.
    """
    content = _parse_object(line)
    texts = {key: content.get(key) for key in ("name", "teamId", "color")}
    for key in ("name", "teamId"):
        if not isinstance(texts[key], str) or not texts[key]:
            raise WireError(f"its login has no {key}")
    width = content.get("imageWidth")
    if type(width) is not int or not MIN_WIDTH <= width <= MAX_WIDTH:
        width = MAX_WIDTH
    color = texts["color"] if isinstance(texts["color"], str) else ""
    return Login(str(texts["name"]), str(texts["teamId"]), color, width, content.get("lockstep") is True)


def parse_command(line: bytes) -> Command:
    """Decodes a later line of a car's client.

    An object without a known action and a finite value only requests a frame; larger values are clipped to
    ``LARGEST_VALUE``.

    Raises:
        WireError: The line is neither blank nor a JSON object.
    """
    if not line.strip():
        return BLANK
    try:
        content = _COMMANDS.decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        raise WireError(f"it sent a line that is not a JSON object ({error})") from None
    action, value = content.action, content.value
    if action not in ACTIONS or type(value) not in (int, float) or not abs(value) < math.inf:
        return NO_COMMAND
    return Command(action, max(-LARGEST_VALUE, min(LARGEST_VALUE, value)))


def parse_ui_command(line: bytes) -> UiCommand:
    """Decodes a line that a spectator sends.

    Raises:
        WireError: The line is not one of ``UI_COMMANDS``.
    """
    kind = _parse_object(line).get("type")
    for command in UI_COMMANDS:
        if command == kind:
            return command
    raise WireError(f"it sent {kind!r}, which is not a UI command")


def encode_event(event: dict[str, Any]) -> bytes:
    """Encodes an event as one line of the spectator stream; a missing time is a bare ``NaN``, as Unity writes it."""
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"


def encode_status(event: dict[str, Any]) -> bytes:
    """Encodes ``GameStatus``, faster than ``encode_event``: it is sent 60 times a second and never contains NaN."""
    return msgspec.json.encode(event) + b"\n"


def encode_frame(png: bytes) -> bytes:
    """Prefixes a picture with its length in bytes, 16 bits, big-endian."""
    return len(png).to_bytes(2, "big") + png


def _parse_object(line: bytes) -> dict[str, Any]:
    try:
        content = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        raise WireError(f"it sent a line that is not JSON ({error})") from None
    if not isinstance(content, dict):
        raise WireError("it sent a line that is not a JSON object")
    return content
