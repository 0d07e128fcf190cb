"""Drives cars at little cost, in order to measure a simulator: a client with plain sockets and one loop for all its cars.

Every frame is read whole and answered in one packet with throttle, turn and, in lock-step, the blank line that ends the
answer. Only one frame in sixteen of each car is unpacked, at different times for different cars; its colours decide the
turn until the next one. The cars thus follow the road at 0.86 m/s without getting stuck at a wall, and a frame costs the
client little.
"""

from __future__ import annotations

import contextlib
import math
import select
import socket
import time
from types import TracebackType
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from robotini_ray.car.connection import open_socket
from robotini_ray.car.protocol import command_lines, login_line
from robotini_ray.errors import RobotiniError
from robotini_ray.simulator_address import SimulatorAddress

THROTTLE = 0.05  # 0.86 m/s
TURN_GAIN = 1.3
LOOK_EVERY_FRAMES = 16
LOOK_COLUMNS = 32
BRIGHT = 100  # the road has a channel brighter than this, everything else is darker
COLOR = "#1f77b4"

CONNECT_TIMEOUT_S = 60.0
SILENCE_LIMIT_S = 120.0
"""Only a simulator that hangs meets these limits, however busy the machine is."""

LARGEST_FRAME_BYTES = 2 + 0xFFFF


class FleetError(RobotiniError):
    """Raised when the simulator has closed a car's connection, does not read, or sends no more frames."""


class Window(NamedTuple):
    """Results of a stretch of driving; ``intervals_s`` are the times between two frames of the same car, over all cars."""

    frames: int
    wall_s: float
    client_cpu_s: float
    intervals_s: list[float]


def turn_by_colour(picture: NDArray[np.uint8]) -> float:
    """Computes a turn in [-1, 1], positive to the left, towards the road's blue middle, between red (left) and green (right).

    Args:
        picture: ``<uint8>[height, width, 3]`` in the channel order blue, green, red.
    """
    step = max(1, picture.shape[1] // LOOK_COLUMNS)
    road = picture[picture.shape[0] // 4 :: step, ::step]
    seen = (road == road.max(axis=2, keepdims=True)) & (road > BRIGHT)
    blue, green, red = np.count_nonzero(seen, axis=(0, 1)).tolist()
    return max(-1.0, min(1.0, TURN_GAIN * (green - red) / (blue + green + red + 1)))


class Fleet:
    """A number of cars that have logged in; their first frames stay unread until ``drive``.

    Args:
        address: The simulator's address.
        cars: Number of cars; their names can be used by the next fleet once this one is closed.
        width: Width of the cars' pictures in pixels.
        lockstep: Whether the simulated world waits for the cars' answers.

    Raises:
        SimulatorUnreachable: No simulator listens at the address.
    """

    def __init__(self, address: SimulatorAddress, cars: int, width: int, lockstep: bool) -> None:
        self._poll = select.epoll()
        self._cars: dict[int, _Car] = {}
        try:
            for number in range(cars):
                sock = open_socket(address.host, address.car_port, CONNECT_TIMEOUT_S)
                car = _Car(sock, f"fleet-{number}", lockstep, frames_to_look=number % LOOK_EVERY_FRAMES)
                self._cars[sock.fileno()] = car
                self._poll.register(sock, select.EPOLLIN)
                car.log_in(width)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def drive(self, seconds: float) -> Window:
        """Reads and answers frames for a number of seconds, at least one; the next call continues where this one ended.

        Raises:
            FleetError: The simulator closed a car's connection, does not read, or sent no frame for ``SILENCE_LIMIT_S``.
        """
        poll, cars, clock = self._poll.poll, self._cars, time.perf_counter
        intervals_s: list[float] = []
        began_cpu_s, began_s = time.thread_time(), clock()
        now_s, ends_s = began_s, began_s + seconds
        while now_s < ends_s:
            ready = poll(SILENCE_LIMIT_S)
            if not ready:
                raise FleetError(f"the simulator sent none of {len(cars)} cars a frame for {SILENCE_LIMIT_S:g} s")
            for fileno, _ in ready:
                car = cars[fileno]
                if car.receive():
                    now_s = clock()
                    intervals_s.append(now_s - car.received_s)
                    car.received_s = now_s
                    car.answer()
        return Window(len(intervals_s), clock() - began_s, time.thread_time() - began_cpu_s, intervals_s)

    def close(self) -> None:
        """Closes the connections and blocks until the simulator has taken the cars off the track (at most 60 s a car)."""
        for car in self._cars.values():
            car.hang_up()
        for car in self._cars.values():
            car.wait_until_gone()
        self._poll.close()


class _Car:
    def __init__(self, sock: socket.socket, name: str, lockstep: bool, frames_to_look: int) -> None:
        self.received_s = math.nan
        self._socket, self._name, self._lockstep = sock, name, lockstep
        self._frames_to_look = frames_to_look
        self._buffer = bytearray(LARGEST_FRAME_BYTES)
        self._view = memoryview(self._buffer)
        self._pixels = np.frombuffer(self._buffer, np.uint8)
        self._filled = 0
        self._commands = command_lines(THROTTLE, 0.0, lockstep)

    def log_in(self, width: int) -> None:
        self.received_s = time.perf_counter()
        self._send(login_line(self._name, "fleet", COLOR, width, self._lockstep))

    def receive(self) -> bool:
        """Reads what has arrived and returns whether that completes a frame.

        The simulator sends the next frame only after the answer, so that the buffer never holds parts of two frames.
        """
        try:
            count = self._socket.recv_into(self._view[self._filled :])
        except ConnectionError:
            count = 0
        if count == 0:
            raise FleetError(f"the simulator closed the connection of car {self._name}")
        self._filled += count
        buffer = self._buffer
        if self._filled < 2 or self._filled < 2 + (buffer[0] << 8 | buffer[1]):
            return False
        self._filled = 0
        return True

    def answer(self) -> None:
        if self._frames_to_look == 0:
            self._frames_to_look = LOOK_EVERY_FRAMES
            size = self._buffer[0] << 8 | self._buffer[1]
            picture = cv2.imdecode(self._pixels[2 : 2 + size], cv2.IMREAD_COLOR)
            self._commands = command_lines(THROTTLE, turn_by_colour(picture), self._lockstep)
        self._frames_to_look -= 1
        self._send(self._commands)

    def hang_up(self) -> None:
        """Shuts down the sending side of the connection."""
        with contextlib.suppress(OSError):  # the simulator has closed the connection already
            self._socket.shutdown(socket.SHUT_WR)

    def wait_until_gone(self) -> None:
        """Blocks until the simulator has closed the connection as well, and so taken the car off the track."""
        self._socket.settimeout(CONNECT_TIMEOUT_S)
        with contextlib.suppress(OSError):  # a reset, or a simulator that hangs; a later login would fail
            while self._socket.recv_into(self._view):
                pass
        self._socket.close()

    def _send(self, data: bytes) -> None:
        try:
            sent = self._socket.send(data)
        except OSError as error:
            raise FleetError(f"car {self._name} cannot send to the simulator: {error.strerror}") from error
        if sent < len(data):
            raise FleetError(f"the simulator does not read what car {self._name} sends")
