"""The page in a real browser, with six cars that a feeder writes into a real Redis."""

from __future__ import annotations

import contextlib
import json
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

from robotini_ray.car.state_store import CarStateStore
from robotini_ray.environment.observation import decode_png, features, threshold
from robotini_ray.machine.redis_server import RedisServer

HOSTILE = "<img src=x onerror=document.title='broken'>"
NAMES = [HOSTILE, *(f"some-run-car{index}" for index in range(5))]

CARD_COUNT = "document.querySelectorAll('.card').length"
# Pixels are read from a copy: the browser gives advice, a complaint, to whoever reads a canvas itself again and again.
PIXELS = """((canvas) => {
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    return copy.getImageData(0, 0, canvas.width, canvas.height).data;
})"""
CAMERA_SUMS = f"""[...document.querySelectorAll('.camera canvas')].map((canvas) => {{
    const data = {PIXELS}(canvas);
    return data.reduce((sum, each, i) => (sum * 31 + each + i) % 1e9, 0);
}})"""
MAP = "document.getElementById('map-canvas').toDataURL()"
NOTICES = "document.getElementById('notices').innerText"


def png_of(frame):
    """The PNG of an RGB frame."""
    return cv2.imencode(".png", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))[1].tobytes()


def frames(count, width=64, height=40):
    """Pictures with flat patches of the colours on both sides of every threshold, ties among them."""
    random = np.random.default_rng(7)
    made = []
    for _ in range(count):
        coarse = random.choice(np.array([0, 60, 99, 100, 101, 102, 180, 255], np.uint8), (5, 8, 3))
        made.append(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST))
    return made


def focus_ring(browser):
    """What the Tab key reaches, as (tag, text), until it comes round."""
    found = []
    while len(found) < 100:
        browser.press("Tab", 9)
        element = tuple(browser.run("[document.activeElement.tagName, document.activeElement.innerText ?? '']"))
        if element[0] == "BODY":
            break
        found.append(element)
    return found


@pytest.fixture
def page(browser, monitor, feed):
    """The page with six cars on it."""
    feed(NAMES, [png_of(frame) for frame in frames(8)])
    browser.open(monitor)
    browser.wait(CARD_COUNT, lambda count: count == len(NAMES))
    browser.wait("document.getElementById('map').classList.contains('ready')")
    return browser


def test_six_cars_are_seen_driving(page, monitor):
    before = page.run(CAMERA_SUMS), page.run(MAP), page.run("document.querySelector('.numbers').innerText")
    assert len(before[0]) == 6
    page.wait(CAMERA_SUMS, lambda sums: all(now != was for now, was in zip(sums, before[0], strict=True)))
    page.wait(MAP, lambda picture: picture != before[1])
    page.wait("document.querySelector('.numbers').innerText", lambda text: text != before[2])
    page.wait("document.getElementById('link-text').textContent", lambda text: text.startswith("live"))
    assert page.run("document.getElementById('run-name').textContent") == "some-run"
    figures = page.wait("document.getElementById('figures').innerText", lambda text: "6 of 6" in text)
    assert "6.00\u202fs" in figures and "1.50 \u00d7 the limit" in figures and "12.5" in figures
    page.wait(NOTICES, lambda text: text == "")
    # A name is text, wherever it stands.
    names = "[...document.querySelectorAll('.name-text')].map((each) => each.textContent)"
    page.wait(names, lambda texts: texts.count(HOSTILE) == 3)  # a card, a chip and the table of laps
    assert page.run("document.querySelectorAll('img').length") == 1 and page.run("document.title") == "some-run · robotini_ray"
    page.wait("document.querySelector('.numbers').innerText", lambda text: text.count("\u2013") == 0)
    # Nothing is asked of anybody else, and nothing is wrong.
    assert {urlsplit(url).netloc for url in page.requests} == {urlsplit(monitor).netloc}
    assert {urlsplit(url).scheme for url in page.requests} == {"http", "ws"}
    assert page.complaints == []


