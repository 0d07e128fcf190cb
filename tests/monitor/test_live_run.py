"""A real training with six cars, seen through the page that it starts."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from urllib.parse import urlsplit

import psutil
import pytest
import yaml

PATIENCE_S = 300.0
CONFIG = {
    "environment": {"image_width": 32, "throttle_low": 0.06, "throttle_high": 0.15},
    "agent": {"algorithm": "td3", "actor_layers": [16], "critic_layers": [16], "batch_size": 16},
    "replay": {"capacity": 5000, "min_items": 100, "samples_per_item": 8},
    "collection": {"cars": 6, "cars_per_collector": 3},
    "evaluation": {"interval_s": 0, "laps": 1, "max_seconds": 4},
    "simulator": {"track": "oval"},
}
CAMERAS = """Object.fromEntries([...document.querySelectorAll('.card')].map((card) => {
    const canvas = card.querySelector('.camera canvas');
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return [card.querySelector('.name-text').textContent, data.reduce((sum, each, i) => (sum * 31 + each + i) % 1e9, 0)];
}))"""
COLLECTORS = [f"car{index}" for index in range(6)]
MAP = "document.getElementById('map-canvas').toDataURL()"
FIGURES = "document.getElementById('figures').innerText"
NOTICES = "document.getElementById('notices').innerText"


@pytest.fixture
def training(tmp_path):
    """The process of a training without end and what it has said up to its first figures."""
    config = tmp_path / "live.yaml"
    config.write_text(yaml.safe_dump(CONFIG))
    command = [sys.executable, "-m", "robotini_ray.launch", "train", str(config), "--run-dir", str(tmp_path / "live")]
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    process = subprocess.Popen(
        [*command, "--monitor-port", "0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
        start_new_session=True,
    )  # fmt: skip
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("time "):
            break
    yield process, "".join(said)
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()  # what it has started ends with it


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_training_is_seen_from_its_page(browser, training):
    process, said = training
    address = re.search(r"^monitor: (http://127\.0\.0\.1:\d+/)$", said, re.MULTILINE)[1]
    assert "TensorBoard: " in said and "Ray dashboard: " in said
    browser.open(address)
    first = browser.wait(CAMERAS, lambda cards: set(COLLECTORS) <= set(cards), PATIENCE_S)
    first_map = browser.run(MAP)
    browser.wait(CAMERAS, lambda cards: all(cards[name] != first[name] for name in COLLECTORS), PATIENCE_S)
    browser.wait(MAP, lambda picture: picture != first_map, PATIENCE_S)
    browser.wait(CAMERAS, lambda cards: "evaluator" in cards, PATIENCE_S)
    figures = browser.wait(FIGURES, lambda text: re.search(r"\nv[1-9]", text) and "6 of 6" in text, PATIENCE_S)
    browser.wait(FIGURES, lambda text: text != figures, PATIENCE_S)
    browser.wait("document.querySelectorAll('.plot:not([hidden])').length", lambda count: count >= 7, PATIENCE_S)
    assert {urlsplit(url).netloc for url in browser.requests} == {urlsplit(address).netloc}
    assert browser.complaints == []
    family = psutil.Process(process.pid).children(recursive=True)
    (redis,) = [child for child in family if "-server unixsocket:" in " ".join(child.cmdline())]  # its own title
    redis.kill()
    browser.wait(NOTICES, lambda text: "live state has been missing since" in text, PATIENCE_S)
    assert browser.complaints == []
