"""Implements the phases of a simulator: free practice throughout, or a race from the lobby to the results.

The phases of a race and their events are the real simulator's; times are game time. The real simulator ends its own process
in some cases and leaves others open; the decisions taken here for them are:

- The results stay until a spectator proceeds or resets.
- Laps after a car's finish do not count.
- A car that has not finished when the race ends has ``dnf`` (did not finish).
- A countdown of n seconds announces n, n - 1 .. 0 and lasts n seconds.
- The next lobby opens when the last car has left.
"""

from __future__ import annotations

import enum
import logging
import math

from robotini_ray.config import FRAMES_PER_SECOND
from robotini_ray.simulator.server.wire import UiCommand
from robotini_ray.simulator.world.entries import Car, Event, JoinError
from robotini_ray.simulator.world.free_places import ROOM_M, start_arc_m
from robotini_ray.simulator.world.race import Race

LOG = logging.getLogger(__name__)


class FreePractice:
    """The only phase of ``mode: development``: a car that logs in drives at once."""

    def __init__(self, race: Race) -> None:
        self._race = race
        race.publish("FreePracticeStart")

    def join(self, team_id: str, name: str, color: str) -> int:
        """Puts a new car on the track and returns its slot.

        Raises:
            JoinError: The name is taken, or there is no room for the car.
        """
        return self._race.join(team_id, name, color)

    def leave(self, slot: int) -> None:
        """Removes the car of a client that has disconnected."""
        self._race.leave(slot)

    def step(self) -> None:
        """Advances the game time by one frame."""
        self._race.step()

    def obey(self, command: UiCommand) -> None:
        """Executes a spectator's command; ``ProceedToNextPhase`` has no effect, since there is no next phase."""
        if command == "MotorsToggle":
            self._race.motors_on = not self._race.motors_on
        elif command == "ResetSimulator":
            self._race.line_up(list(self._race.cars), self._race.gap_m)
            self._race.begin_session(qualifying=True)
            self._race.motors_on = True
            self._race.publish("FreePracticeStart")
        else:
            LOG.info("%s is ignored: free practice has no next phase", command)


class Phase(enum.Enum):
    """The phases of a race, in their order."""

    LOBBY = "lobby"
    QUALIFYING = "qualifying"
    GRID = "starting grid"
    RACE = "race"
    RESULTS = "results"


