"""Reads scalars from TensorBoard's files while they are being written, without TensorFlow.

A file is a sequence of records: length (uint64), its checksum (uint32), a serialised ``Event``, its checksum (uint32), all
little-endian (TensorFlow, ``tensorflow/core/lib/io/record_writer.h``).
"""

from __future__ import annotations

import dataclasses
import math
import struct
from pathlib import Path
from typing import BinaryIO

from google.protobuf.message import DecodeError
from tensorboard.compat.proto import event_pb2, summary_pb2

MOST_POINTS = 2000
"""Greatest number of points kept of a scalar; a longer curve loses every second point."""

LARGEST_RECORD_BYTES = 64 << 20
_HEADER, _FOOTER_BYTES = struct.Struct("<QI"), 4


class EventFileError(ValueError):
    """Raised if a file is not an event file; the message names the file and the position."""


@dataclasses.dataclass
class Curve:
    """A scalar over the train step: parallel lists, in ascending order of the step."""

    steps: list[int] = dataclasses.field(default_factory=list)
    values: list[float] = dataclasses.field(default_factory=list)

    def add(self, step: int, value: float) -> None:
        """Adds a point, in place of the points from ``step`` on that a run had before it was resumed from an earlier step."""
        while self.steps and self.steps[-1] >= step:
            self.steps.pop()
            self.values.pop()
        self.steps.append(step)
        self.values.append(value)
        if len(self.steps) > MOST_POINTS:
            del self.steps[1:-1:2], self.values[1:-1:2]


class ScalarReader:
    """Reads the scalars of all event files in the folders of a directory; each call continues where the last one ended.

    Args:
        directory: The directory with the folders of event files; it need not exist yet.
    """

    def __init__(self, directory: Path) -> None:
        self.curves: dict[str, Curve] = {}
        self._directory = directory
        self._read_bytes: dict[Path, int] = {}

    def read_on(self) -> bool:
        """Reads what was written since the last call into ``curves``; returns whether there was anything new.

        Raises:
            EventFileError: A file is not an event file.
        """
        found = False
        for path in sorted(self._directory.glob("*/events.out.tfevents.*")):
            if path.stat().st_size > self._read_bytes.get(path, 0):
                found |= self._read(path)
        return found

    def _read(self, path: Path) -> bool:
        start = self._read_bytes.get(path, 0)
        with path.open("rb") as file:
            file.seek(start)
            while (record := _next_record(file, path)) is not None:
                self._take(_event(record, path))
                self._read_bytes[path] = file.tell()
        return self._read_bytes.get(path, 0) > start

    def _take(self, event: event_pb2.Event) -> None:
        for value in event.summary.value:
            number = _scalar(value)
            if number is not None and math.isfinite(number):
                self.curves.setdefault(value.tag, Curve()).add(event.step, number)


def _next_record(file: BinaryIO, path: Path) -> bytes | None:
    """Returns the next whole record, or None if the file ends or its last record is still being written."""
    place = file.tell()
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return None
    size_bytes = _HEADER.unpack(header)[0]
    if size_bytes > LARGEST_RECORD_BYTES:
        raise EventFileError(f"{path} is not an event file: a record of {size_bytes} bytes at byte {place}")
    record = file.read(size_bytes + _FOOTER_BYTES)
    return record[:size_bytes] if len(record) == size_bytes + _FOOTER_BYTES else None


def _event(record: bytes, path: Path) -> event_pb2.Event:
    try:
        return event_pb2.Event.FromString(record)
    except DecodeError as error:
        raise EventFileError(f"{path} is damaged: a record of {len(record)} bytes is not an event") from error


def _scalar(value: summary_pb2.Summary.Value) -> float | None:
    """Returns the number in a summary's value, or None if it is an image, a histogram or text."""
    if value.HasField("simple_value"):
        return float(value.simple_value)
    if value.metadata.plugin_data.plugin_name not in ("scalars", "") or not value.HasField("tensor"):
        return None
    tensor = value.tensor
    if tensor.float_val:
        return float(tensor.float_val[0])
    if len(tensor.tensor_content) == 4:
        return float(struct.unpack("<f", tensor.tensor_content)[0])
    return None
