"""Reads the cars and the run once for all browser tabs and keeps the newest message for each of them.

A tab requests each message when it has shown the last one. So there is at most one message on its way to a tab, a slow tab
gets fewer messages but always the newest one, and no queue builds up.

A message about the cars is binary: the length of a JSON text (uint32, little-endian), that text, the length of a second JSON
text, that text, then PNG files. The first text is the cars' states, the same for all tabs; the second lists the pictures that
this tab has not received yet, as ``[[key, bytes], ...]``.
"""

from __future__ import annotations

import asyncio
import dataclasses
import struct
import time
from typing import Any

import msgspec

from robotini_ray.car.state_store import CarStateStore, StoreUnavailable
from robotini_ray.monitor.fleet import Fleet
from robotini_ray.monitor.run_files import RunFiles

WATCHED_INTERVAL_S = 0.08
"""Wall time between two reads of Redis while a tab is open."""

UNWATCHED_INTERVAL_S = 0.5
"""Wall time between two reads of Redis while no tab is open; laps and crashes are recorded then too."""

RETRY_INTERVAL_S = 1.0
"""Wall time until the next read of Redis after a failed one."""

RUN_INTERVAL_S = 1.0
"""Wall time between two reads of the run directory."""

_LENGTH = struct.Struct("<I")


@dataclasses.dataclass
class Tab:
    """The messages that a tab has received.

    Attributes:
        number: Number of its last message about the cars.
        run_number: Number of its last message about the run.
        track_number: Number of its last message about the track.
        frames: Number of the last picture of each car that it received, by the car's key.
    """

    number: int = 0
    run_number: int = 0
    track_number: int = 0
    frames: dict[str, int] = dataclasses.field(default_factory=dict)


class Hub:
    """Follows a run and prepares the messages for the tabs.

    Args:
        run: The reader of the run directory.
        redis_url: URL of the Redis server with the cars' live state; None reads it from the run directory before each read.
    """

    def __init__(self, run: RunFiles, redis_url: str | None) -> None:
        self.tabs = 0
        self._run = run
        self._given_url = redis_url
        self._url: str | None = None
        self._store: CarStateStore | None = None
        self._fleet = Fleet()
        self._missing_since: float | None = None
        self._missing_why = ""
        self._number = 0
        self._cars_json = b""
        self._run_number, self._run_json, self._run_at = 0, "", 0.0
        self._track_number, self._track_json = 0, ""
        self._changed = asyncio.Event()
        self._hurry = asyncio.Event()

    async def follow(self) -> None:
        """Reads the cars and the run repeatedly, until this task is cancelled."""
        try:
            while True:
                began = time.monotonic()
                if began - self._run_at >= RUN_INTERVAL_S:
                    self._run_at = began
                    await self._read_run()
                interval_s = await self._read_cars()
                await self._pause(interval_s - (time.monotonic() - began))
        finally:
            self._disconnect()

    def join(self) -> Tab:
        """Registers a tab that has been opened; the cars are read at once."""
        self.tabs += 1
        self._hurry.set()
        return Tab()

    def leave(self, tab: Tab) -> None:
        """Unregisters a tab that has been closed."""
        self.tabs -= 1

    async def news(self, tab: Tab) -> list[str | bytes]:
        """Waits until there is a newer message than the tab has received, and returns the new messages in order.

        Messages about track and run are texts and are left out if they have not changed; the one about the cars is bytes.
        """
        while tab.number == self._number:
            await self._changed.wait()
        messages: list[str | bytes] = []
        if tab.track_number != self._track_number:
            tab.track_number = self._track_number
            messages.append(self._track_json)
        if tab.run_number != self._run_number:
            tab.run_number = self._run_number
            messages.append(self._run_json)
        tab.number = self._number
        messages.append(self._with_pictures(tab))
        return messages

    def _with_pictures(self, tab: Tab) -> bytes:
        unseen = [car for car in self._fleet.cars.values() if tab.frames.get(car.key) != car.frame_number and car.frame_png]
        tab.frames = {car.key: car.frame_number for car in self._fleet.cars.values()}
        listed = msgspec.json.encode([[car.key, len(car.frame_png)] for car in unseen])
        texts = (_LENGTH.pack(len(self._cars_json)), self._cars_json, _LENGTH.pack(len(listed)), listed)
        return b"".join((*texts, *(car.frame_png for car in unseen)))

    async def _read_cars(self) -> float:
        """Reads Redis and publishes the cars' states; returns the time until the next read, in seconds."""
        now = time.time()
        interval_s = WATCHED_INTERVAL_S if self.tabs else UNWATCHED_INTERVAL_S
        try:
            self._fleet.update(await asyncio.to_thread(self._connected().read_cars), now)
            self._missing_since, self._missing_why = None, ""
        except StoreUnavailable as error:
            self._missing_since = self._missing_since or now
            self._missing_why = str(error)
            self._disconnect()
            interval_s = RETRY_INTERVAL_S
        state = {
            "now": now,
            "missing_since": self._missing_since,
            "missing_why": self._missing_why,
            "cars": self._fleet.rows(now),
            "crashes": list(self._fleet.crashes),
        }
        self._cars_json = msgspec.json.encode(state)
        self._publish()
        return interval_s

    async def _read_run(self) -> None:
        if await asyncio.to_thread(self._run.read_on) and (track := self._run.track_message()) is not None:
            self._track_number, self._track_json = _replaced(self._track_number, self._track_json, {"track": track})
        run = {**self._run.message(), "problem": self._problem(), "board": self._fleet.board(), "faults": self._faults()}
        self._run_number, self._run_json = _replaced(self._run_number, self._run_json, {"run": run})

    def _problem(self) -> str:
        """Returns what cannot be read, in files and in Redis; empty if there is no such thing."""
        unreadable = 0 if self._store is None else self._store.unreadable
        redis = f"{unreadable} entries of Redis are no states of cars and are left out" if unreadable else ""
        return "; ".join(filter(None, (self._run.problem, redis)))

    def _faults(self) -> dict[str, Any]:
        """Returns the number of faults by cause: from the run's summary, else from the cars' states."""
        counted = (self._run.summary or {}).get("faults")
        return counted if isinstance(counted, dict) else self._fleet.faults()

    def _connected(self) -> CarStateStore:
        """Returns the store, which it opens if necessary.

        Raises:
            StoreUnavailable: The URL of the store is not known or not valid.
        """
        url = self._given_url or self._run.redis_url()
        if self._store is not None and url != self._url:
            self._disconnect()
        if url is None:
            raise StoreUnavailable(f"no training has written the URL of its Redis server to {self._run.directory} yet")
        if self._store is None:
            self._url = url
            try:
                self._store = CarStateStore(url, self._run.directory.name)
            except ValueError as error:
                raise StoreUnavailable(f"{url!r} is not the URL of a Redis server: {error}") from error
        return self._store

    def _disconnect(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None

    async def _pause(self, wait_s: float) -> None:
        """Waits for ``wait_s``, or until a tab is opened, which ends the long wait of a page without tabs."""
        self._hurry.clear()
        timer = asyncio.get_running_loop().call_later(max(wait_s, 0.005), self._hurry.set)
        try:
            await self._hurry.wait()  # not ``wait_for``, which loses a cancellation that coincides with the event
        finally:
            timer.cancel()

    def _publish(self) -> None:
        self._number += 1
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def _replaced(number: int, text: str, content: dict[str, Any]) -> tuple[int, str]:
    """Returns the JSON text of ``content`` and its number: one more than ``number`` if it differs from ``text``."""
    newest = msgspec.json.encode(content).decode()
    return (number, text) if newest == text else (number + 1, newest)
