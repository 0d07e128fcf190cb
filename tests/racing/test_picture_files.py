import cv2
import numpy as np
import pytest

from robotini_ray.racing.picture_files import PictureError, write_gif, write_png, write_webm
from tests.full_disk import file_size_limit, mounted


@pytest.fixture(scope="module")
def pictures():
    """Noise, which is large in every format."""
    random = np.random.default_rng(0)
    return [random.integers(0, 255, (120, 160, 3), dtype=np.uint8) for _ in range(20)]


WRITERS = {
    ".png": lambda path, pictures: write_png(path, np.concatenate(pictures)),
    ".gif": lambda path, pictures: write_gif(path, pictures, 20.0),
    ".webm": lambda path, pictures: write_webm(path, pictures, 20.0),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_disk_that_becomes_full_is_one_line_and_the_earlier_picture_stays(tmp_path, pictures, kind):
    with mounted(tmp_path / "disk", "size=64k"):
        path = tmp_path / "disk" / f"lap{kind}"
        path.write_text("earlier")
        with pytest.raises(PictureError) as caught:
            WRITERS[kind](path, pictures)
        message = str(caught.value)
        assert message.startswith(f"{path} cannot be written: ") and message.splitlines() == [message]
        assert "No space left on device" in message or "pictures fit on the disk" in message
        assert path.read_text() == "earlier" and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("kind", WRITERS)
def test_without_a_mount_too(tmp_path, pictures, kind):
    with file_size_limit(30_000), pytest.raises(PictureError, match="cannot be written"):
        WRITERS[kind](tmp_path / f"lap{kind}", pictures)
    assert list(tmp_path.iterdir()) == []


def test_a_whole_film_has_every_picture_and_its_last_for_a_second(tmp_path, pictures):
    write_webm(tmp_path / "lap.webm", pictures, 20.0)
    film = cv2.VideoCapture(str(tmp_path / "lap.webm"))
    count = 0
    while film.read()[0]:
        count += 1
    assert count == 40
