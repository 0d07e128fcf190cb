"""``record`` through the command line, and what its pictures show."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from robotini_ray import launch
from robotini_ray.car.connection import Login
from robotini_ray.config import load_config
from robotini_ray.policy.named_policy import load_named_policy
from robotini_ray.policy.numpy_policy import NumpyPolicy
from robotini_ray.policy.policy_files import save_policy
from robotini_ray.policy.policy_spec import PolicySpec
from robotini_ray.racing.lap_picture import HEIGHT, SIDE_WIDTH, WIDTH, LapPicture
from robotini_ray.racing.lap_recording import RecordingError, record
from robotini_ray.track.track import load_track

LOGIN = Login("car", "car", "#123456", 64, lockstep=True)


@pytest.fixture(scope="module")
def driver():
    return load_named_policy(Path("default"))[0]


@pytest.fixture(scope="module")
def lap(serve, driver):
    with serve("oval", seed=3) as address:
        return record(driver, address, LOGIN, load_track("oval"), laps=1, seconds=None)


class TestRecording:
    def test_a_lap_goes_from_the_line_to_the_line(self, lap):
        states = [moment.state for moment in lap.moments]
        assert len(states) == round(60 * lap.lap_time_s) + 1
        assert states[-1].game_time_s - states[0].game_time_s == pytest.approx(lap.lap_time_s)
        assert states[0].track_segment == states[-1].track_segment == 0
        assert np.hypot(states[0].x - states[-1].x, states[0].z - states[-1].z) < 0.5
        assert max(state.track_segment for state in states) == 29
        assert all(moment.png.startswith(b"\x89PNG") for moment in lap.moments)
        assert len({moment.command for moment in lap.moments}) > 20

    def test_seconds_begin_at_the_start(self, serve, driver):
        with serve("oval", seed=3) as address:
            recording = record(driver, address, LOGIN, load_track("oval"), laps=1, seconds=0.5)
        assert recording.lap_time_s is None and len(recording.moments) == 30
        assert [moment.state.frames_sent for moment in recording.moments] == list(range(1, 31))

    def test_a_policy_that_finishes_no_lap_is_said_to(self, serve, monkeypatch):
        monkeypatch.setattr("robotini_ray.racing.lap_recording.SECONDS_PER_LAP", 2.0)
        spec = PolicySpec.from_config(load_config(None, {"environment.image_width": 64}))
        with serve("oval", seed=3) as address, pytest.raises(RecordingError, match="no lap in 2 s"):
            record(NumpyPolicy(spec), address, LOGIN, load_track("oval"), laps=1, seconds=None)


class TestPicture:
    def test_the_trail_grows_and_shows_the_camera(self, lap, driver):
        picture = LapPicture(lap, load_track("oval"), 64, "a title", 3.0)
        frames = list(picture.frames(every=60))
        assert len(frames) == len(lap.moments[::60]) + (len(lap.moments) % 60 != 1)
        assert all(frame.shape == (HEIGHT, WIDTH, 3) and frame.dtype == np.uint8 for frame in frames)
        coloured = [int((np.ptp(frame[:, : WIDTH - SIDE_WIDTH].astype(int), axis=2) > 70).sum()) for frame in frames]
        assert coloured == sorted(coloured) and coloured[-1] > 3 * coloured[0]
        assert np.array_equal(frames[-1], picture.whole())
        shown = cv2.cvtColor(cv2.imdecode(np.frombuffer(lap.moments[0].png, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        assert np.array_equal(frames[0][16 : 16 + 160, WIDTH - SIDE_WIDTH + 16 :][:, :256][2::4, 2::4], shown)


class TestFiles:
    def test_png_gif_and_webm(self, tmp_path, capfd):
        for name in ("a.png", "a.gif", "a.webm"):
            line = ["record", "-o", str(tmp_path / name), "--track", "oval", "--seconds", "1.5"]
            assert launch.main(line) == 0
            out, err = capfd.readouterr()
            assert out == "" and re.fullmatch(rf".*/{name}: 1.5 s, \d+\.\d MB\n", err)
        assert Image.open(tmp_path / "a.png").size == (WIDTH, HEIGHT)
        gif = Image.open(tmp_path / "a.gif")
        assert (gif.size, gif.n_frames, gif.info["duration"], gif.info["loop"]) == ((WIDTH, HEIGHT), 31, 50, 0)
        film = cv2.VideoCapture(str(tmp_path / "a.webm"))
        assert film.get(cv2.CAP_PROP_FPS) == 30
        seen = 0
        while film.read()[0]:
            seen += 1
        assert seen == 46 + 30, "a second and a half, and the last frame for a second"

    def test_a_trained_policy_is_titled_by_its_training(self, tmp_path, driver, monkeypatch):
        titles = []
        make = LapPicture.__init__
        monkeypatch.setattr(LapPicture, "__init__", lambda self, *given: (titles.append(given[3]), make(self, *given))[1])
        save_policy(tmp_path / "policy", driver, {"train_step": 45_000})
        line = ["record", "--policy", tmp_path / "policy", "-o", tmp_path / "a.png", "--track", "oval", "--seconds", 0.1]
        assert launch.main([str(word) for word in line]) == 0
        assert titles == ["td3, step 45,000"]
