"""Runs the embedded simulator as a server: one loop over all sockets, in real time or in lock-step with its clients.

The protocol and the timing rules are the real simulator's. In lock-step (``pace="max"``) the world advances when every car
on the track has answered its last frame. A car that logs in gets its first frame, and a ``GameStatus`` that shows it, at
once, and no game time passes for that. Before qualifying, when cars have entered but none is on the track, game time runs
in real time in either pace, so that other cars can still enter. Game time stands still while no car is connected.
"""

from __future__ import annotations

import contextlib
import logging
import math
import selectors
import socket
import time
from collections.abc import Callable
from typing import Literal

from robotini_ray.config import MAX_CARS, NO_RANDOMISATION, RandomisationConfig
from robotini_ray.simulator.camera.camera_for_track import make_camera
from robotini_ray.simulator.server import phases, wire
from robotini_ray.simulator.server.listener import listen
from robotini_ray.simulator.server.peer import CarPeer, Driver, Peer, SpectatorPeer
from robotini_ray.simulator.server.png_writer import encode_png
from robotini_ray.simulator.server.result_files import RaceFiles
from robotini_ray.simulator.server.warm_up import warm_up
from robotini_ray.simulator.world.entries import JoinError
from robotini_ray.simulator.world.race import FRAME_S, Race
from robotini_ray.simulator.world.race_parameters import RaceParameters
from robotini_ray.track.track import Track

LOG = logging.getLogger(__name__)

LOGIN_TIMEOUT_S = 5.0
MAX_STRANGERS = 32  # clients of the car port that have not logged in yet
MAX_SPECTATORS = 64
LATEST_TICK_S = 0.05  # a delay beyond this is not caught up
IDLE_S = 0.5


