"""Keeps the newest state of every car in Redis, for the monitor and for programs on other machines."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import threading
import time
from typing import Any, cast

import msgspec
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

WRITES_PER_S = 20
EXPIRY_S = 10
RETRY_INTERVAL_S = 1.0
_SOCKET_TIMEOUT_S = 1.0


class StoreUnavailable(Exception):
    """Redis does not answer, or answers with an error."""


@dataclasses.dataclass(frozen=True)
class StoredCar:
    """The stored data of one car."""

    name: str
    fields: dict[str, Any]
    frame_png: bytes | None
    written_at: float
    """The time of writing as ``time.time()`` of the machine that wrote the data."""


class CarStateStore:
    """Keeps the newest state and camera picture of every car of a run in Redis.

    ``put`` only hands its arguments to a thread, which writes at most 20 times per second. States in between are lost, and
    so are all states while Redis does not answer; after a failed write the next one is tried a second later.

    Attributes:
        offline_since: The ``time.time()`` of the first failed write since the last successful one; None if there is none.
        last_error: The text of the error of the last failed write; empty before the first one.
        unreadable: The number of entries in the last read that were no states of cars, and were left out.
    """

    def __init__(self, url: str, run_name: str) -> None:
        """Prepares a client without connecting yet.

        Args:
            url: ``unix:///path?db=0`` or ``redis://[:password@]host:port/db``.
            run_name: The name of the run, which keeps the cars of different runs apart.
        """
        self.offline_since: float | None = None
        self.last_error = ""
        self.unreadable = 0
        self._client = redis.Redis.from_url(
            url,
            socket_timeout=_SOCKET_TIMEOUT_S,
            socket_connect_timeout=_SOCKET_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
        self._prefix = f"robotini:{_digest(run_name)}:car:"
        self._pending: dict[str, tuple[bytes, bytes | None]] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._writer: threading.Thread | None = None

    def put(self, name: str, state_fields: dict[str, Any], frame_png: bytes | None) -> None:
        """Queues a car's state to be written, replacing one that is still waiting. Never blocks on Redis.

        Args:
            name: The car's name.
            state_fields: Values of JSON types; NaN becomes null.
            frame_png: The camera picture; None keeps the last one.

        Raises:
            TypeError: A field is not of a JSON type.
        """
        state_json = msgspec.json.encode(state_fields)
        with self._lock:
            if frame_png is None and name in self._pending:
                frame_png = self._pending[name][1]
            self._pending[name] = (state_json, frame_png)
            if self._writer is None:
                self._writer = threading.Thread(target=self._write_until_closed, name="car-state-store", daemon=True)
                self._writer.start()

    def read_cars(self) -> list[StoredCar]:
        """Returns all cars of the run that were written in the last 10 s, sorted by name; counts others in ``unreadable``.

        Blocks on Redis, for at most 1 s for each socket operation.

        Raises:
            StoreUnavailable: Redis does not answer, or answers with an error.
        """
        try:
            keys = list(self._client.scan_iter(match=self._prefix + "*", count=1000))
            pipeline = self._client.pipeline(transaction=False)
            for key in keys:
                pipeline.hgetall(key)
            rows = cast("list[dict[bytes, bytes]]", pipeline.execute())
        except (redis.RedisError, OSError) as error:
            raise StoreUnavailable(f"the car cache does not answer: {error}") from error
        # A key may have expired or been evicted between the scan and the read: then its row is empty.
        cars = [_stored_car(row) for row in rows if row]
        self.unreadable = cars.count(None)
        return sorted((car for car in cars if car is not None), key=lambda car: car.name)

    def close(self) -> None:
        """Stops the thread without writing the states that are still waiting, and closes the connection.

        Waits for the thread for at most 2 s; it normally ends within a second.
        """
        self._closing.set()
        if self._writer is not None:
            self._writer.join(timeout=2.0)
        self._client.close()

    def _write_until_closed(self) -> None:
        wait_s = 1 / WRITES_PER_S
        while not self._closing.wait(wait_s):
            with self._lock:
                pending, self._pending = self._pending, {}
            wait_s = 1 / WRITES_PER_S if self._write(pending) else RETRY_INTERVAL_S

    def _write(self, pending: dict[str, tuple[bytes, bytes | None]]) -> bool:
        if not pending:
            return True
        try:
            pipeline = self._client.pipeline(transaction=False)
            for name, (state_json, frame_png) in pending.items():
                row: dict[Any, Any] = {"name": name, "state": state_json, "written_at": repr(time.time())}
                if frame_png is not None:
                    row["frame"] = frame_png
                key = self._prefix + _digest(name)
                pipeline.hset(key, mapping=row)
                pipeline.expire(key, EXPIRY_S)
            pipeline.execute()
        except (redis.RedisError, OSError) as error:
            self.offline_since = self.offline_since or time.time()
            self.last_error = str(error)
            return False
        self.offline_since = None
        return True


def _digest(text: str) -> str:
    """Returns the hash that stands for a name in keys.

    Names come from outside and may hold any text; a key therefore contains the hash, and the name is stored as a value.
    """
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _stored_car(row: dict[bytes, bytes]) -> StoredCar | None:
    """Returns the car of an entry; None if the entry was not written by ``put``."""
    try:
        fields = msgspec.json.decode(row[b"state"])
        car = StoredCar(row[b"name"].decode(), fields, row.get(b"frame"), float(row[b"written_at"]))
    except (KeyError, ValueError, RecursionError):
        return None
    return car if isinstance(fields, dict) and math.isfinite(car.written_at) else None