def test_the_curves_have_their_limit_and_references_and_tables(page):
    page.wait("document.querySelectorAll('.plot canvas').length", lambda count: count >= 4)
    label = page.run("document.querySelectorAll('.plot')[1].getAttribute('aria-label')")
    assert label.startswith("Lap time over the train step; newest: best 6.00, mean 6.50")
    for level in ("limit 4.00\u202fs", "best bot, 1.31\u00d7: 5.24\u202fs", "original trainer, 2.79\u00d7: 11.16\u202fs"):
        assert level in label
    page.run("document.querySelectorAll('.values')[1].open = true")
    page.wait("document.querySelectorAll('.values')[1].innerText", lambda text: "100\t6.00\t6.50" in text)
    empty = page.run("[...document.querySelectorAll('.chart .empty:not([hidden])')].map((each) => each.textContent)")
    assert empty == ["The learner has made no step yet."] * 3 + ["Replay is empty."]


def test_keys_reach_everything(page):
    pictures = "document.querySelectorAll('canvas:not(.plot canvas), .strip, .plot:not([hidden])')"
    assert page.run(f"[...{pictures}].every((each) => each.ariaLabel)")
    reached = focus_ring(page)
    assert reached[0] == ("A", "Skip to the cars")
    for name in (HOSTILE, "car0", "car4"):
        assert reached.count(("BUTTON", name)) == 2, "a chip at the map and a card"
    assert ("INPUT", "") in reached and ("SUMMARY", "Values of lap time") in reached
    pressed = "[...document.querySelectorAll('[aria-pressed=true]')].map((each) => each.innerText)"
    page.run("document.querySelectorAll('.name')[2].focus()")
    page.press("Enter", 13, "\r")
    assert page.run(pressed) == ["car1", "car1"]
    page.press("Escape", 27)
    assert page.run(pressed) == []


