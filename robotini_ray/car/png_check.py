"""Checks the structure of a PNG file before it is decoded (PNG specification, W3C, sections 5 and 11)."""

from __future__ import annotations

import struct
import zlib

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER_END = len(_SIGNATURE) + 12 + 13
_PACKED_TEXT = frozenset((b"iCCP", b"zTXt", b"iTXt"))
"""Chunks that libpng decompresses unasked, to as much as 8 MB each, and that no camera picture needs."""


def png_header(width: int, height: int) -> bytes:
    """Returns the first 24 bytes of every PNG of ``width`` x ``height`` pixels."""
    return _SIGNATURE + b"\x00\x00\x00\rIHDR" + struct.pack(">II", width, height)


def png_fault(data: bytes, header: bytes) -> str | None:
    """Returns the reason why ``data`` is not a sound PNG, or None if it is one.

    A PNG is sound if its header has the expected size, so that a hostile file cannot decompress to more; every chunk is
    complete and has the right CRC; the last chunk is ``IEND``; and no chunk holds compressed text or a colour profile. The
    pixels are not decoded.

    Args:
        data: The bytes of one frame.
        header: The expected first bytes, from ``png_header``.
    """
    if not data.startswith(header):
        return _header_fault(data, header)
    position, kind = len(_SIGNATURE), b""
    while kind != b"IEND":
        if position + 12 > len(data):
            return "truncated PNG"
        length = int.from_bytes(data[position : position + 4], "big")
        end = position + 12 + length
        if end > len(data):
            return "truncated PNG"
        kind = data[position + 4 : position + 8]
        if kind in _PACKED_TEXT:
            return f"PNG with a compressed text chunk {kind.decode()}"
        if zlib.crc32(memoryview(data)[position + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            return "PNG with a wrong checksum"
        position = end
    return None


def _header_fault(data: bytes, header: bytes) -> str:
    if not data:
        return "empty frame"
    if len(data) < _HEADER_END or not data.startswith(header[:16]):
        return "not a PNG"
    width, height = struct.unpack(">II", data[16:24])
    expected_width, expected_height = struct.unpack(">II", header[16:24])
    return f"PNG of {width}x{height} pixels instead of {expected_width}x{expected_height}"
