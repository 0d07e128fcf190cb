"""Headless Chromium over its DevTools protocol: the browser that Debian packages, and no driver between."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp

PATIENCE_S = 300.0
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str | None:
    """The browser's program, None where this machine has none."""
    return next((path for name in PROGRAMS if (path := shutil.which(name))), None)


class PageError(AssertionError):
    """A script that threw in the page."""


class PageReplaced(Exception):
    """A page was asked something, and another one came before it could answer."""


class Chromium:
    """A browser with one page. Calls block; what the page says on its console and whom it asks is kept.

    Attributes:
        complaints: errors and warnings of the console, uncaught exceptions and refusals of the content security policy.
        requests: the URLs that pages have asked for.
    """

    def __init__(self, width: int = 1440, height: int = 900) -> None:
        program = find_chromium()
        assert program is not None
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._profile = tempfile.mkdtemp(prefix="rr-chromium-")
        command = [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        command += ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"]
        command += ["--no-default-browser-check", "--remote-debugging-port=0", f"--user-data-dir={self._profile}"]
        command += [f"--window-size={width},{height}", "about:blank"]
        with Path(self._profile, "log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        self._loop = asyncio.new_event_loop()
        self._number = 0
        self._answers: dict[int, dict[str, Any]] = {}
        self._loop.run_until_complete(self._connect())
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")
        self._size = width, height
        self.reset()

    def __enter__(self) -> Chromium:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the browser and removes its profile."""
        self._loop.run_until_complete(self._session.close())
        self._loop.close()
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        shutil.rmtree(self._profile, ignore_errors=True)

    def reset(self) -> None:
        """An empty page in a window of the first size, and nothing heard yet."""
        self.open("about:blank")
        self.resize(*self._size)
        self.prefer()
        self.complaints.clear()
        self.requests.clear()

    def open(self, url: str) -> None:
        """Goes to a page."""
        self.send("Page.navigate", url=url)

    def resize(self, width: int, height: int, phone: bool = False, scale: float = 1.0) -> None:
        """Another window, or a telephone."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=phone)

    def prefer(self, **features: str) -> None:
        """Media features such as ``prefers_color_scheme="dark"``."""
        listed = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.send("Emulation.setEmulatedMedia", features=listed)

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression (a promise's, once it is settled)."""
        answer = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise PageError(json.dumps(answer["exceptionDetails"])[:2000])
        return answer["result"].get("value")

    def wait(self, script: str, accept: Callable[[Any], bool] = bool, patience_s: float = PATIENCE_S) -> Any:
        """The value of an expression once it is accepted (by default: true)."""
        deadline_s = time.monotonic() + patience_s
        while True:
            value: Any = "asked while the page was replaced"
            with contextlib.suppress(PageReplaced):
                value = self.run(script)
                if accept(value):
                    return value
            assert time.monotonic() < deadline_s, f"{script} is still {value!r}; complaints: {self.complaints}"
            time.sleep(0.1)

    def press(self, key: str, code: int, text: str = "") -> None:
        """A key of the keyboard: its DOM name and its virtual key code."""
        for kind in ("keyDown", "keyUp"):
            extra = {"text": text} if text and kind == "keyDown" else {}
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **extra)

    def click(self, x: float, y: float) -> None:
        """The left button, at a place in the window."""
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def screenshot(self, path: Path, whole_page: bool = False) -> None:
        """Writes a PNG of the window, or of all of the page."""
        options: dict[str, Any] = {}
        if whole_page:
            size = self.send("Page.getLayoutMetrics")["cssContentSize"]
            options = {"captureBeyondViewport": True, "clip": {**size, "scale": 1}}
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", **options)["data"]))

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol and its result."""
        return self._loop.run_until_complete(asyncio.wait_for(self._send(method, parameters), PATIENCE_S))

    async def _send(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        while True:
            message = await self._socket.receive_json()
            if message.get("id") == self._number:
                if "navigated or closed" in message.get("error", {}).get("message", ""):
                    raise PageReplaced(method)
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]
            self._note(message.get("method"), message.get("params", {}))

    def _note(self, event: str | None, details: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.requests.append(details["request"]["url"])
        elif event == "Network.webSocketCreated":
            self.requests.append(details["url"])
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(details["exceptionDetails"])[:1000])
        elif event == "Runtime.consoleAPICalled" and details["type"] in ("error", "warning", "assert"):
            self.complaints.append(json.dumps(details["args"])[:1000])
        elif event == "Log.entryAdded" and details["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{details['entry']['text']} {details['entry'].get('url', '')}")

    async def _connect(self) -> None:
        self._session = aiohttp.ClientSession()
        port_file = Path(self._profile, "DevToolsActivePort")
        deadline_s = time.monotonic() + PATIENCE_S
        while not port_file.exists() or len(port_file.read_text().splitlines()) < 2:
            assert self._process.poll() is None and time.monotonic() < deadline_s, Path(self._profile, "log").read_text()
            await asyncio.sleep(0.1)
        port = port_file.read_text().splitlines()[0]
        async with self._session.get(f"http://127.0.0.1:{port}/json/list") as response:
            pages = [target for target in await response.json() if target["type"] == "page"]
        self._socket = await self._session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0)
