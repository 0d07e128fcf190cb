import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robotini_ray.environment.observation import BadFrame, HistoryStack, decode_png, features, merge_frames, threshold

RED, BLUE, GREEN = (238, 57, 98), (66, 108, 156), (62, 217, 142)


def reference_threshold(frame):
    """The rule of the parity mode, pixel by pixel."""
    lower = frame[frame.shape[0] // 4 :]
    result = np.zeros_like(lower)
    for row, column in np.ndindex(lower.shape[:2]):
        pixel = lower[row, column]
        for channel in range(3):
            if pixel[channel] == pixel.max() and pixel[channel] > 100:
                result[row, column, channel] = 255
    return result


def reference_features(frame):
    """The parity mode as its description reads: means, min-max scaling over the channels, area-weighted quarters."""
    colors = reference_threshold(frame).astype(np.float64)
    return np.concatenate([reference_quarters(colors.mean(axis=0)), reference_quarters(colors.mean(axis=1))])


def reference_quarters(profile):
    scaled = np.zeros_like(profile)
    for index, values in enumerate(profile):
        if values.max() > values.min():
            scaled[index] = (values - values.min()) / (values.max() - values.min())
    fine = np.repeat(scaled, 4, axis=0)  # four parts of each pixel: then quarters are whole numbers of parts
    return fine.reshape(4, len(profile), 3).mean(axis=1)


@st.composite
def frames(draw):
    """Frames of any width, of noise, of few values (many ties), or of flat columns."""
    width = draw(st.integers(8, 128) | st.sampled_from([8, 16, 32, 64, 128]))
    shape = (width * 80 // 128, width, 3)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["noise", "ties", "dark", "columns", "flat"]))
    if kind == "noise":
        return random.integers(0, 256, shape, np.uint8)
    if kind == "ties":
        return random.choice(np.array([0, 99, 100, 101, 255], np.uint8), shape)
    if kind == "dark":
        return random.integers(0, 103, shape, np.uint8)
    if kind == "columns":
        return np.repeat(random.choice(np.array([60, 200], np.uint8), (1, *shape[1:])), shape[0], axis=0)
    return np.full(shape, draw(st.integers(0, 255)), np.uint8)


@settings(deadline=None, max_examples=60)
@given(frames())
def test_features_equal_the_reference(frame):
    found = features(frame)
    assert found.shape == (8, 3) and found.dtype == np.float32 and found.flags.c_contiguous
    assert found.min() >= 0 and found.max() <= 1
    np.testing.assert_allclose(found, reference_features(frame), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(threshold(frame), reference_threshold(frame))


def test_features_of_three_lanes_by_hand():
    """Left half red, right half green, sky above: the columns' quarters say so, the rows see both alike."""
    frame = np.full((80, 128, 3), 90, np.uint8)
    frame[20:, :64] = RED
    frame[20:, 64:] = GREEN
    frame[20:35] = BLUE  # the rows' first quarter
    expected_columns = [[1, 0, 1 / 3]] * 2 + [[0, 1, 1 / 3]] * 2  # 45 rows of a lane colour, 15 of blue
    expected_rows = [[0, 0, 1], [1, 1, 0], [1, 1, 0], [1, 1, 0]]
    np.testing.assert_allclose(features(frame), expected_columns + expected_rows, atol=1e-6)


def test_black_and_grey_frames_have_no_features():
    assert not features(np.zeros((80, 128, 3), np.uint8)).any()
    assert not features(np.full((80, 128, 3), 255, np.uint8)).any()  # all three channels tie: every column is flat


def test_the_top_quarter_is_left_out():
    frame = np.zeros((40, 64, 3), np.uint8)
    frame[:10] = RED
    assert threshold(frame).shape == (30, 64, 3)
    assert not features(frame).any()


def test_input_is_left_as_it_was():
    frame = np.random.default_rng(0).integers(0, 256, (20, 32, 3), np.uint8)
    before = frame.copy()
    features(frame)
    merge_frames([frame, frame // 2 + 120])
    np.testing.assert_array_equal(frame, before)


def test_merging_takes_the_maximum():
    random = np.random.default_rng(0)
    many = [random.integers(0, 256, (10, 16, 3), np.uint8) for _ in range(3)]
    np.testing.assert_array_equal(merge_frames(many), np.max(many, axis=0))
    np.testing.assert_array_equal(merge_frames(many[:1]), many[0])


def encode(frame, extension=".png"):
    return cv2.imencode(extension, frame[..., ::-1])[1].tobytes()


@pytest.mark.parametrize("width", [8, 9, 32, 128])
def test_png_round_trip_in_rgb(width):
    frame = np.random.default_rng(width).integers(0, 256, (width * 80 // 128, width, 3), np.uint8)
    decoded = decode_png(encode(frame), width, frame.shape[0])
    np.testing.assert_array_equal(decoded, frame)
    assert decoded.flags.c_contiguous and decoded.flags.writeable


def test_other_sizes_are_refused():
    with pytest.raises(BadFrame, match="32x20 pixels; 64x40"):
        decode_png(encode(np.zeros((20, 32, 3), np.uint8)), 64, 40)


@pytest.mark.parametrize("damage", [lambda png: b"", lambda png: png[:60], lambda png: png[:40] + b"x" + png[41:]])
def test_broken_png_is_refused(damage):
    png = encode(np.random.default_rng(0).integers(0, 256, (20, 32, 3), np.uint8))
    with pytest.raises(BadFrame):
        decode_png(damage(png), 32, 20)


class TestHistoryStack:
    def test_layout(self):
        stack = HistoryStack(24, 2, 3, 2)
        assert stack.size == 76
        numbers = [np.full((8, 3), value, np.float32) for value in range(5)]
        actions = [np.array([value, -value], np.float32) for value in range(5)]
        first = stack.reset(numbers[1])
        np.testing.assert_array_equal(first, [1] * 72 + [0] * 4)
        np.testing.assert_array_equal(stack.push(numbers[2], actions[2]), [2] * 24 + [1] * 48 + [2, -2, 0, 0])
        np.testing.assert_array_equal(stack.push(numbers[3], actions[3]), [3] * 24 + [2] * 24 + [1] * 24 + [3, -3, 2, -2])
        np.testing.assert_array_equal(stack.push(numbers[4], actions[4]), [4] * 24 + [3] * 24 + [2] * 24 + [4, -4, 3, -3])
        np.testing.assert_array_equal(first, [1] * 72 + [0] * 4)  # earlier vectors are not written to again
        np.testing.assert_array_equal(stack.reset(numbers[0]), [0] * 76)
        assert first.dtype == np.float32

    def test_rows_of_features_follow_each_other(self):
        newest = np.arange(24, dtype=np.float32).reshape(8, 3)
        np.testing.assert_array_equal(HistoryStack(24, 2, 1, 0).reset(newest), np.arange(24))

    def test_without_actions(self):
        stack = HistoryStack(24, 2, 2, 0)
        stack.reset(np.zeros((8, 3), np.float32))
        assert stack.push(np.ones((8, 3), np.float32), np.ones(2, np.float32)).shape == (48,)

    def test_other_sizes(self):
        stack = HistoryStack(3, 1, 2, 3)
        stack.reset(np.zeros(3, np.float32))
        np.testing.assert_array_equal(
            stack.push(np.array([1, 2, 3], np.float32), np.array([9], np.float32)), [1, 2, 3, 0, 0, 0, 9, 0, 0]
        )

    def test_an_observation_is_needed(self):
        with pytest.raises(ValueError, match="observation history is 0"):
            HistoryStack(24, 2, 0, 1)


def test_opencv_has_no_thread_that_waits_for_work():
    assert cv2.getNumThreads() == 1
