"""Serves a recorded spectator stream at its original pace to every spectator that connects.

The recording is a simulator's ``race.log``, or what was read from a spectator port.
"""

from __future__ import annotations

import functools
import re
import selectors
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from robotini_ray.car.protocol import EventDecoder
from robotini_ray.errors import RobotiniError
from robotini_ray.simulator.server.listener import listen
from robotini_ray.simulator.server.peer import SpectatorPeer
from robotini_ray.simulator.server.wire import WireError, encode_event

Event = dict[str, Any]

_COLOR = re.compile(r"#[0-9a-fA-F]{6}")

READ_BYTES = 1 << 16
FLUSH_S = 5.0
"""The longest wait until a slow spectator has read the last events."""


class LogReplayError(RobotiniError):
    """Raised if a file cannot be replayed; the message is one line for the user."""


class EventLog:
    """The events of a file, which is read piece by piece on every iteration.

    Args:
        path: The file.

    Attributes:
        bad_lines: The number of lines that are not events, counted in the last complete iteration.
    """

    def __init__(self, path: Path) -> None:
        self.bad_lines = 0
        self._path = path

    def __iter__(self) -> Iterator[Event]:
        """Yields the events from the first one on.

        Raises:
            LogReplayError: The file cannot be read, or holds no event.
        """
        decoder = EventDecoder()
        found = False
        try:
            with self._path.open("rb") as file:
                while data := file.read(READ_BYTES):
                    for event in decoder.feed(data):
                        found = True
                        yield event
        except OSError as error:
            cure = "give a race.log or a recorded stream"
            raise LogReplayError(f"{self._path} cannot be read: {error.strerror}; {cure}") from error
        for event in decoder.feed(b"\n"):  # the last line may lack its newline
            found = True
            yield event
        self.bad_lines = decoder.bad_lines
        if not found:
            raise LogReplayError(f"{self._path} holds no events of a spectator stream: give a race.log or such a recording")


class RaceLogServer:
    """Serves one log on a spectator port.

    The replay begins when the first spectator connects. A spectator that connects later first gets the race parameters and
    the cars that are on the track at that moment.

    Args:
        log: The log to send.
        host: The address to listen on.
        port: The port to listen on; 0 takes a free one.
        speed: The factor of the recorded pace; 2 replays twice as fast.

    Attributes:
        sent: The number of events sent so far.

    Raises:
        SimulatorError: The port is in use.
    """

    def __init__(self, log: EventLog, host: str, port: int, speed: float) -> None:
        self._log = log
        self._speed = speed
        self._listener = listen(host, port)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._spectators: list[SpectatorPeer] = []
        self._parameters: Event | None = None
        self._cars: dict[str, Event] = {}
        self.sent = 0

    @property
    def address(self) -> tuple[str, int]:
        """The host and the port that the server listens on."""
        return self._listener.getsockname()

    def color_of(self, name: str) -> str | None:
        """Returns the colour of a car on the track from its ``CarAdded`` event; None if the log has given none."""
        color = self._cars.get(name, {}).get("car", {}).get("color")
        return color if isinstance(color, str) and _COLOR.fullmatch(color) else None

    def run(self, again: Callable[[], bool]) -> None:
        """Waits for the first spectator and sends the log; blocks until the log has been sent for the last time.

        Args:
            again: Called at the end of the log; returns whether to send it once more.
        """
        while not self._spectators:
            self._serve(None)
        while True:
            self._play()
            if not again():
                break
        deadline_s = time.monotonic() + FLUSH_S
        while any(spectator.has_backlog for spectator in self._spectators) and time.monotonic() < deadline_s:
            self._serve(deadline_s)

    def close(self) -> None:
        """Closes all connections and the port; may be called more than once."""
        for spectator in self._spectators:
            spectator.close()
        self._selector.close()
        self._listener.close()

    def _play(self) -> None:
        """Sends the log once; its clock starts anew where the timestamps go back, as they do between two sessions."""
        began_s, began_stamp_s, last_stamp_s = time.monotonic(), None, 0.0
        self._parameters, self._cars = None, {}
        for event in self._log:
            stamp_s = event.get("timestamp")
            if isinstance(stamp_s, int | float) and stamp_s == stamp_s:  # an event whose time is NaN is due at once
                if began_stamp_s is None or stamp_s < last_stamp_s:
                    began_s, began_stamp_s = time.monotonic(), stamp_s
                last_stamp_s = stamp_s
                self._serve(began_s + (stamp_s - began_stamp_s) / self._speed)
            self._remember(event)
            self._send_all(encode_event(event))

    def _remember(self, event: Event) -> None:
        kind, car = event["type"], event.get("car")
        if kind == "RaceParameters":
            self._parameters = event
        elif isinstance(car, dict) and kind == "CarAdded":
            self._cars[str(car.get("name"))] = event
        elif isinstance(car, dict) and kind == "CarRemoved":
            self._cars.pop(str(car.get("name")), None)

    def _send_all(self, line: bytes) -> None:
        self.sent += 1
        for spectator in list(self._spectators):
            self._attempt(spectator, functools.partial(spectator.send, line))

    def _serve(self, until_s: float | None) -> None:
        """Serves connections until ``until_s`` on the monotonic clock; without a time, until something has happened."""
        while True:
            for spectator in self._spectators:
                wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if spectator.has_backlog else 0)
                self._selector.modify(spectator.socket, wanted, spectator)
            left_s = None if until_s is None else until_s - time.monotonic()
            for key, mask in self._selector.select(left_s if left_s is None else max(0.0, left_s)):
                if key.data is None:
                    self._welcome()
                elif mask & selectors.EVENT_READ:
                    self._attempt(key.data, functools.partial(self._ignore, key.data))
                else:
                    self._attempt(key.data, key.data.flush)
            if until_s is None or time.monotonic() >= until_s:
                return

    def _welcome(self) -> None:
        connection = self._listener.accept()
        if connection is None:
            return
        spectator = SpectatorPeer(connection)
        self._spectators.append(spectator)
        self._selector.register(spectator.socket, selectors.EVENT_READ, spectator)
        known = [*([] if self._parameters is None else [self._parameters]), *self._cars.values()]
        for event in known:
            self._attempt(spectator, functools.partial(spectator.send, encode_event(event)))

    def _ignore(self, spectator: SpectatorPeer) -> None:
        """Reads and discards what a spectator sends: its requests cannot change a recorded race."""
        if spectator.receive() == b"":
            raise WireError("closed")

    def _attempt(self, spectator: SpectatorPeer, action: Callable[[], None]) -> None:
        """Runs ``action``; drops the spectator if it has disconnected or does not read."""
        if spectator.closed:
            return
        try:
            action()
        except (OSError, WireError):
            self._selector.unregister(spectator.socket)
            self._spectators.remove(spectator)
            spectator.close()