class RacePhases:
    """The phases of ``mode: race``: cars enter in the lobby and are on the track from qualifying on."""

    def __init__(self, race: Race) -> None:
        self._race = race
        self._parameters = race.parameters
        self._deadline_frame = math.inf
        self._seconds_told = math.inf
        self._won = False
        self._open_lobby()

    def join(self, team_id: str, name: str, color: str) -> int:
        """Enters a car in the lobby and returns its slot.

        Raises:
            JoinError: The lobby is closed, the car's team is not listed, its name is taken, or there is no room for it.
        """
        if self.phase is not Phase.LOBBY:
            raise JoinError(f"cars can enter only in the lobby, and the phase is now: {self.phase.value}")
        listed = self._parameters.cars
        if listed and all(car.team_id != team_id for car in listed):
            raise JoinError(f"team {team_id!r} is not listed in the race parameters")
        if (len(self._race.waiting) + 1) * ROOM_M > self._race.track.length_m:
            raise JoinError("the track is too short for one more car")
        return self._race.enter(team_id, name, color)

    def leave(self, slot: int) -> None:
        """Removes the car of a client that has disconnected; it stays in the standings of the current session."""
        self._race.leave(slot, stays_in_standings=True)
        if self.phase is Phase.LOBBY:
            return
        if self.phase is Phase.RACE:
            self._finish_if_all_have()
        if not self._race.cars:
            self._open_lobby()

    def step(self) -> None:
        """Advances the game time by one frame; without cars the time stands still."""
        if not self._race.cars and not self._race.waiting:
            return
        self._race.step()
        if self.phase is Phase.RACE:
            for car in self._race.lapped:
                if self._won or car.laps.lap_count >= self._parameters.lap_count:
                    self._finish(car)
            self._finish_if_all_have()
        if self.phase is not Phase.RESULTS and self._count_down() <= 0:
            self._proceed()

    def obey(self, command: UiCommand) -> None:
        """Executes a spectator's command."""
        if command == "MotorsToggle":
            self._race.motors_on = not self._race.motors_on
        elif command == "ResetSimulator":
            self._open_lobby()
        elif self._race.cars or self._race.waiting:
            self._proceed()
        else:
            LOG.info("%s is ignored: there is no car yet", command)

    def _proceed(self) -> None:
        """Begins the next phase."""
        if self.phase is Phase.LOBBY:
            self._begin_qualifying()
        elif self.phase is Phase.QUALIFYING:
            self._form_grid()
        elif self.phase is Phase.GRID:
            self._begin_race()
        elif self.phase is Phase.RACE:
            self._show_results()
        else:
            self._open_lobby()

    def _open_lobby(self) -> None:
        self.phase = Phase.LOBBY
        for slot in list(self._race.cars):
            self._race.take_off(slot)
        self._race.retired.clear()
        self._race.publish("RaceLobbyInit", raceParameters=self._race.parameters_event())
        self._set_deadline(self._parameters.auto_start_qualifying_seconds)

    def _begin_qualifying(self) -> None:
        """Starts all cars at once, as far apart as the track allows, since only lap times count."""
        race = self._race
        self.phase = Phase.QUALIFYING
        race.motors_on = True
        entered = list(race.waiting)
        for index, slot in enumerate(entered):
            race.start(slot, start_arc_m(race.track, race.track.length_m / len(entered), index))
        race.begin_session(qualifying=True)
        race.publish("QualifyingStart", cars=[car.info for car in race.cars.values()])
        race.publish_standings()
        self._set_deadline(self._parameters.qualifying_duration_seconds)

    def _form_grid(self) -> None:
        """Lines up the cars by their best laps, the best on the finish line; the grid is never longer than the track."""
        race = self._race
        self.phase = Phase.GRID
        race.motors_on = False
        ranking = race.ranking()
        race.publish("QualifyingResults", results=[race.lap_event(car) for car in ranking])
        starters = [car for car in ranking if not car.laps.dnf]
        race.publish("StartingGridInit", cars=[car.info for car in starters])
        gap_m = min(max(race.gap_m, ROOM_M), race.track.length_m / len(starters))
        race.line_up([car.slot for car in starters], gap_m)
        race.begin_session(qualifying=False)
        race.publish_standings()
        self._set_deadline(self._parameters.auto_start_race_seconds)

    def _begin_race(self) -> None:
        self.phase = Phase.RACE
        self._won = False
        self._race.motors_on = True
        self._race.begin_session(qualifying=False)
        self._race.publish("RaceStart")
        self._race.publish_standings()
        self._set_deadline(self._parameters.race_timeout_seconds)

    def _finish(self, car: Car) -> None:
        car.laps.finished = True
        self._race.publish("CarFinished", car=car.info)
        if not self._won:
            self._won = True
            self._race.publish("RaceWon", car=car.info)
            after_winner_frame = self._race.frame + self._parameters.race_timeout_after_winner_seconds * FRAMES_PER_SECOND
            self._deadline_frame = min(self._deadline_frame, after_winner_frame)

    def _finish_if_all_have(self) -> None:
        if all(car.laps.finished for car in self._race.cars.values()):
            self._show_results()

    def _show_results(self) -> None:
        """Ends the race and marks the cars that have not finished with ``dnf``. The cars may drive on."""
        self.phase = Phase.RESULTS
        for car in self._race.cars.values():
            car.laps.dnf = not car.laps.finished
        self._race.publish("RaceFinished", standings=[_result(car) for car in self._race.ranking()])

    def _set_deadline(self, seconds: int) -> None:
        self._deadline_frame = self._race.frame + seconds * FRAMES_PER_SECOND
        self._seconds_told = math.inf
        self._count_down()

    def _count_down(self) -> int:
        """Returns the whole seconds until the deadline and publishes them whenever their number changes."""
        seconds = math.ceil((self._deadline_frame - self._race.frame) / FRAMES_PER_SECOND)
        if seconds != self._seconds_told:
            self._seconds_told = seconds
            self._race.publish("SecondsRemaining", secondsRemaining=seconds)
        return seconds


def begin(race: Race) -> FreePractice | RacePhases:
    """Creates the phases that the ``mode`` of the race's parameters selects."""
    return RacePhases(race) if race.parameters.mode == "race" else FreePractice(race)


def _result(car: Car) -> Event:
    laps = car.laps.to_json()
    return {"car": car.info, **{key: laps[key] for key in ("lapCount", "bestLap", "totalTime", "dnf")}}
