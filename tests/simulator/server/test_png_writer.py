"""Pictures as PNG: any picture comes back as it was, from OpenCV's decoder and from zlib alone."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robotini_ray.simulator.server.png_writer import encode_png


def chunks(png):
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    found, at = [], 8
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", png, at + 8 + length)[0] == zlib.crc32(kind + data)
        found.append((kind, data))
        at += 12 + length
    return found


def check(image):
    png = encode_png(image)
    height, width = image.shape[:2]
    (header, size), (body, data), (end, nothing) = chunks(png)
    assert (header, body, end, nothing) == (b"IHDR", b"IDAT", b"IEND", b"")
    assert size == struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, 1 + 3 * width)
    assert (rows[:, 0] == 0).all()
    assert (rows[:, 1:].reshape(image.shape) == image[..., ::-1]).all()
    assert (cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR) == image).all()
    assert len(png) < 65_535
    return len(png)


@given(data=st.data(), width=st.sampled_from([8, 9, 31, 86, 87, 128]), colours=st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_any_picture_comes_back_as_it_was(data, width, colours):
    """Runs and repeated rows of all lengths: blocks of few colours at random places."""
    height = width * 80 // 128
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    image = np.full((height, width, 3), random.integers(0, 256, 3), np.uint8)
    for _ in range(data.draw(st.integers(0, 12))):
        top, left = random.integers(0, height), random.integers(0, width)
        image[top : top + random.integers(1, height + 1), left : left + random.integers(1, width + 1)] = random.integers(
            0, 256 if colours > 3 else 2, 3
        )
    check(image)


@pytest.mark.parametrize("high", [2, 256])
def test_noise_stays_small_enough_for_a_frame(high):
    assert check(np.random.default_rng(0).integers(0, high, (80, 128, 3)).astype(np.uint8)) < 35_000


def test_bytes_that_take_most_bits_stay_small_enough_for_a_frame():
    image = np.random.default_rng(0).integers(144, 256, (80, 128, 3)).astype(np.uint8)
    assert 34_000 < check(image) <= 34_800


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_repeats_of_any_length(rows):
    """258 bytes are the longest match, and 1 or 2 bytes more cannot be one of their own."""
    for column in range(128):
        image = np.tile(np.arange(384, dtype=np.uint8).reshape(1, 128, 3), (80, 1, 1))
        image[10:, 20] = 1
        image[10 + rows :, column] = 2
        check(image)


def test_one_colour_takes_little():
    assert check(np.full((80, 128, 3), 77, np.uint8)) < 600


def test_any_memory_layout_will_do():
    image = np.random.default_rng(0).integers(0, 4, (20, 32, 3)).astype(np.uint8)
    assert encode_png(image[:, ::-1]) == encode_png(np.ascontiguousarray(image[:, ::-1]))


def test_a_picture_too_large_for_a_frame_is_refused():
    with pytest.raises(ValueError, match="200x200"):
        encode_png(np.zeros((200, 200, 3), np.uint8))