def test_a_click_on_the_map_follows_a_car(page):
    place = """(async () => {
        const box = document.getElementById('map-canvas').getBoundingClientRect();
        return [box.x, box.y, box.width, box.height];
    })()"""
    left, top, width, height = page.run(place)
    followed = "document.querySelectorAll('.card.followed').length"
    for step in range(200):  # the cars drive along a line: somewhere on the grid is one
        if page.run(followed):
            break
        page.click(left + width * (0.05 + 0.1 * (step % 10)), top + min(height, 800 - top) * (0.05 + 0.1 * (step // 10 % 10)))
    assert page.run(followed) == 1
    assert page.run("document.querySelectorAll('.chip[aria-pressed=true]').length") == 1


def test_light_dark_and_a_telephone(page):
    background = "getComputedStyle(document.body).backgroundColor"
    page.prefer(prefers_color_scheme="light")
    light = page.run(background)
    page.prefer(prefers_color_scheme="dark")
    dark = page.wait(background, lambda colour: colour != light)
    page.run("document.querySelector('input[value=light]').click()")
    assert page.run(background) == light
    page.run("window.isOld = true")
    page.send("Page.reload")
    page.wait(f"!window.isOld && {CARD_COUNT} === 6")
    assert page.run(background) == light, "the choice is kept"
    page.run("document.querySelector('input[value=auto]').click()")
    assert page.run(background) == dark
    for width in (320, 390, 800, 1920):
        page.resize(width, 844, phone=width < 500)
        page.wait("document.documentElement.scrollWidth", lambda wide, width=width: wide <= width)
    assert page.complaints == []


def test_a_killed_redis_is_said_and_recovered_from(browser, run_dir, tmp_path, feed, monitor, redis_server):
    feeder = feed(["some-run-car0"], [png_of(frame) for frame in frames(4)])
    browser.open(monitor)
    browser.wait(CARD_COUNT, lambda count: count == 1)
    status = "document.querySelector('.card .pill').innerText"
    browser.wait(status, lambda text: text == "driving")
    socket_path = redis_server.socket_path
    with contextlib.suppress(FileNotFoundError):
        redis_server.stop()
    browser.wait(NOTICES, lambda text: "The cars' live state has been missing since" in text and "does not answer" in text)
    browser.wait(status, lambda text: text.startswith("silent since"))
    with RedisServer(tmp_path / "redis-2.log") as second:
        socket_path.parent.mkdir()
        socket_path.symlink_to(second.socket_path)  # the same address again
        count = feeder.count
        browser.wait(NOTICES, lambda text: text == "")
        browser.wait(status, lambda text: text == "driving")
        assert feeder.count > count
        socket_path.unlink()
        socket_path.parent.rmdir()
    assert browser.complaints == []


@pytest.mark.parametrize(("width", "height"), [(64, 40), (128, 80), (30, 18), (17, 10)])
def test_the_browser_sees_what_the_agent_sees(browser, monitor, feed, width, height):
    """The thresholded picture byte by byte, and the 8x3 numbers."""
    pictures = frames(3, width, height)
    browser.open(monitor)
    for frame in pictures:
        rgba = cv2.cvtColor(frame, cv2.COLOR_RGB2RGBA).reshape(-1)
        script = f"""import('/static/observation.js').then(({{ threshold, features }}) => {{
            const seen = threshold(Uint8ClampedArray.from({json.dumps(rgba.tolist())}), {width}, {height});
            return [seen.width, seen.height, [...seen.rgba], [...features(seen)]];
        }})"""
        seen_width, seen_height, seen, numbers = browser.run(script)
        expected = threshold(frame)
        assert (seen_height, seen_width) == expected.shape[:2]
        assert np.array_equal(np.array(seen, np.uint8).reshape(seen_height, seen_width, 4)[..., :3], expected)
        np.testing.assert_allclose(np.array(numbers).reshape(8, 3), features(frame), atol=1e-6)
    assert features(pictures[0]).std() > 0.1, "the pictures say something"
    # The same through PNG, canvas and card.
    png = png_of(pictures[0])
    feed(["some-run-car0"], [png])
    browser.wait(CARD_COUNT, lambda count: count == 1)
    shown = f"[...{PIXELS}(document.querySelector('.seen canvas'))]"
    expected = threshold(decode_png(png, width, height)).astype(int).reshape(-1).tolist()
    browser.wait(shown, lambda data: [each for index, each in enumerate(data) if index % 4 != 3] == expected)
    strip = "[...document.querySelectorAll('.strip.columns span, .strip.rows span')].map((each) => each.style.backgroundColor)"
    colours = browser.run(strip)
    rows, columns = colours[:4], colours[4:]
    numbers = np.rint(255 * features(pictures[0])).astype(int)
    found = np.array([[int(part) for part in colour[4:-1].split(",")] for colour in (*columns, *rows)])
    assert np.abs(found - numbers).max() <= 1
    assert browser.complaints == []


@pytest.mark.parametrize(
    ("change", "drove"),
    [
        ({"x": 0.3}, True),
        ({"x": 0.7}, False),  # farther than a car comes in a tenth of a second, though it is not said to be put back
        ({"x": 0.3, "returns": 3}, False),
        ({"x": 0.0, "game_time_s": 4.0}, False),
        ({"x": 1.4, "game_time_s": 6.0}, True),
        ({"x": 1.6, "game_time_s": 6.0}, False),  # the path is not known
    ],
)
def test_a_trail_ends_where_a_car_is_put_somewhere(browser, monitor, change, drove):
    browser.open(monitor)
    last = {"x": 0.0, "z": 1.0, "game_time_s": 5.0, "returns": 2}
    places = json.dumps(last), json.dumps({**last, "game_time_s": 5.1, **change})
    assert browser.run(f"import('/static/map.js').then(({{ drove }}) => drove({', '.join(places)}))") is drove


SHOWN = "[...document.querySelectorAll('#figures, #curves, .pictures, .commands')].map((each) => each.checkVisibility())"


@pytest.mark.parametrize(("throttle", "shown"), [(0.1, [True, True]), (None, [False, False])])
def test_a_race_is_shown_without_what_only_a_training_has(browser, monitor, redis_server, run_dir, throttle, shown):
    """Neither figures nor curves; of a replayed one, whose commands nobody knows, no pictures either."""
    browser.open(monitor)
    browser.wait("document.querySelector('#run-facts')?.innerText ?? ''", lambda text: "TD3" in text)
    assert browser.run(SHOWN) == [True, True]
    with contextlib.closing(CarStateStore(redis_server.url, run_dir.name)) as store:
        store.put("a", {"role": "racer", "x": 0.0, "z": 0.0, "throttle": throttle, "weights_version": None}, None)
        browser.wait(SHOWN, lambda found: found == [False, *shown, False])  # figures, the car's pictures and commands, curves
    assert "drives at random" not in browser.run("document.body.innerText")
