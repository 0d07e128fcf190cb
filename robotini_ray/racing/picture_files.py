"""Writes pictures and films to files: PNG, GIF and WebM (VP8)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from robotini_ray.errors import RobotiniError
from robotini_ray.machine.whole_files import replaced

Picture = NDArray[np.uint8]

GIF_COLORS = 96
HOLD_S = 1.0
"""The time for which the last frame of a film is shown."""


class PictureError(RobotiniError):
    """Raised if a file cannot be written; the message is one line for the user."""


def write_png(path: Path, picture: Picture) -> None:
    """Writes one picture as PNG.

    Args:
        path: The file to write.
        picture: The picture ``<uint8>[height, width, 3]`` (red, green, blue).

    Raises:
        PictureError: The file cannot be written.
    """
    _, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    with _replaced(path) as fresh:
        fresh.write_bytes(data.tobytes())


def write_webm(path: Path, pictures: Iterable[Picture], per_s: float) -> None:
    """Writes pictures of one size as a WebM film.

    Args:
        path: The file to write.
        pictures: The pictures ``<uint8>[height, width, 3]`` (red, green, blue).
        per_s: The pictures per second of playing time.

    Raises:
        PictureError: The installed OpenCV cannot write VP8, or the file cannot be written.
    """
    with _replaced(path) as fresh:
        written = _write_vp8(fresh, _held(pictures, per_s), per_s)
        if (whole := _count_pictures(fresh)) != written:  # OpenCV reports no error of the disk
            raise PictureError(f"{path} cannot be written: only {whole} of {written} pictures fit on the disk; free some space")


def write_gif(path: Path, pictures: Iterable[Picture], per_s: float) -> None:
    """Writes pictures as a GIF that plays in an endless loop, in ``GIF_COLORS`` colours with one palette for all pictures.

    Args:
        path: The file to write.
        pictures: The pictures ``<uint8>[height, width, 3]`` (red, green, blue), at least one.
        per_s: The pictures per second of playing time.

    Raises:
        PictureError: The file cannot be written.
    """
    from PIL import Image  # TF-Agents brings it too; nothing else here needs it

    frames = [Image.fromarray(picture) for picture in pictures]
    palette = frames[-1].quantize(GIF_COLORS, dither=Image.Dither.NONE)
    indexed = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    durations_ms = [round(1000 / per_s)] * (len(indexed) - 1) + [round(1000 * HOLD_S)]
    with _replaced(path) as fresh:
        indexed[0].save(fresh, save_all=True, append_images=indexed[1:], duration=durations_ms, loop=0, optimize=False)


@contextlib.contextmanager
def _replaced(path: Path) -> Iterator[Path]:
    """Yields the file to write in place of ``path``; see ``whole_files.replaced``.

    Raises:
        PictureError: It cannot be written.
    """
    try:
        with replaced(path) as fresh:
            yield fresh
    except OSError as error:
        raise PictureError(f"{path} cannot be written: {error.strerror or error}; give another place") from error


def _write_vp8(path: Path, pictures: Iterable[Picture], per_s: float) -> int:
    """Writes a film and returns the number of its pictures."""
    writer: cv2.VideoWriter | None = None
    count = 0
    try:
        for picture in pictures:
            if writer is None:
                height, width = picture.shape[:2]
                with _silent_stderr():
                    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"VP80"), per_s, (width, height))
                if not writer.isOpened():
                    raise PictureError(f"this OpenCV writes no VP8 to {path.parent}: give a .gif or .png")
            writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
            count += 1
    finally:
        if writer is not None:
            writer.release()
    return count


def _count_pictures(path: Path) -> int:
    """Returns how many pictures of a film can be read back."""
    with _silent_stderr():
        film = cv2.VideoCapture(str(path))
        count = 0
        while film.grab():
            count += 1
        film.release()
    return count


def _held(pictures: Iterable[Picture], per_s: float) -> Iterable[Picture]:
    """Yields the pictures, and then the last one again for ``HOLD_S`` seconds."""
    picture: Picture | None = None
    for picture in pictures:
        yield picture
    if picture is not None:
        yield from [picture] * round(per_s * HOLD_S)


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """Discards what is written to the process's stderr file descriptor.

    OpenCV writes a warning about WebM's name for VP8 there, which Python's ``sys.stderr`` cannot intercept.
    """
    kept = os.dup(2)
    with open(os.devnull, "wb") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
