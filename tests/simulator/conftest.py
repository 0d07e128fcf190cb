"""A running simulator and plain-socket clients, written from the description of the wire alone."""

import functools
import json
import math
import socket
import threading

import cv2
import numpy as np
import pytest

from robotini_ray.simulator.server import server as server_module
from robotini_ray.simulator.server.server import SimulatorServer
from robotini_ray.simulator.world.race_parameters import RaceParameters
from robotini_ray.track.track import load_track
from tests.waiting import LONG_S, eventually

cached_track = functools.cache(load_track)  # with its maps, which take longer than most tests


def balance(picture):
    """How much more green (right) than red (left) is in sight, -1..1: positive when the car is too far right."""
    road = picture[picture.shape[0] // 4 :].astype(int)
    bright = (road == road.max(axis=-1, keepdims=True)) & (road > 100)
    blue, green, red = bright.reshape(-1, 3).sum(axis=0)
    return (green - red) / (blue + green + red + 1)


class CarClient:
    """One car: blocking calls, a frame or an answer at a time."""

    def __init__(self, address, **login):
        self.socket = socket.create_connection(address, timeout=LONG_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = self.socket.makefile("rb")
        if login:
            self.say(login)

    def say(self, *lines):
        """Send lines in one packet; a dict becomes JSON, a str is sent as it is."""
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        self.socket.sendall("".join(text + "\n" for text in texts).encode())

    def drive(self, throttle, turn):
        self.say({"action": "forward", "value": throttle}, {"action": "turn", "value": turn}, "")

    def png(self):
        """The next frame, or None if the simulator has closed the connection."""
        try:
            header = self._reader.read(2)
        except ConnectionResetError:
            return None
        return self._reader.read(int.from_bytes(header, "big")) if header else None

    def picture(self):
        return cv2.imdecode(np.frombuffer(self.png(), np.uint8), cv2.IMREAD_COLOR)

    def drive_by_colour(self, throttle):
        """Look at the next frame and steer so that red (left) and green (right) are in balance."""
        self.drive(throttle, float(np.clip(1.6 * balance(self.picture()), -1, 1)))

    def has_frame(self, within_s=0.3):
        self.socket.settimeout(within_s)
        try:
            return bool(self.socket.recv(1, socket.MSG_PEEK))
        except TimeoutError:
            return False
        finally:
            self.socket.settimeout(LONG_S)

    def close(self):
        self._reader.close()
        self.socket.close()


class SpectatorClient:
    def __init__(self, address):
        self.socket = socket.create_connection(address, timeout=LONG_S)
        self._reader = self.socket.makefile("rb")
        self.seen = []

    def next(self):
        """The next event, or None if the simulator has closed the connection."""
        try:
            line = self._reader.readline()
        except ConnectionResetError:
            return None
        if not line:
            return None
        self.seen.append(json.loads(line))
        return self.seen[-1]

    def until(self, kind, **fields):
        """Read on to the next event of this type and these fields; fails if the simulator closes instead."""
        while (event := self.next()) is not None:
            if event["type"] == kind and all(event.get(key) == value for key, value in fields.items()):
                return event
        raise AssertionError(f"closed before {kind} {fields}")

    def status(self, frames_sent, name=None):
        """The cars of the GameStatus that belongs to this frame of a car (the only one, if no name is given)."""
        while True:
            cars = {car["name"]: car for car in self.until("GameStatus")["cars"]}
            watched = cars.get(name) if name else next(iter(cars.values()), None)
            if watched and watched["frames_sent"] == frames_sent:
                return watched

    def close(self):
        self._reader.close()
        self.socket.close()


class World:
    """A simulator in a thread, and the clients made for it."""

    def __init__(self, server):
        self.server = server
        self._clients = []
        self._thread = threading.Thread(target=server.run)
        self._thread.start()

    def car(self, name="red", **login):
        login = {"name": name, "teamId": "team", "color": "#ff0000", "imageWidth": 16, "lockstep": True, **login}
        return self._keep(CarClient(self.server.car_address, **login))

    def stranger(self):
        return self._keep(CarClient(self.server.car_address))

    def spectator(self):
        return self._keep(SpectatorClient(self.server.log_address))

    def driver(self, name="red"):
        """The server's record of a car, once the car has logged in."""

        def find():
            return next((driver for driver in list(self.server._drivers.values()) if driver.login.name == name), None)

        return eventually(find, f"{name} has logged in")

    def forget(self, client):
        """A client that the test has closed itself, one of many."""
        self._clients.remove(client)

    def _keep(self, client):
        self._clients.append(client)
        return client

    def close(self):
        for client in self._clients:
            client.close()
        self.server.stop()
        self._thread.join(LONG_S)
        assert not self._thread.is_alive()


@pytest.fixture
def make_world(monkeypatch):
    """Start a simulator: keywords are those of SimulatorServer, and `track` and `parameters`. It waits long for its clients."""
    monkeypatch.setattr(server_module, "LOGIN_TIMEOUT_S", math.inf)
    worlds = []

    def make(track="oval", parameters=None, pace="max", answer_timeout_ms=600_000, **settings):
        server = SimulatorServer(
            cached_track(track),
            parameters or RaceParameters(),
            car_port=0,
            log_port=0,
            pace=pace,
            answer_timeout_ms=answer_timeout_ms,
            **settings,
        )
        worlds.append(World(server))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()


@pytest.fixture
def world(make_world):
    """A simulator of the oval in lock-step."""
    return make_world()


@pytest.fixture(scope="session")
def hairpins(make_track):
    """Two legs along z, at x = -0.39 (forwards) and x = 0.39, joined by half circles."""
    r, right = 0.39, math.pi / 2
    handle_m = 4 / 3 * math.tan(math.pi / 8) * r
    nodes = [
        (-r, -1.0, 0.0),
        (-r, 1.0, 0.0),
        (0.0, 1.0 + r, right),
        (r, 1.0, 2 * right),
        (r, -1.0, 2 * right),
        (0.0, -1.0 - r, 3 * right),
    ]
    return make_track("hairpins", [(x, 0.0, z, heading, handle_m, 0.0) for x, z, heading in nodes])
