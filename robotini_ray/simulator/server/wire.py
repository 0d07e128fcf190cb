"""What clients may say, without sockets: lines out of bytes, logins and commands out of lines, and their limits."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, get_args

import msgspec

from robotini_ray.simulator.camera.pixel_view import MAX_WIDTH, MIN_WIDTH

LOGIN_LIMIT_BYTES = 1024
LINE_LIMIT_BYTES = 512
LARGEST_VALUE = 100.0  # values count as sent, within what the physics can compute
ACTIONS = ("forward", "turn", "brake", "reverse")
UiCommand = Literal["ProceedToNextPhase", "MotorsToggle", "ResetSimulator"]
UI_COMMANDS: tuple[UiCommand, ...] = get_args(UiCommand)


class WireError(Exception):
    """A client that breaks the protocol and has to go; the message says how."""


class Login(NamedTuple):
    """The first line of a car's client; `lockstep` promises to end every answer with a line that is no command."""

    name: str
    team_id: str
    color: str
    image_width: int
    lockstep: bool


class Command(NamedTuple):
    """One later line. `action` is None if it only asks for a frame; a blank line does not count as a sign of life."""

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
    """Collects bytes into lines of a limited length."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._pending = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that `data` completes, without their ends; the limit may change between two of them.

        Raises:
          WireError: a line is longer than the limit, finished or not.
        """
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            self._check(line)
            yield line
        self._check(self._pending)

    def _check(self, line: bytes) -> None:
        if len(line) > self.limit_bytes:
            raise WireError(f"a line of over {self.limit_bytes} bytes")


def parse_login(line: bytes) -> Login:
    """Raises WireError if the line is no login, or `name` or `teamId` is missing or empty."""
    content = _parse_object(line)
    texts = {key: content.get(key) for key in ("name", "teamId", "color")}
    for key in ("name", "teamId"):
        if not isinstance(texts[key], str) or not texts[key]:
            raise WireError(f"a login without {key}")
    width = content.get("imageWidth")
    if type(width) is not int or not MIN_WIDTH <= width <= MAX_WIDTH:
        width = MAX_WIDTH
    color = texts["color"] if isinstance(texts["color"], str) else ""
    return Login(str(texts["name"]), str(texts["teamId"]), color, width, content.get("lockstep") is True)


def parse_command(line: bytes) -> Command:
    """Raises WireError if the line is neither blank nor a JSON object."""
    if not line.strip():
        return BLANK
    try:
        content = _COMMANDS.decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        raise WireError(f"a line that is not a JSON object ({error})") from None
    action, value = content.action, content.value
    if action not in ACTIONS or type(value) not in (int, float) or not abs(value) < math.inf:
        return NO_COMMAND
    return Command(action, max(-LARGEST_VALUE, min(LARGEST_VALUE, value)))


def parse_ui_command(line: bytes) -> UiCommand:
    """What a spectator asks for; raises WireError if it is not one of the UI commands."""
    kind = _parse_object(line).get("type")
    for command in UI_COMMANDS:
        if command == kind:
            return command
    raise WireError(f"no UI command: {kind!r}")


def encode_event(event: dict[str, Any]) -> bytes:
    """One line of the spectator stream; a missing time is a bare NaN, as Unity writes it."""
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"


def encode_status(event: dict[str, Any]) -> bytes:
    """The same for GameStatus, which has no NaN and is sent 60 times a second."""
    return msgspec.json.encode(event) + b"\n"


def encode_frame(png: bytes) -> bytes:
    """A picture with its length in front."""
    return len(png).to_bytes(2, "big") + png


def _parse_object(line: bytes) -> dict[str, Any]:
    try:
        content = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        raise WireError(f"a line that is not JSON ({error})") from None
    if not isinstance(content, dict):
        raise WireError("a line that is not a JSON object")
    return content
