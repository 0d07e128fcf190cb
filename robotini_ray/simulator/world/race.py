"""Simulates cars on a track and reports crashes, put-backs, segments and laps as events; has no sockets and no clock.

Time is counted in rendered frames of 1/60 s of game time. This module knows sessions, in which cars drive and laps count,
and cars that have entered but are not on the track yet; ``server/phases.py`` implements the phases of a race with them.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robotini_ray.config import FRAMES_PER_SECOND, MAX_CARS, NO_RANDOMISATION, RandomisationConfig
from robotini_ray.simulator.world import physics
from robotini_ray.simulator.world.entries import Car, Entries, Event, JoinError
from robotini_ray.simulator.world.free_places import nearest_free_arc, start_arc_m
from robotini_ray.simulator.world.game_status import car_statuses
from robotini_ray.simulator.world.laps import LapAccount, Triggers
from robotini_ray.simulator.world.pose_history import PoseHistory
from robotini_ray.simulator.world.race_parameters import RaceParameters
from robotini_ray.simulator.world.randomisation import Look, draw
from robotini_ray.track.track import Track

LOG = logging.getLogger(__name__)

FRAME_S = 1 / FRAMES_PER_SECOND

COMMAND_TIMEOUT_FRAMES = 18  # 0.3 s
WALL_CONTACT_LIMIT_S = 0.2
STANDSTILL_LIMIT_FRAMES = 120  # 2 s
STANDSTILL_M_S = 0.01


class Race:
    """The world of one simulator.

    Call ``step`` for every frame, and ``take_events`` after every call that can cause events.

    Args:
        track: The track that the cars drive on.
        parameters: The rules of the race.
        seed: Seeds the places where cars are put back and the draws of ``randomisation``.
        car_contact: True if cars push each other, False if they pass through each other.
        randomisation: The ranges from which each car's properties are drawn; by default all cars are standard.

    Attributes:
        track: The track that the cars drive on.
        parameters: The rules of the race.
        frame: The number of frames simulated so far.
        cars: The cars on the track, by slot.
        waiting: The cars that have entered but are not on the track, by slot.
        retired: Cars whose clients have disconnected and that stay in the standings.
        lapped: The cars that completed a lap in the last frame.
    """

    def __init__(
        self,
        track: Track,
        parameters: RaceParameters,
        seed: int = 0,
        car_contact: bool = True,
        randomisation: RandomisationConfig = NO_RANDOMISATION,
    ) -> None:
        self.track = track
        self.parameters = parameters
        self.frame = 0
        self._entries = Entries(parameters.cars, seed)
        self.cars, self.waiting, self.retired = self._entries.on_track, self._entries.waiting, self._entries.retired
        self.lapped: list[Car] = []
        self._car_contact = car_contact
        self._randomisation = randomisation
        self._motion = physics.parked_cars(MAX_CARS)
        self._touching = np.zeros((MAX_CARS, MAX_CARS), np.bool_)
        self._pose_history = PoseHistory(MAX_CARS)
        self._triggers = Triggers(track, parameters.num_segments)
        self._goes_below_0 = float(track.heights_m.min()) + physics.BODY_HEIGHT_M < 0.0
        self._heard_frame = [0] * MAX_CARS
        self._events: list[Event] = []
        self._motors_on = True
        self._qualifying = True
        self._session_began_s = 0.0

    @property
    def time_s(self) -> float:
        """The game time in seconds."""
        return self.frame * FRAME_S

    @property
    def gap_m(self) -> float:
        """The distance along the centre line between cars at the start, in metres."""
        return self.parameters.num_segments_between_cars * self.track.length_m / self.parameters.num_segments

    def take_events(self) -> list[Event]:
        """Returns the events since the last call, in order and without ``GameStatus``."""
        events, self._events = self._events, []
        return events

    def publish(self, kind: str, **content: Any) -> None:
        """Adds an event with the present game time as its timestamp."""
        self._events.append(self._event(kind, **content))

    def parameters_event(self) -> Event:
        """Returns the event ``RaceParameters``, with the name of the present track."""
        return self._event("RaceParameters", **{**self.parameters.to_json(), "track": self.track.name})

    def welcome_events(self) -> list[Event]:
        """Returns the events that a new spectator receives first."""
        return [self.parameters_event(), *(self._event("CarAdded", car=car.info) for car in self.cars.values())]

    def join(self, team_id: str, name: str, color: str = "", texture: str = "") -> int:
        """Enters a car, puts it on the track at once, at the next start place, and returns its slot.

        Raises:
            JoinError: The name is taken, or there is no room for the car.
        """
        car = self._entries.new_car(team_id, name, color, texture, self.time_s)
        arc_m = self._start_arc(car, start_arc_m(self.track, self.gap_m, self._entries.count))
        if arc_m is None:
            raise JoinError("there is no free place on the track")
        self._admit(car)
        self._put_on_track(car, arc_m)
        return car.slot

    def enter(self, team_id: str, name: str, color: str = "", texture: str = "") -> int:
        """Enters a car that waits until ``start`` puts it on the track, and returns its slot.

        Raises:
            JoinError: The name is taken, or there is no free slot.
        """
        car = self._entries.new_car(team_id, name, color, texture, self.time_s)
        self._admit(car)
        return car.slot

    def start(self, slot: int, wanted_m: float) -> None:
        """Puts a waiting car on the track at the free place nearest to ``wanted_m``; without a free place it keeps waiting."""
        car = self.waiting[slot]
        arc_m = self._start_arc(car, wanted_m)
        if arc_m is None:
            LOG.warning("car %r keeps waiting: there is no free place on the track", car.info["name"])
        else:
            self._put_on_track(car, arc_m)

    def line_up(self, slots: list[int], gap_m: float) -> None:
        """Places cars that are on the track at rest on the centre line, ``gap_m`` apart, in the order of ``slots``."""
        cars = [self.cars.pop(slot) for slot in slots]
        for index, car in enumerate(cars):
            arc_m = self._free_arc(start_arc_m(self.track, gap_m, index), 0.0)
            self.cars[car.slot] = car
            if arc_m is None:
                LOG.warning("car %r is taken off the track, which has no free place for it", car.info["name"])
                self.take_off(car.slot)
            else:
                self._place(car, arc_m)

    def take_off(self, slot: int) -> None:
        """Takes a car off the track whose client stays connected; the car waits for another start."""
        car = self.waiting[slot] = self.cars.pop(slot)
        self._clear(slot)
        self.publish("CarRemoved", car=car.info)

    def leave(self, slot: int, stays_in_standings: bool = False) -> None:
        """Removes the car of a client that has disconnected.

        Args:
            slot: The car's slot, whether it is on the track or waiting.
            stays_in_standings: True to keep a car that was on the track in the standings of the session.
        """
        car = self.waiting.pop(slot, None) or self.cars[slot]
        self.publish("CarDisconnected", car=car.info)
        if slot in self.cars:
            car.laps.dnf = not car.laps.finished
            self.publish_standings()
            del self.cars[slot]
            self._clear(slot)
            if stays_in_standings:
                self.retired.append(car)
                return
        self.publish("CarRemoved", car=car.info)

    def begin_session(self, qualifying: bool) -> None:
        """Resets the laps of all cars and the time of the session.

        Args:
            qualifying: True if standings go by the best lap, False if they go by the laps completed and their time.
        """
        self._qualifying = qualifying
        self._session_began_s = self.time_s
        for car in (*self.cars.values(), *self.retired):
            car.laps = LapAccount(dnf=car.laps.dnf)

    @property
    def motors_on(self) -> bool:
        """True while the motors of all cars are switched on; if they are off, throttle has no effect."""
        return self._motors_on

    @motors_on.setter
    def motors_on(self, on: bool) -> None:
        """Switches all motors; after switching on, a car drives again when its client sends the next ``forward``."""
        self._motors_on = on
        if not on:
            self._motion["throttle"] = 0.0

    def command(self, slot: int, action: str, value: float) -> None:
        """Executes a driver's command: ``forward``, ``brake``, ``turn``, or ``reverse``, which releases throttle and brake."""
        if action == "turn":
            self._motion["turn"][slot] = value
        else:
            self._motion["throttle"][slot] = value if action == "forward" and self._motors_on else 0.0
            self._motion["brake"][slot] = value if action == "brake" else 0.0

    def heard_from(self, slot: int) -> None:
        """Restarts the command timeout of a car; a car whose driver sends nothing for 0.3 s gets throttle, brake and turn 0."""
        self._heard_frame[slot] = self.frame

    def step(self) -> None:
        """Advances the game time by one frame."""
        for slot in self.cars:
            if self.frame - self._heard_frame[slot] >= COMMAND_TIMEOUT_FRAMES:
                self.command(slot, "reverse", 0.0)
                self.command(slot, "turn", 0.0)
        slots = self._slots()
        motion, touching = self._motion[:slots], self._touching[:slots, :slots]
        before_arcs_m, touched = motion["arc"].tolist(), touching.copy()
        steps = physics.STEPS_OF_FRAME[self.frame % len(physics.STEPS_OF_FRAME)]
        physics.advance(motion, touching, self.track.line, steps, self._car_contact)
        self.frame += 1
        self.lapped = []
        self._report_contacts(touching > touched, motion["new_wall_contacts"].tolist())
        after_arcs_m, speeds_m_s = motion["arc"].tolist(), motion["speed_ahead"].tolist()
        contacts_s = motion["wall_contact_s"].tolist()
        for slot, car in self.cars.items():
            self._update_laps(car, before_arcs_m[slot], after_arcs_m[slot])
            if self._must_return(car, speeds_m_s[slot], contacts_s[slot]):
                self._return_to_track(car)
        self._pose_history.record(self.frame, self._motion)

    def status(self, frames_sent: dict[int, int], upstream: bool = False) -> Event:
        """Returns the event ``GameStatus``; see ``car_statuses``."""
        cars = car_statuses(self.cars.values(), self._motion[: self._slots()], frames_sent, upstream)
        return self._event("GameStatus", cars=cars)

    def ranking(self) -> list[Car]:
        """Returns the cars of the session, including the retired ones, the best first."""
        return self._entries.ranking(self._qualifying)

    def lap_event(self, car: Car) -> Event:
        """Returns the laps of a car as an event ``LapCompleted``, which is also an entry of all standings."""
        return self._event("LapCompleted", car=car.info, **car.laps.to_json())

    def publish_standings(self) -> None:
        """Publishes the event ``CurrentStandings``; free practice counts as qualifying."""
        standings = [self.lap_event(car) for car in self.ranking()]
        self.publish("CurrentStandings", standings=standings, qualifying=self._qualifying)

    def views(self, viewers: list[int]) -> tuple[NDArray[np.float64], NDArray[np.float64], list[Look]]:
        """Returns what the cameras of some cars show in the current frame.

        Args:
            viewers: The slots of the cars whose cameras are rendered.

        Returns:
            The poses that each viewer sees, ``<float64>[viewers, slots, 5]``, the colours of the cars,
            ``<float64>[slots, 3]``, and the look of each viewer. A pose is (x, z, heading, y, pitch), NaN where there is no
            car. The poses are as old as the viewer's latency: the real simulator reads pictures back from the GPU two
            frames late.
        """
        conditions = [self.cars[slot].conditions for slot in viewers]
        slots = self._slots()
        poses = self._pose_history.poses(self.frame, [each.latency_frames for each in conditions], slots)
        return poses, self._pose_history.colours(slots), [each.look for each in conditions]

    def _slots(self) -> int:
        """Returns the number of slots up to the last car on the track; all further slots are empty."""
        return max(self.cars, default=-1) + 1

    def _admit(self, car: Car) -> None:
        self._entries.enter(car)
        self.publish("CarConnected", car=car.info)

    def _put_on_track(self, car: Car, arc_m: float) -> None:
        del self.waiting[car.slot]
        self.cars[car.slot] = car
        car.laps = LapAccount()
        self._heard_frame[car.slot] = self.frame
        for command in ("throttle", "brake", "turn"):
            self._motion[command][car.slot] = 0.0
        self._motion["present"][car.slot] = True
        self._place_as_drawn(car, arc_m)
        self._pose_history.appear(self.frame, car.slot, car.info["color"], self._motion)
        self.publish("CarAdded", car=car.info)

    def _clear(self, slot: int) -> None:
        self._motion["present"][slot] = False
        self._touching[slot, :] = self._touching[:, slot] = False
        self._pose_history.vanish(slot)

    def _report_contacts(self, new_bumps: NDArray[np.bool_], new_wall_contacts: list[int]) -> None:
        """Publishes ``CarBumped`` for both of two cars that begin to touch and ``CarCrashed`` for each new wall contact."""
        if new_bumps.any():
            for first, second in np.argwhere(new_bumps).tolist():
                one, other = self.cars[first].info, self.cars[second].info
                self.publish("CarBumped", car=one, other=other)
                self.publish("CarBumped", car=other, other=one)
        for slot, car in self.cars.items():
            for _ in range(new_wall_contacts[slot]):
                self.publish("CarCrashed", car=car.info)

    def _update_laps(self, car: Car, before_arc_m: float, after_arc_m: float) -> None:
        for segment, part in self._triggers.crossed(before_arc_m, after_arc_m):
            time_s = self.time_s - (1 - part) * FRAME_S - self._session_began_s
            progress, completed = car.laps.cross(segment, self._triggers.num_segments, time_s)
            if completed:
                self.lapped.append(car)
                self._events.append(self.lap_event(car))
            if progress:
                self.publish_standings()

    def _must_return(self, car: Car, speed_ahead_m_s: float, wall_contact_s: float) -> bool:
        if wall_contact_s >= WALL_CONTACT_LIMIT_S:
            return True
        if self._goes_below_0 and self._motion["y"][car.slot] < 0.0:
            return True
        if speed_ahead_m_s >= STANDSTILL_M_S:
            car.started, car.standing_since_frame = True, None
        elif car.started and car.standing_since_frame is None:
            car.standing_since_frame = self.frame
        standing_since = car.standing_since_frame
        return standing_since is not None and self.frame - standing_since >= STANDSTILL_LIMIT_FRAMES

    def _return_to_track(self, car: Car) -> None:
        """Puts the car back at a random place; if no place is free, the next frame tries again."""
        arc_m = self._drawn_arc(car, None)
        if arc_m is not None:
            self._place_as_drawn(car, arc_m)
            car.laps.segment = self._triggers.segment_at(arc_m)
            self.publish("CarReturnedToTrack", car=car.info)

    def _start_arc(self, car: Car, wanted_m: float) -> float | None:
        return self._drawn_arc(car, None if self._randomisation.start_anywhere else wanted_m)

    def _drawn_arc(self, car: Car, wanted_m: float | None) -> float | None:
        """Draws new conditions for the car; returns the free arc nearest to ``wanted_m``, or to a random arc if it is None."""
        car.conditions = draw(self._randomisation, car.random)
        if wanted_m is None:
            wanted_m = float(car.random.uniform(0, self.track.length_m))
        return self._free_arc(wanted_m, car.conditions.start_offset_m, car)

    def _free_arc(self, wanted_m: float, offset_m: float, besides: Car | None = None) -> float | None:
        taken = [slot for slot, car in self.cars.items() if car is not besides]
        places = np.stack([self._motion[axis][taken] for axis in "xyz"], axis=1)
        return nearest_free_arc(self.track, wanted_m, offset_m, places)

    def _place_as_drawn(self, car: Car, arc_m: float) -> None:
        conditions = car.conditions
        motion = self._motion[car.slot]
        motion["grip"], motion["motor"] = conditions.grip, conditions.motor
        motion["mass_kg"] = conditions.mass * physics.MASS_KG
        self._place(car, arc_m, conditions.start_offset_m, conditions.start_heading_rad, conditions.start_speed_m_s)

    def _place(self, car: Car, arc_m: float, offset_m: float = 0.0, turned_rad: float = 0.0, speed_m_s: float = 0.0) -> None:
        slot = car.slot
        physics.place_car(
            self._motion, slot, self.track.line, arc_m, offset_m=offset_m, turned_rad=turned_rad, speed_m_s=speed_m_s
        )
        self._touching[slot, :] = self._touching[:, slot] = False
        car.started, car.standing_since_frame = False, None

    def _event(self, kind: str, **content: Any) -> Event:
        return {"type": kind, "timestamp": self.time_s, **content}
