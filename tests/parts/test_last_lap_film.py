import cv2
import numpy as np
import pytest

from robotini_ray.parts.last_lap_film import MOST_KEPT, STRIP_FRAMES, LastLapFilm

WIDTH, HEIGHT = 16, 10


def picture(number):
    """A camera picture whose red channel says its number."""
    pixels = np.full((HEIGHT, WIDTH, 3), (10, 20, number), np.uint8)  # OpenCV's order: blue, green, red
    return cv2.imencode(".png", pixels)[1].tobytes()


def reds(strip):
    """The numbers of the pictures of a strip; the other two colours have to be right."""
    pixels = cv2.imdecode(np.frombuffer(strip, np.uint8), cv2.IMREAD_COLOR)
    assert pixels.shape == (HEIGHT, STRIP_FRAMES * WIDTH, 3)
    assert (pixels[..., 0] == 10).all() and (pixels[..., 1] == 20).all()
    return pixels[0, ::WIDTH, 2].tolist()


def drive(film, laps, numbers, began_s=0.0):
    for count, number in enumerate(numbers):
        film.take(laps, began_s + 0.05 * count, picture(number))


def test_without_a_finished_lap_there_is_no_strip():
    film = LastLapFilm()
    film.take(0, None, picture(1))
    drive(film, 0, range(30))
    assert film.strip(WIDTH) == b""


def test_the_pictures_of_the_last_finished_lap_evenly_over_it():
    film = LastLapFilm()
    film.take(0, None, picture(255))
    drive(film, 0, range(100))
    drive(film, 1, range(100, 123))
    assert reds(film.strip(WIDTH)) == [0, 9, 18, 27, 36, 45, 54, 63, 72, 81, 90, 99]
    film.take(2, 0.0, picture(200))
    assert reds(film.strip(WIDTH)) == [100, 102, 104, 106, 108, 110, 112, 114, 116, 118, 120, 122]


def test_a_lap_that_was_given_up_is_none():
    film = LastLapFilm()
    drive(film, 0, range(50))
    film.take(0, None, picture(255))  # put back
    drive(film, 0, range(60, 72))
    drive(film, 0, range(80, 92))  # and again, between two looks
    film.take(1, 0.0, picture(255))
    assert reds(film.strip(WIDTH)) == list(range(80, 92))


def test_a_lap_of_few_pictures_repeats_them():
    film = LastLapFilm()
    drive(film, 0, [3, 4])
    film.take(1, 0.0, picture(255))
    assert reds(film.strip(WIDTH)) == [3] * 6 + [4] * 6


@pytest.mark.parametrize("count", [MOST_KEPT, MOST_KEPT + 1, 5 * MOST_KEPT + 3])
def test_of_a_long_lap_not_more_than_so_many_are_kept(count):
    film = LastLapFilm()
    drive(film, 0, (number * 250 // count for number in range(count)))
    assert len(film._frames) <= MOST_KEPT
    film.take(1, 0.0, picture(255))
    found = reds(film.strip(WIDTH))
    assert found[0] == 0 and found[-1] > 240 and (np.abs(np.diff(found) - 22.6) < 4).all(), found
