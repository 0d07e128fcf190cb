"""Light, colours and noise of pictures."""

import numpy as np
import pytest

from robotini_ray.simulator.camera.light_and_noise import apply_look
from robotini_ray.simulator.world.randomisation import STANDARD_LOOK, Look


def applied(look, frame=0, value=128):
    image = np.full((80, 128, 3), value, np.uint8)
    apply_look(image, look, frame)
    return image.astype(int)


def test_the_standard_look_changes_nothing():
    assert (applied(STANDARD_LOOK) == 128).all()


def test_light_and_colours_are_factors_on_red_green_and_blue():
    picture = applied(Look(light=0.5, colour=(1.0, 0.8, 1.5)), value=100)
    assert (picture[..., 2] == 50).all() and (picture[..., 1] == 40).all() and (picture[..., 0] == 75).all()


def test_what_would_be_over_white_is_white():
    assert (applied(Look(light=3.0), value=200) == 255).all()


@pytest.mark.parametrize("noise", [2.0, 8.0, 30.0])
def test_noise_has_its_standard_deviation_and_no_mean(noise):
    steps = applied(Look(noise=noise, noise_key=5)) - 128
    assert steps.std() == pytest.approx(noise, rel=0.03)
    assert abs(steps.mean()) < 4 * noise / steps.size**0.5 + 0.01
    flat = steps.ravel() / steps.std()
    assert (flat**4).mean() == pytest.approx(3.0, abs=0.4), "about normal"
    for lag in (1, 3, 384):
        assert abs((flat[:-lag] * flat[lag:]).mean()) < 0.03, "every channel of every pixel has its own"


def test_noise_depends_on_the_key_and_the_frame_alone():
    first = applied(Look(noise=8.0, noise_key=5), frame=9)
    assert (first == applied(Look(noise=8.0, noise_key=5), frame=9)).all()
    for other in (applied(Look(noise=8.0, noise_key=5), frame=10), applied(Look(noise=8.0, noise_key=2**62 - 1), frame=9)):
        assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.03


@pytest.mark.parametrize(("value", "noise"), [(0, 60.0), (255, 60.0)])
def test_noise_does_not_wrap_around(value, noise):
    picture = applied(Look(noise=noise, noise_key=1), value=value)
    assert np.abs(picture - value).max() < 4 * noise
    assert (picture == value).mean() > 0.45


def test_light_comes_before_noise():
    dark = applied(Look(light=0.1, noise=8.0, noise_key=1)) - applied(Look(light=0.1))
    assert dark.std() > 5
