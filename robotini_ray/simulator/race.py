"""Cars on a track: who drives where, crashes, put-backs, segments and laps, as events; no sockets, no clock.

Time is counted in rendered frames of 1/60 s of game time. This file is free practice (`mode: development`).
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robotini_ray.simulator import physics
from robotini_ray.simulator.laps import LapAccount, Triggers
from robotini_ray.simulator.parameters import RaceParameters
from robotini_ray.track import Track

FRAME_S = 1 / 60
MAX_CARS = 32
PICTURE_AGE_FRAMES = 2  # the real simulator reads its pictures back from the GPU that much later

COMMAND_TIMEOUT_FRAMES = 18  # 0.3 s
WALL_CONTACT_LIMIT_S = 0.2
STANDSTILL_LIMIT_FRAMES = 120  # 2 s
STANDSTILL_M_S = 0.01

FREE_DISTANCE_M = 0.28  # between the centres of two cars at a start or a put-back: their length and a little more
FREE_SEARCH_M = 0.02

STATUS_COLUMNS = ("x", "z", "heading", "speed_x", "speed_z", "track_heading")

Event = dict[str, Any]


class JoinError(Exception):
    """A car that cannot join; the message says why."""


@dataclass
class Car:
    """What a race knows about one car besides its motion."""

    slot: int
    info: Event
    laps: LapAccount = field(default_factory=LapAccount)
    last_command_frame: int = 0
    started: bool = False
    standing_since_frame: int | None = None


class Race:
    """The world of one simulator. Call `step` for every frame and `take_events` after anything that may cause some."""

    def __init__(self, track: Track, parameters: RaceParameters, seed: int = 0, car_contact: bool = True) -> None:
        self.track = track
        self.parameters = parameters
        self.frame = 0
        self.cars: dict[int, Car] = {}
        self._motion = physics.parked_cars(MAX_CARS)
        self._touching = np.zeros((MAX_CARS, MAX_CARS), np.bool_)
        self._car_contact = car_contact
        self._random = np.random.default_rng(seed)
        self._triggers = Triggers(track, parameters.num_segments)
        self._joined = 0
        self._events: list[Event] = []
        self._colours = np.zeros((MAX_CARS, 3))
        self._poses: deque[NDArray[np.float64]] = deque(maxlen=PICTURE_AGE_FRAMES + 1)
        self._remember_poses()
        self._publish("FreePracticeStart")

    @property
    def time_s(self) -> float:
        return self.frame * FRAME_S

    def take_events(self) -> list[Event]:
        """The events since the last call, in order, without GameStatus."""
        events, self._events = self._events, []
        return events

    def welcome_events(self) -> list[Event]:
        """What a new spectator is told first."""
        settings = {**self.parameters.to_json(), "track": self.track.name}
        return [
            self._event("RaceParameters", **settings),
            *(self._event("CarAdded", car=car.info) for car in self.cars.values()),
        ]

    def join(self, team_id: str, name: str, color: str = "", texture: str = "") -> int:
        """Put a new car on the track and return its slot.

        Raises:
          JoinError: the name is on the track already, or there is no room for the car.
        """
        for listed in self.parameters.cars:
            if listed.team_id == team_id:
                name, color, texture = listed.name, listed.color or color, listed.texture or texture
        if any(car.info["name"] == name for car in self.cars.values()):
            raise JoinError(f"a car named {name!r} is on the track already")
        slot = next((slot for slot in range(MAX_CARS) if slot not in self.cars), None)
        if slot is None:
            raise JoinError(f"there are {MAX_CARS} cars on the track already")
        length_m, parameters = self.track.length_m, self.parameters
        behind_m = self._joined * parameters.num_segments_between_cars * length_m / parameters.num_segments
        arc_m = self._free_arc((length_m - behind_m % length_m) % length_m, slot)
        if arc_m is None:
            raise JoinError("there is no free place on the track")
        self._joined += 1
        info = self._event("CarInfo", teamId=team_id, name=name, color=color, texture=texture)
        self.cars[slot] = Car(slot, info, last_command_frame=self.frame)
        self._colours[slot] = parse_colour(color)
        self._motion[slot]["present"] = True
        for command in ("throttle", "brake", "turn"):
            self._motion[slot][command] = 0.0
        self._place(slot, arc_m)
        for poses in self._poses:  # its first pictures show it where it stands
            poses[slot] = self._poses_now()[slot]
        self._publish("CarConnected", car=info)
        self._publish("CarAdded", car=info)
        return slot

    def leave(self, slot: int) -> None:
        """Take a car off the track, because its client has gone."""
        car = self.cars[slot]
        self._publish("CarDisconnected", car=car.info)
        car.laps.dnf = True
        self._publish("CurrentStandings", **self.standings())
        del self.cars[slot]
        self._motion[slot]["present"] = False
        self._touching[slot, :] = self._touching[:, slot] = False
        for poses in self._poses:
            poses[slot] = np.nan
        self._publish("CarRemoved", car=car.info)

    def command(self, slot: int, action: str, value: float) -> None:
        """Do what the driver asks: `forward`, `brake`, `reverse` or `turn`."""
        if action == "turn":
            self._motion["turn"][slot] = value
        else:
            self._motion["throttle"][slot] = value if action == "forward" else 0.0
            self._motion["brake"][slot] = value if action == "brake" else 0.0

    def heard_from(self, slot: int) -> None:
        """A car whose driver says nothing for 0.3 s stops; this is called whenever it says something."""
        self.cars[slot].last_command_frame = self.frame

    def step(self) -> None:
        """One frame of game time."""
        for slot, car in self.cars.items():
            if self.frame - car.last_command_frame >= COMMAND_TIMEOUT_FRAMES:
                self.command(slot, "reverse", 0.0)
                self.command(slot, "turn", 0.0)
        slots = max(self.cars, default=-1) + 1
        motion, touching = self._motion[:slots], self._touching[:slots, :slots]
        before_arcs_m, touched = motion["arc"].tolist(), touching.copy()
        steps = physics.STEPS_OF_FRAME[self.frame % len(physics.STEPS_OF_FRAME)]
        physics.advance(motion, touching, self.track.line, steps, self._car_contact)
        self.frame += 1
        self._report_contacts(touching > touched, motion["new_wall_contacts"].tolist())
        after_arcs_m, speeds_m_s = motion["arc"].tolist(), motion["speed_ahead"].tolist()
        contacts_s = motion["wall_contact_s"].tolist()
        for slot, car in self.cars.items():
            self._update_laps(car, before_arcs_m[slot], after_arcs_m[slot])
            if self._must_return(car, speeds_m_s[slot], contacts_s[slot]):
                self._return_to_track(car)
        self._remember_poses()

    def status(self, frames_sent: dict[int, int]) -> Event:
        """The GameStatus event; `frames_sent` is by slot."""
        motion = self._motion[: max(self.cars, default=-1) + 1]
        columns = [motion[name].tolist() for name in STATUS_COLUMNS]
        cars = []
        for slot, car in self.cars.items():
            x, z, heading, speed_x, speed_z, track_heading = (column[slot] for column in columns)
            cars.append(
                {
                    "name": car.info["name"],
                    "position": {"x": x, "y": physics.BODY_HEIGHT_M, "z": z},
                    "velocity": {"x": speed_x, "y": 0.0, "z": speed_z},
                    "rotation": {"x": 0.0, "y": math.sin(heading / 2), "z": 0.0, "w": math.cos(heading / 2)},
                    "trackAngle": math.degrees(abs(math.remainder(heading - track_heading, 2 * math.pi))),
                    "trackSegment": car.laps.segment,
                    "frames_sent": frames_sent[slot],
                }
            )
        return self._event("GameStatus", cars=cars)

    def standings(self) -> Event:
        """The fields of CurrentStandings: every car's laps, the best lap first; free practice counts as qualifying."""
        ordered = sorted(self.cars.values(), key=lambda car: _or_infinite(car.laps.best_lap_s))
        return {"standings": [self._lap_event(car) for car in ordered], "qualifying": True}

    def sight(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What cameras show now: the cars' poses (x, z, heading) and colours by slot, both float64[slots, 3].

        A pose is NaN where there is no car. They are two frames old, as the pictures of the real simulator are.
        """
        return self._poses[0], self._colours

    def _report_contacts(self, new_bumps: NDArray[np.bool_], new_wall_contacts: list[int]) -> None:
        """CarBumped for each of two cars that begin to touch, CarCrashed for each contact with a wall that begins."""
        if new_bumps.any():
            for first, second in np.argwhere(new_bumps).tolist():
                one, other = self.cars[first].info, self.cars[second].info
                self._publish("CarBumped", car=one, other=other)
                self._publish("CarBumped", car=other, other=one)
        for slot, car in self.cars.items():
            for _ in range(new_wall_contacts[slot]):
                self._publish("CarCrashed", car=car.info)

    def _update_laps(self, car: Car, before_arc_m: float, after_arc_m: float) -> None:
        for segment, part in self._triggers.crossed(before_arc_m, after_arc_m):
            time_s = self.time_s - (1 - part) * FRAME_S
            progress, completed = car.laps.cross(segment, self._triggers.num_segments, time_s)
            if completed:
                self._events.append(self._lap_event(car))
            if progress:
                self._publish("CurrentStandings", **self.standings())

    def _must_return(self, car: Car, speed_ahead_m_s: float, wall_contact_s: float) -> bool:
        if wall_contact_s >= WALL_CONTACT_LIMIT_S:
            return True
        if speed_ahead_m_s >= STANDSTILL_M_S:
            car.started, car.standing_since_frame = True, None
        elif car.started and car.standing_since_frame is None:
            car.standing_since_frame = self.frame
        standing_since = car.standing_since_frame
        return standing_since is not None and self.frame - standing_since >= STANDSTILL_LIMIT_FRAMES

    def _return_to_track(self, car: Car) -> None:
        wanted_m = float(self._random.uniform(0, self.track.length_m))
        arc_m = self._free_arc(wanted_m, car.slot)
        self._place(car.slot, wanted_m if arc_m is None else arc_m)
        car.started, car.standing_since_frame = False, None
        car.laps.segment = self._triggers.segment_at(float(self._motion[car.slot]["arc"]))
        self._publish("CarReturnedToTrack", car=car.info)

    def _place(self, slot: int, arc_m: float) -> None:
        physics.place_car(self._motion, slot, self.track.pose(arc_m), arc_m)
        self._touching[slot, :] = self._touching[:, slot] = False

    def _free_arc(self, wanted_m: float, slot: int) -> float | None:
        """The place nearest to `wanted_m` along the line where no car but that of `slot` stands."""
        others = [other for other in self.cars if other != slot]
        places = np.stack([self._motion["x"][others], self._motion["z"][others]], axis=1)
        for step in range(math.ceil(self.track.length_m / 2 / FREE_SEARCH_M)):
            for arc_m in (wanted_m + step * FREE_SEARCH_M, wanted_m - step * FREE_SEARCH_M):
                x, z, _ = self.track.pose(arc_m)
                if (np.hypot(places[:, 0] - x, places[:, 1] - z) > FREE_DISTANCE_M).all():
                    return arc_m % self.track.length_m
        return None

    def _poses_now(self) -> NDArray[np.float64]:
        poses = np.full((MAX_CARS, 3), np.nan)
        physics.copy_poses(self._motion, poses)
        return poses

    def _remember_poses(self) -> None:
        self._poses.append(self._poses_now())

    def _event(self, kind: str, **content: Any) -> Event:
        return {"type": kind, "timestamp": self.time_s, **content}

    def _lap_event(self, car: Car) -> Event:
        return self._event("LapCompleted", car=car.info, **car.laps.to_json())

    def _publish(self, kind: str, **content: Any) -> None:
        self._events.append(self._event(kind, **content))


def parse_colour(text: str) -> tuple[int, int, int]:
    """Red, green and blue of `#rrggbb`; grey for anything else."""
    try:
        red, green, blue = bytes.fromhex(text.removeprefix("#"))
    except ValueError:
        return 128, 128, 128
    return red, green, blue


def _or_infinite(time_s: float) -> float:
    return math.inf if math.isnan(time_s) else time_s
