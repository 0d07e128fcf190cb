"""Reads the cars and the run once for all tabs, and holds the newest message for whoever has time for it.

A tab asks for each message when it has shown the last one. So there is at most one message on its way to a tab, a slow one
gets fewer of them and always the newest, and nothing piles up.

A message to a tab is binary: the length of a JSON text (uint32, little-endian), that text, the length of a second one, that
one, then PNGs. The first text is the cars' states, the same for all tabs; the second lists the pictures that this tab has not
got yet, as `[[key, bytes], ...]`.
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
"""Between two readings of Redis while there is a tab."""

UNWATCHED_INTERVAL_S = 0.5
"""The same while nobody looks: laps and crashes are noted all the same."""

RETRY_INTERVAL_S = 1.0
RUN_INTERVAL_S = 1.0

_LENGTH = struct.Struct("<I")


@dataclasses.dataclass
class Tab:
    """What one tab has got already."""

    number: int = 0
    run_number: int = 0
    track_number: int = 0
    frames: dict[str, int] = dataclasses.field(default_factory=dict)


class Hub:
    """Follows a run until it is cancelled.

    Args:
        run: the run's directory.
        redis_url: where the cars' live state is; None takes what the run directory says, each time anew.
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
        """Reads on for ever."""
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
        """A tab has been opened."""
        self.tabs += 1
        self._hurry.set()
        return Tab()

    def leave(self, tab: Tab) -> None:
        """It has been closed."""
        self.tabs -= 1

    async def news(self, tab: Tab) -> list[str | bytes]:
        """What the tab has not got yet, waiting until there is something: texts of run and track, bytes of the cars."""
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
        """Reads Redis and tells the tabs; returns the time until it should be read again."""
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
        run = {**self._run.message(), "board": self._fleet.board(), "faults": self._faults()}
        self._run_number, self._run_json = _replaced(self._run_number, self._run_json, {"run": run})

    def _faults(self) -> dict[str, Any]:
        """By cause: what the run has counted, else what its cars say of themselves."""
        counted = (self._run.summary or {}).get("faults")
        return counted if isinstance(counted, dict) else self._fleet.faults()

    def _connected(self) -> CarStateStore:
        """The store. Raises StoreUnavailable: nobody has said where it is."""
        url = self._given_url or self._run.redis_url()
        if self._store is not None and url != self._url:
            self._disconnect()
        if url is None:
            raise StoreUnavailable(f"no training has said in {self._run.directory} where its cars' live state is")
        if self._store is None:
            self._url = url
            try:
                self._store = CarStateStore(url, self._run.directory.name)
            except ValueError as error:
                raise StoreUnavailable(f"{url!r} is no address of a Redis server: {error}") from error
        return self._store

    def _disconnect(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None

    async def _pause(self, wait_s: float) -> None:
        """Waits; a tab that is opened ends the long wait of when nobody looks."""
        self._hurry.clear()
        timer = asyncio.get_running_loop().call_later(max(wait_s, 0.005), self._hurry.set)
        try:
            await self._hurry.wait()  # not by wait_for, which loses a cancellation that comes with the event
        finally:
            timer.cancel()

    def _publish(self) -> None:
        self._number += 1
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def _replaced(number: int, text: str, content: dict[str, Any]) -> tuple[int, str]:
    """The text of the content, under the next number if it differs from the last text."""
    newest = msgspec.json.encode(content).decode()
    return (number, text) if newest == text else (number + 1, newest)
