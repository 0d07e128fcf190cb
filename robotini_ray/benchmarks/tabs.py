"""Measures ``tabs``: the share of the frame rate that six cars lose while eight browser tabs show the monitor.

A tab is represented by the WebSocket that the page opens, which asks for each message after it has received the last one.
The browser's drawing is not in the figure, since a browser is usually on another machine. In real-time pace the cars drive
as they do against the Unity simulator, with the learner training; in lock-step they take all the processor time there is.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import threading
import time
from collections.abc import Iterator
from typing import Literal
from urllib.parse import urljoin

import aiohttp

from robotini_ray.benchmarks.apparatus.figure import Figure, Measurement, MeasurementError, Say, Target
from robotini_ray.benchmarks.apparatus.live_program import LiveProgram, live_config, running_program
from robotini_ray.benchmarks.apparatus.pairs import PAIRS, interleave, spread
from robotini_ray.config import Config, save_config
from robotini_ray.monitor.process import MonitorProcess
from robotini_ray.monitor.server import NEXT

TABS = 8
TARGET = Target("at most", 0.02)
VIEWER_NICENESS = 19
OPEN_TIMEOUT_S = 120.0
"""Only a monitor that hangs takes so long to open the tabs, or to send each of them a message."""

POLL_S = 0.05

Pace = Literal["max", "realtime"]


def measure_realtime(say: Say, *, window_s: float = 4.0, rounds: int = PAIRS) -> list[Figure]:
    """Measures cars that drive in real time, 60 frames a second, beside a training learner."""
    return [_measure("tabs", live_config(), say, window_s, rounds)]


def measure_lockstep(say: Say, *, window_s: float = 4.0, rounds: int = PAIRS) -> list[Figure]:
    """Measures cars that drive as fast as they can; the learner has not begun."""
    config = live_config()
    fast = dataclasses.replace(
        config,
        simulator=dataclasses.replace(config.simulator, pace="max"),
        replay=dataclasses.replace(config.replay, min_items=config.replay.capacity),  # until then no car waits for weights
    )
    return [_measure("tabs_lockstep", fast, say, window_s, rounds)]


def _measure(name: str, config: Config, say: Say, window_s: float, rounds: int) -> Figure:
    pace: Pace = "max" if config.simulator.pace == "max" else "realtime"
    with running_program(config, lambda line: say(f"{name}: {line}")) as program, _monitor(program) as url:
        if pace == "realtime":
            program.start_learner()
        measures = {
            "alone": lambda: program.frame_rate(window_s).per_s,
            "watched": lambda: _watched(program, url, window_s),
        }
        readings = interleave(measures, rounds, lambda number: say(f"{name}: round {number} of {rounds}"))
    return tabs_figure(name, pace, readings["alone"], readings["watched"])


def tabs_figure(name: str, pace: Pace, alone: list[float], watched: list[float]) -> Figure:
    """Computes the figure, the share of the frame rate that is lost with tabs, from pairs of rates in frames per second."""
    lost = [1.0 - with_tabs / without for with_tabs, without in zip(watched, alone, strict=True)]
    return Figure(name, spread(lost), "of frames", TARGET, pace)


@contextlib.contextmanager
def _monitor(program: LiveProgram) -> Iterator[str]:
    """Runs a monitor that shows the program; yields its URL."""
    run_dir = program.logs.parent
    save_config(program.config, run_dir / "config.yaml")
    monitor = MonitorProcess(run_dir, program.redis_url, 0, program.logs / "monitor.log")
    try:
        yield monitor.address()
    finally:
        monitor.close()


def _watched(program: LiveProgram, url: str, seconds: float) -> float:
    with Viewers(url, TABS) as viewers:
        _wait_for_messages(viewers, url)
        return program.frame_rate(seconds).per_s


def _wait_for_messages(viewers: Viewers, url: str) -> None:
    """Blocks until every tab has received a message."""
    deadline_s = time.monotonic() + OPEN_TIMEOUT_S
    while not all(viewers.messages):
        if time.monotonic() > deadline_s:
            silent = viewers.messages.count(0)
            raise MeasurementError(f"of {TABS} tabs, {silent} received no message from {url} in {OPEN_TIMEOUT_S:g} s")
        time.sleep(POLL_S)


class Viewers:
    """Simulated tabs of a monitor, open within the context, in a thread of the lowest priority (niceness 19).

    Args:
        url: The monitor's URL.
        count: Number of tabs.
    """

    def __init__(self, url: str, count: int) -> None:
        self.messages = [0] * count
        """Number of messages that each tab has received."""
        self._url = url
        self._open = threading.Barrier(2)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Viewers:
        self._thread.start()
        self._open.wait(OPEN_TIMEOUT_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._watching.cancel)
        self._thread.join()

    def _run(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), VIEWER_NICENESS)
        self._watching = self._loop.create_task(self._watch())
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._watching)
        self._loop.close()

    async def _watch(self) -> None:
        headers = {"Origin": self._url.rstrip("/")}
        async with aiohttp.ClientSession() as session, contextlib.AsyncExitStack() as stack:
            connect = session.ws_connect
            tabs = [
                await stack.enter_async_context(connect(urljoin(self._url, "socket"), headers=headers)) for _ in self.messages
            ]
            self._open.wait(OPEN_TIMEOUT_S)
            await asyncio.gather(*(self._read(number, tab) for number, tab in enumerate(tabs)))

    async def _read(self, number: int, tab: aiohttp.ClientWebSocketResponse[bool]) -> None:
        await tab.send_str(NEXT)
        async for message in tab:
            if message.type is aiohttp.WSMsgType.BINARY:
                self.messages[number] += 1
                await tab.send_str(NEXT)


MEASUREMENTS: tuple[Measurement, ...] = (measure_realtime, measure_lockstep)
