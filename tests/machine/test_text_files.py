"""Text and JSON as editors write them: byte-order marks, UTF-16, and numbers without end."""

import json

import pytest

from robotini_ray.machine.text_files import read_json, read_text

TEXT = '{"name": "Käärme"}\r\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_text_is_read_in_the_encoding_of_its_byte_order_mark(tmp_path, encoding):
    path = tmp_path / "mine.json"
    path.write_bytes(TEXT.encode(encoding))
    assert read_text(path) == TEXT
    assert read_json(path) == {"name": "Käärme"}


@pytest.mark.parametrize("order", ["le", "be"])
@pytest.mark.parametrize("width", ["utf-16", "utf-32"])
def test_either_order_of_bytes_is_read(tmp_path, width, order):
    path = tmp_path / "mine.json"
    path.write_bytes(("\ufeff" + TEXT).encode(f"{width}-{order}"))
    assert read_json(path) == {"name": "Käärme"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff", "not a text file: byte 0 is not UTF-8"),
        (b"\xff\xfe{", "not a text file: byte 2 is not UTF-16"),
        (b"{", r"not JSON \(.*line 1 column 2"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": [-1%s]}' % (b"0" * 399), r"the number -1000000\.\.\. has 400 digits; at most 20 are allowed"),
        (b"1%s" % (b"0" * 5000), "has 5001 digits"),
    ],
)
def test_what_cannot_be_read_is_one_short_line(tmp_path, content, reason):
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=reason) as refusal:
        read_json(path)
    assert len(str(refusal.value).splitlines()) == 1 and len(str(refusal.value)) < 150


def test_whole_numbers_of_64_bits_are_read(tmp_path):
    path = tmp_path / "numbers.json"
    path.write_text(json.dumps([2**64 - 1, -(2**63), 0]))
    assert read_json(path) == [2**64 - 1, -(2**63), 0]
