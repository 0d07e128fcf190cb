"""Clients that come and go leave nothing behind."""

import gc
import os
import tracemalloc
from pathlib import Path

import pytest

WARM_UP, LOGINS = 100, 1000
LEAK_BYTES = 200  # a forgotten client would be over 1,000


def open_files():
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files the way of Linux")
def test_a_thousand_logins_and_disconnects_leave_neither_files_nor_memory(world):
    spectator = world.spectator()

    def come_and_go(first, count):
        for number in range(first, first + count):
            car = world.car(str(number), imageWidth=8)
            assert car.png()
            if number % 3 == 0:
                car.say("nonsense")  # which the simulator answers by closing
            car.close()
            spectator.until("CarRemoved")
            world.forget(car)
            spectator.seen.clear()
        gc.collect()

    come_and_go(0, WARM_UP)
    files, server = open_files(), world.server
    tracemalloc.start()
    try:
        come_and_go(WARM_UP, WARM_UP)
        before_bytes = tracemalloc.get_traced_memory()[0]
        come_and_go(2 * WARM_UP, LOGINS)
        grown_bytes = tracemalloc.get_traced_memory()[0] - before_bytes
    finally:
        tracemalloc.stop()
    assert open_files() == files
    assert grown_bytes < LEAK_BYTES * LOGINS
    assert (server._drivers, server._strangers, len(server._spectators)) == ({}, [], 1)
    assert len(server._selector.get_map()) == 4  # two listeners, the wake-up, the spectator
