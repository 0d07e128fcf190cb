"""The store on the side, in Redis, that shows the cars' states to the monitor and to other machines."""

from __future__ import annotations

import dataclasses
import hashlib
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
    """Redis does not answer."""


@dataclasses.dataclass(frozen=True)
class StoredCar:
    """What the store holds of one car."""

    name: str
    fields: dict[str, Any]
    frame_png: bytes | None
    written_at: float
    """`time.time()` of the machine that wrote it."""


class CarStateStore:
    """The newest state and camera picture of every car of a run, in Redis, for whoever wants to look.

    `put` only leaves its arguments for a thread, which writes at most 20 times a second; states in between are lost,
    and so is everything while Redis does not answer. `offline_since` is the `time.time()` of the first failed write
    since the last good one, else None; a write is tried again every second.
    """

    def __init__(self, url: str, run_name: str) -> None:
        """`url` is `unix:///path?db=0` or `redis://[:password@]host:port/db`; nothing is connected yet."""
        self.offline_since: float | None = None
        self.last_error = ""
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
        """Leaves a car's state to be written, in place of one that still waits. Never blocks on Redis.

        Without a picture the last one stays. Raises TypeError for fields that are not JSON types; NaN becomes null.
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
        """All cars of the run that were written in the last 10 s, by name. Raises StoreUnavailable."""
        try:
            keys = list(self._client.scan_iter(match=self._prefix + "*", count=1000))
            pipeline = self._client.pipeline(transaction=False)
            for key in keys:
                pipeline.hgetall(key)
            rows = cast("list[dict[bytes, bytes]]", pipeline.execute())
        except (redis.RedisError, OSError) as error:
            raise StoreUnavailable(f"the car cache does not answer: {error}") from error
        # A key may have expired or been evicted between the two steps: then its row is empty.
        return sorted((_stored_car(row) for row in rows if row), key=lambda car: car.name)

    def close(self) -> None:
        """Ends the thread, within a second, without writing what still waits."""
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
    """Names are other people's text: keys are made of their hash, the name itself is stored as a value."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _stored_car(row: dict[bytes, bytes]) -> StoredCar:
    fields = msgspec.json.decode(row[b"state"])
    return StoredCar(row[b"name"].decode(), fields, row.get(b"frame"), float(row[b"written_at"]))
