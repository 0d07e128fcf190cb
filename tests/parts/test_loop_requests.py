"""Requests to a loop: each is done once, in the loop's thread, and its result or its error goes to the thread that asked."""

from __future__ import annotations

import threading

import pytest

from robotini_ray.parts.loop_requests import LoopRequests


class Loop:
    """A thread that serves requests until it is told to end."""

    def __init__(self) -> None:
        self.requests = LoopRequests()
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while not self.stop.wait(0.001):
            self.requests.serve()
        self.requests.end()

    def end(self) -> None:
        self.stop.set()
        self.thread.join()


def test_the_loop_does_the_work_before_the_caller_goes_on() -> None:
    loop, threads = Loop(), []
    loop.requests.ask(lambda: threads.append(threading.current_thread()))
    assert threads == [loop.thread]
    loop.end()


def test_an_error_goes_to_the_caller_and_the_loop_goes_on() -> None:
    loop, done = Loop(), []
    with pytest.raises(ZeroDivisionError):
        loop.requests.ask(lambda: done.append(1 // 0))
    loop.requests.ask(lambda: done.append(1))
    assert done == [1]
    loop.end()


def test_after_the_loops_end_the_caller_does_the_work() -> None:
    loop, threads = Loop(), []
    loop.end()
    loop.requests.ask(lambda: threads.append(threading.current_thread()))
    assert threads == [threading.current_thread()]


def test_requests_of_many_threads_around_the_end_are_each_done_once() -> None:
    loop, done = Loop(), []
    askers = [threading.Thread(target=loop.requests.ask, args=(lambda k=k: done.append(k),)) for k in range(40)]
    for number, asker in enumerate(askers):
        asker.start()
        if number == 20:
            loop.stop.set()
    for asker in askers:
        asker.join()
    assert sorted(done) == list(range(40))
