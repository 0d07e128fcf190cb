"""Encodes pictures as PNG files faster than zlib can, since most rows of a camera's picture are much like the row above.

The pixels are one deflate block with the fixed Huffman codes (RFC 1951, 3.2.6), without filters and with only two kinds of
back-references: to the row above and, for a run of one colour, to the pixel before. OpenCV's own encoder takes three times
as long; its files also take three times as long to read, because they consist of runs of zeros that are copied byte by byte.
"""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robotini_ray.machine.compiled import compiled

SIGNATURE = b"\x89PNG\r\n\x1a\n"
BIT_DEPTH, COLOUR_TYPE_RGB = 8, 2
ZLIB_HEADER = b"\x78\x01"
CHANNELS = 3

END_OF_BLOCK = 256
SHORTEST_MATCH, LONGEST_MATCH = 3, 258
# RFC 1951, 3.2.5: the extra bits of the length symbols from 257 on and of the distance symbols; a symbol with that many
# extra bits covers 2**bits values.
LENGTH_EXTRA_BITS = (0,) * 8 + tuple(bits for bits in range(1, 6) for _ in range(4))
DISTANCE_EXTRA_BITS = (0,) * 4 + tuple(bits for bits in range(1, 14) for _ in range(2))

MOD_ADLER = 65521
LARGEST_BYTES = 0xFFFF
FILTER_NONE = 0
LITERAL, RUN, REPEAT = 0, 1, 2
EIGHT_ONES = np.uint64(0x0101010101010101)


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """Encodes a picture as a PNG file of 8-bit RGB.

    No pixel takes more than 27 bits: a picture of 128x80 pixels is at most 34,800 bytes long.

    Args:
        image: ``<uint8>[height, width, 3]``, channels in the order blue, green, red.

    Raises:
        ValueError: The picture has more than 65,535 bytes.
    """
    height, width = image.shape[:2]
    if image.nbytes + height > LARGEST_BYTES:
        raise ValueError(f"a picture of {width}x{height} pixels is larger than a frame of the simulator can be")
    head, codes = _of_size(width, height)
    tokens = np.empty(height * (width * CHANNELS + 1) + 1, np.int32)
    count, adler = _find_matches(tokens, image)
    out = np.empty(len(tokens) * 9 // 8 + 16, np.uint8)
    length = _write_codes(out, tokens, count, codes)
    data = b"IDAT" + ZLIB_HEADER + out[:length].tobytes() + struct.pack(">I", adler)
    return b"".join((head, struct.pack(">I", len(data) - 4), data, struct.pack(">I", zlib.crc32(data)), _END))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


_END = _chunk(b"IEND", b"")


@lru_cache(maxsize=256)
def _of_size(width: int, height: int) -> tuple[bytes, NDArray[np.uint64]]:
    """Returns what all files of one size share: their first bytes and their codes, ``<uint64>[3, 259]``.

    Row ``LITERAL`` has the codes of literals and ``END_OF_BLOCK``; rows ``RUN`` and ``REPEAT`` have those of matches by
    length. A code is shifted left by 8, and its lowest byte holds the number of its bits.
    """
    header = struct.pack(">IIBBBBB", width, height, BIT_DEPTH, COLOUR_TYPE_RGB, 0, 0, 0)
    literals = [_fixed_code(value) for value in range(END_OF_BLOCK + 1)] + [(0, 0)] * 2
    codes = (literals, _match_codes(CHANNELS), _match_codes(width * CHANNELS + 1))
    return SIGNATURE + _chunk(b"IHDR", header), np.array([[code << 8 | bits for code, bits in row] for row in codes], np.uint64)


def _match_codes(distance: int) -> list[tuple[int, int]]:
    """Returns the codes of matches at one distance, with their numbers of bits, by length 0..258."""
    distance_symbol, distance_extra = _symbol(distance - 1, DISTANCE_EXTRA_BITS)
    end = _reversed(distance_symbol, 5) | distance_extra << 5
    end_bits = 5 + DISTANCE_EXTRA_BITS[distance_symbol]
    codes = [(0, 0)] * SHORTEST_MATCH
    for length in range(SHORTEST_MATCH, LONGEST_MATCH + 1):
        symbol, extra = _symbol(length - SHORTEST_MATCH, LENGTH_EXTRA_BITS)
        extra_bits = LENGTH_EXTRA_BITS[symbol]
        if length == LONGEST_MATCH:  # this length has a symbol of its own
            symbol, extra, extra_bits = len(LENGTH_EXTRA_BITS), 0, 0
        code, bits = _fixed_code(END_OF_BLOCK + 1 + symbol)
        codes.append((code | extra << bits | end << (bits + extra_bits), bits + extra_bits + end_bits))
    return codes


def _symbol(value: int, extra_bits: tuple[int, ...]) -> tuple[int, int]:
    """Returns the symbol that covers a value counted from 0, and the value's offset within the symbol's range."""
    first = 0
    for symbol, bits in enumerate(extra_bits):
        if value < first + (1 << bits):
            return symbol, value - first
        first += 1 << bits
    raise ValueError(f"deflate has no symbol for {value}")


def _fixed_code(symbol: int) -> tuple[int, int]:
    """Returns RFC 1951's fixed code of a literal or length symbol in the order of writing, and its number of bits."""
    if symbol < 144:
        return _reversed(0x30 + symbol, 8), 8
    if symbol < 256:
        return _reversed(0x190 + symbol - 144, 9), 9
    if symbol < 280:
        return _reversed(symbol - 256, 7), 7
    return _reversed(0xC0 + symbol - 280, 8), 8


def _reversed(code: int, bits: int) -> int:
    return int(f"{code:0{bits}b}"[::-1], 2)


@compiled
def _find_matches(tokens: Any, image: Any) -> tuple[int, int]:
    """Converts the picture to tokens: literals 0..255 and matches ``RUN << 16 | length`` and ``REPEAT << 16 | length``.

    Returns:
        The number of tokens written, and the checksum (RFC 1950) of the bytes that they encode.
    """
    height, width = image.shape[:2]
    rows = np.full((2, width), -1, np.int32)  # the current row and the row above, alternately
    # 1 where a pixel equals the pixel above or the pixel before; the padding after the last pixel stays 0.
    like_above, like_before = np.zeros(_padded(width), np.uint8), np.zeros(_padded(width), np.uint8)
    above_words, before_words = like_above.view(np.uint64), like_before.view(np.uint64)
    low, high, count = 1, 0, 0
    repeated = 0  # bytes up to here that equal the row above and are not in a token yet
    for row in range(height):
        pixels, above = rows[row & 1], rows[1 - (row & 1)]
        total, weighted = _pack_row(pixels, image[row])
        high = (high + low * (CHANNELS * width + 1) + weighted) % MOD_ADLER
        low = (low + total) % MOD_ADLER
        for column in range(width):
            like_above[column] = pixels[column] == above[column]
        for column in range(1, width):
            like_before[column] = pixels[column] == pixels[column - 1]
        if repeated > 0:  # the repetition continues through the filter byte, which is the same in all rows
            repeated += 1
        else:
            tokens[count] = FILTER_NONE
            count += 1
        column = 0
        while column < width:
            start, column = column, _end_of_run(like_above, above_words, column)
            repeated += CHANNELS * (column - start)
            if column == width:
                break
            if repeated > 0:
                tokens[count] = REPEAT << 16 | repeated
                count, repeated = count + 1, 0
            start, column = column, _end_of_run(like_before, before_words, column)
            if column > start:
                tokens[count] = RUN << 16 | CHANNELS * (column - start)
                count += 1
                continue
            for channel in range(CHANNELS):
                tokens[count + channel] = pixels[column] >> (16 - 8 * channel) & 255
            count, column = count + CHANNELS, column + 1
    if repeated > 0:
        tokens[count] = REPEAT << 16 | repeated
        count += 1
    tokens[count] = END_OF_BLOCK
    return count + 1, high << 16 | low


@compiled
def _padded(width: int) -> int:
    """Returns the smallest multiple of 8 that is larger than ``width``: whole words with at least one spare place."""
    return (width // 8 + 1) * 8


@compiled
def _pack_row(pixels: Any, row: Any) -> tuple[int, int]:
    """Fills ``pixels``, ``<int32>[width]``, with the values 0xRRGGBB of a row.

    Returns:
        The two sums of the Adler-32 checksum: of all bytes, and of each byte times the number of bytes from it on.
    """
    width = len(pixels)
    for k in range(width):
        pixels[k] = np.int32(row[k, 2]) << 16 | np.int32(row[k, 1]) << 8 | np.int32(row[k, 0])
    total, weighted = 0, 0
    for k in range(width):
        red, green, blue = pixels[k] >> 16, pixels[k] >> 8 & 255, pixels[k] & 255
        total += red + green + blue
        weighted += CHANNELS * (width - k) * (red + green + blue) - green - 2 * blue
    return total, weighted


@compiled
def _end_of_run(like: Any, words: Any, column: int) -> int:
    """Returns the first index from ``column`` on where ``like`` is 0; ``words`` is the same memory as 64-bit words."""
    while like[column]:
        column += 8 if column & 7 == 0 and words[column >> 3] == EIGHT_ONES else 1
    return column


@compiled
def _write_codes(out: Any, tokens: Any, count: int, codes: Any) -> int:
    """Writes the tokens as a deflate block to ``out``, ``<uint8>[n]``, and returns the number of bytes written."""
    # The block's header, 3 bits: the last block, with fixed codes.
    waiting, bits, at = np.uint64(3), np.uint64(3), 0
    for k in range(count):
        kind, left = tokens[k] >> 16, tokens[k] & LARGEST_BYTES
        while True:
            if kind == LITERAL:
                code, length = codes[LITERAL, left], left
            else:
                length = min(left, LONGEST_MATCH)
                if 0 < left - length < SHORTEST_MATCH:
                    length -= SHORTEST_MATCH
                code = codes[kind, length]
            waiting |= code >> np.uint64(8) << bits
            bits += code & np.uint64(255)
            while bits >= np.uint64(8):
                out[at] = np.uint8(waiting & np.uint64(255))
                waiting >>= np.uint64(8)
                bits -= np.uint64(8)
                at += 1
            left -= length
            if left == 0:
                break
    out[at] = np.uint8(waiting)
    return at + 1 if bits > np.uint64(0) else at
