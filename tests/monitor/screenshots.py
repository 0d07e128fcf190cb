"""Trains for some minutes and takes the README's pictures of the monitor: ``make screenshots``."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from chromium import Chromium, find_chromium

IMAGES = Path(__file__).parents[2] / "docs" / "images"
CONFIG = Path(__file__).parents[2] / "launch" / "quickstart.yaml"
TRAINING_S = 240.0
LIMIT_S = 900.0

CARS = "document.querySelectorAll('.card[data-status=driving]').length"
EVALUATIONS = "document.querySelector('.values tr:nth-child(6)') !== null"


def main() -> int:
    """Returns the exit code."""
    if find_chromium() is None:
        print("no Chromium on this machine: apt-get install chromium", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="screenshots-") as folder:
        run_dir = Path(folder) / "runs" / "quickstart"
        command = [sys.executable, "-m", "robotini_ray.launch", "train", str(CONFIG), "--run-dir", str(run_dir)]
        command += ["--monitor-port", "0", "--minutes", str(LIMIT_S / 60)]
        training = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            address = None
            for line in training.stdout or ():
                print(line, end="", flush=True)
                match = re.match(r"monitor: (http\S+)", line)
                if match:
                    address = match[1]
                if line.startswith("training;"):
                    break
            if address is None:
                return 1
            take(address, time.monotonic() + TRAINING_S)
        finally:
            training.send_signal(signal.SIGINT)
            training.communicate()
    return 0


def take(address: str, not_before_s: float) -> None:
    """Takes the pictures once the cars have learned something."""
    with Chromium(1440, 900) as browser:
        browser.open(address)
        browser.prefer(prefers_color_scheme="light")
        browser.wait("document.querySelector('.values') !== null")
        browser.run("document.querySelector('.values').open = true")
        while time.monotonic() < not_before_s:
            time.sleep(1.0)
            browser.run("1")  # takes in what the browser says
        browser.wait(EVALUATIONS, patience_s=LIMIT_S)
        browser.run("document.querySelector('.values').open = false")
        picture(browser, "monitor")
        browser.prefer(prefers_color_scheme="dark")
        browser.run("document.getElementById('curves-title').scrollIntoView()")
        picture(browser, "monitor-dark")
        browser.prefer(prefers_color_scheme="light")
        browser.resize(390, 844, phone=True, scale=2.0)
        browser.run("document.getElementById('map').scrollIntoView()")
        picture(browser, "monitor-phone")


def picture(browser: Chromium, name: str) -> None:
    """One picture, when all collecting cars and the evaluator's drive; the evaluator rests between its evaluations."""
    browser.wait(f"{CARS} >= 6")
    time.sleep(3.0)
    browser.wait(f"{CARS} >= 7")
    path = IMAGES / f"{name}.png"
    browser.screenshot(path)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    sys.exit(main())