class SimulatorServer:
    """Serves one track on two ports, one for cars and one for spectators; see the module for its timing.

    The sockets listen as soon as the server is constructed, so that clients can connect; ``run`` serves them.

    Attributes:
        car_address: The host and the port that cars connect to.
        log_address: The host and the port that spectators connect to.
    """

    def __init__(
        self,
        track: Track,
        parameters: RaceParameters,
        *,
        host: str = "127.0.0.1",
        car_port: int = 11000,
        log_port: int = 11001,
        pace: Literal["realtime", "max"] = "realtime",
        answer_timeout_ms: int = 1000,
        seed: int = 0,
        car_contact: bool = True,
        randomisation: RandomisationConfig = NO_RANDOMISATION,
        upstream: bool = False,
        allow_ui_commands: bool = False,
        say: Callable[[str], None] = LOG.info,
    ) -> None:
        """Binds both ports and compiles the physics and the camera, which takes a few seconds the first time.

        Args:
            track: The track that cars drive on.
            parameters: The rules of the race and the names of its files.
            host: The name or address that both ports are bound to.
            car_port: The TCP port for cars; 0 takes a free one.
            log_port: The TCP port for spectators; 0 takes a free one.
            pace: ``realtime`` for 60 frames per second, ``max`` for lock-step.
            answer_timeout_ms: The time that lock-step waits for a car's answer.
            seed: Seeds the places where cars are put back and the draws of ``randomisation``.
            car_contact: True if cars push each other, False if they pass through each other.
            randomisation: The ranges from which each car's properties are drawn; by default all cars are standard.
            upstream: True to leave out of ``GameStatus`` the fields that only the trainers' fork sends.
            allow_ui_commands: True to execute ``ProceedToNextPhase``, ``MotorsToggle`` and ``ResetSimulator`` of any
                spectator.
            say: Shows a line to a person while functions are compiled.

        Raises:
            SimulatorError: A port cannot be bound.
            ResultsError: A file of the race cannot be written.
        """
        self._lockstep = pace == "max"
        self._answer_timeout_s = answer_timeout_ms / 1000
        self._upstream = upstream
        self._allow_ui_commands = allow_ui_commands
        self._race = Race(track, parameters, seed, car_contact, randomisation)
        self._phases = phases.begin(self._race)
        self._camera = make_camera(track)
        self._drivers: dict[int, Driver] = {}  # keyed by the slots of their cars
        self._strangers: list[CarPeer] = []
        self._spectators: list[SpectatorPeer] = []
        self._tick_s = 0.0  # the time at which the last frame was rendered (in real time: was due)
        self._stopping = False
        with contextlib.ExitStack() as opened:
            self._files = opened.enter_context(RaceFiles(parameters.race_log_file, parameters.race_result_file))
            self._car_listener = opened.enter_context(listen(host, car_port))
            self._log_listener = opened.enter_context(listen(host, log_port))
            self._selector = opened.enter_context(selectors.DefaultSelector())
            self._wake_receiver, self._wake_sender = map(opened.enter_context, socket.socketpair())
            self._wake_sender.setblocking(False)
            self._opened = opened.pop_all()
        self.car_address: tuple[str, int] = self._car_listener.getsockname()
        self.log_address: tuple[str, int] = self._log_listener.getsockname()
        self._files.log(wire.encode_event(self._race.parameters_event()))
        self._publish_events()
        warm_up(track, self._camera, say, randomisation)

    def stop(self) -> None:
        """Makes ``run`` return soon; may be called from any thread or from a signal handler."""
        self._stopping = True
        try:
            self._wake_sender.send(b".")
        except OSError:
            return  # the socket is full, which wakes ``run`` as well, or closed, since ``run`` has returned

    def run(self) -> None:
        """Serves all clients until ``stop`` is called; closes all sockets at the end."""
        for listener in (self._car_listener, self._log_listener):
            self._selector.register(listener, selectors.EVENT_READ)
        self._selector.register(self._wake_receiver, selectors.EVENT_READ)
        try:
            while not self._stopping:
                self._serve_sockets(min(IDLE_S, self._due_in_s()))
                self._drop_strangers()
                if self._due_in_s() <= 0.0:
                    self._advance()
        finally:
            self._close()

    def _due_in_s(self) -> float:
        """Returns the seconds until the world's next frame if no client sends anything before; 0 if the frame is due."""
        if not self._drivers:
            return math.inf
        now = time.monotonic()
        if not self._lockstep or not self._race.cars:
            return max(0.0, self._tick_s + FRAME_S - now)
        wait_s, all_silent = 0.0, True
        for driver in self._drivers.values():
            if not driver.silent:
                all_silent = False
                if driver.answer_due:
                    wait_s = max(wait_s, driver.frame_sent_s + self._answer_timeout_s - now)
        return max(0.0, self._tick_s + self._answer_timeout_s - now) if all_silent else wait_s

    def _advance(self) -> None:
        """Advances the world by one frame and sends a picture to every client that has requested one."""
        now = time.monotonic()
        if self._lockstep or now - self._tick_s > LATEST_TICK_S:
            self._tick_s = now
        else:
            self._tick_s += FRAME_S
        for driver in self._drivers.values():
            driver.silent = driver.answer_due
        self._phases.step()
        self._show([driver for driver in self._drivers.values() if driver.wants_frame])

    def _show(self, viewers: list[Driver]) -> None:
        """Sends the pending events; then, if any car is on the track, the status and each viewer's picture."""
        self._publish_events()
        if not self._race.cars:
            return
        viewers = [driver for driver in viewers if driver.slot in self._race.cars]
        for driver in viewers:
            driver.frames_sent += 1
        if self._spectators or self._files.has_log:
            frames_sent = {slot: driver.frames_sent for slot, driver in self._drivers.items()}
            self._broadcast(wire.encode_status(self._race.status(frames_sent, self._upstream)))
        by_width: dict[int, list[Driver]] = {}
        for driver in viewers:
            by_width.setdefault(driver.login.image_width, []).append(driver)
        for width, group in by_width.items():
            slots = [driver.slot for driver in group]
            images = self._camera.render(width, slots, *self._race.views(slots), self._race.frame)
            for image, driver in zip(images, group, strict=True):
                driver.wants_frame = False
                driver.answer_due = True
                driver.frame_sent_s = time.monotonic()
                self._send(driver.peer, wire.encode_frame(encode_png(image)))

    def _serve_sockets(self, patience_s: float) -> None:
        for key, events in self._selector.select(patience_s):
            if key.fileobj is self._car_listener:
                self._accept_car()
            elif key.fileobj is self._log_listener:
                self._accept_spectator()
            elif key.fileobj is self._wake_receiver:
                self._wake_receiver.recv(1024)
            elif not key.data.closed:  # an event before this one in the list may have closed it
                self._serve_peer(key.data, events)

    def _serve_peer(self, peer: Peer, events: int) -> None:
        try:
            if events & selectors.EVENT_WRITE:
                peer.flush()
                self._watch(peer)
            data = peer.receive() if events & selectors.EVENT_READ else None
            if data:
                for line in peer.lines.feed(data):
                    if not peer.closed:
                        self._obey(peer, line)
            elif data is not None:
                self._drop(peer, "it closed the connection")
        except (OSError, wire.WireError, JoinError) as error:
            self._drop(peer, str(error))

    def _obey(self, peer: Peer, line: bytes) -> None:
        if not isinstance(peer, CarPeer):
            self._obey_spectator(wire.parse_ui_command(line))
        elif peer.driver is None:
            self._log_in(peer, wire.parse_login(line))
        else:
            self._obey_driver(peer.driver, wire.parse_command(line))

    def _obey_spectator(self, command: wire.UiCommand) -> None:
        if self._allow_ui_commands:
            self._phases.obey(command)
            self._publish_events()
        else:
            LOG.info("%s from a spectator is ignored; it needs --allow-ui-commands", command)

    def _log_in(self, peer: CarPeer, login: wire.Login) -> None:
        slot = self._phases.join(login.team_id, login.name, login.color)
        self._strangers.remove(peer)
        peer.lines.limit_bytes = wire.LINE_LIMIT_BYTES
        peer.driver = Driver(peer, login, slot)
        if not self._drivers:
            self._tick_s = time.monotonic()
        self._drivers[slot] = peer.driver
        if self._lockstep:
            self._show([peer.driver])
        else:
            self._publish_events()

    def _obey_driver(self, driver: Driver, command: wire.Command) -> None:
        if not command.blank:
            self._race.heard_from(driver.slot)
        if command.action is not None:
            self._race.command(driver.slot, command.action, command.value)
        driver.wants_frame = True
        if command.action is None or not driver.login.lockstep:
            driver.answer_due = driver.silent = False

    def _accept_car(self) -> None:
        connection = self._car_listener.accept()
        if connection is None:
            return
        if len(self._strangers) >= MAX_STRANGERS or len(self._drivers) >= MAX_CARS:
            LOG.info(
                "a car is refused: there are %d cars and %d connections without a login already",
                len(self._drivers),
                len(self._strangers),
            )
            connection.close()
            return
        peer = CarPeer(connection, time.monotonic())
        self._strangers.append(peer)
        self._selector.register(connection, selectors.EVENT_READ, peer)

    def _accept_spectator(self) -> None:
        connection = self._log_listener.accept()
        if connection is None:
            return
        if len(self._spectators) >= MAX_SPECTATORS:
            connection.close()
            return
        self._publish_events()
        peer = SpectatorPeer(connection)
        self._spectators.append(peer)
        self._selector.register(connection, selectors.EVENT_READ, peer)
        for event in self._race.welcome_events():
            self._send(peer, wire.encode_event(event))

    def _drop_strangers(self) -> None:
        now = time.monotonic()
        for peer in [peer for peer in self._strangers if now > peer.connected_s + LOGIN_TIMEOUT_S]:
            self._drop(peer, f"it did not log in within {LOGIN_TIMEOUT_S:g} s")

    def _publish_events(self) -> None:
        for event in self._race.take_events():
            if self._spectators or self._files.has_log:
                self._broadcast(wire.encode_event(event))
            if event["type"] == "RaceFinished":
                self._files.write_result(event)

    def _broadcast(self, line: bytes) -> None:
        self._files.log(line)
        for peer in list(self._spectators):
            self._send(peer, line)

    def _send(self, peer: Peer, data: bytes) -> None:
        try:
            peer.send(data)
        except (OSError, wire.WireError) as error:
            self._drop(peer, str(error))
            return
        if peer.has_backlog:
            self._watch(peer)

    def _watch(self, peer: Peer) -> None:
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if peer.has_backlog else 0)
        self._selector.modify(peer.socket, events, peer)

    def _drop(self, peer: Peer, reason: str) -> None:
        """Closes the socket of a client and forgets it; its car leaves the track."""
        if peer.closed:
            return
        LOG.info("a client is dropped: %s", reason)
        self._selector.unregister(peer.socket)
        peer.close()
        if isinstance(peer, SpectatorPeer):
            self._spectators.remove(peer)
        elif isinstance(peer, CarPeer) and peer.driver is None:
            self._strangers.remove(peer)
        elif isinstance(peer, CarPeer) and peer.driver is not None:
            del self._drivers[peer.driver.slot]
            self._phases.leave(peer.driver.slot)
            self._publish_events()

    def _close(self) -> None:
        for peer in [*self._strangers, *(driver.peer for driver in self._drivers.values()), *self._spectators]:
            peer.close()
        self._opened.close()
