"""Free practice and the phases of a race, without sockets: their events, in order and with their fields."""

import math

import numpy as np
import pytest

from robotini_ray.simulator.server import phases
from robotini_ray.simulator.server.phases import FreePractice, Phase, RacePhases
from robotini_ray.simulator.world.entries import JoinError
from robotini_ray.simulator.world.race import Race
from robotini_ray.simulator.world.race_parameters import ListedCar, RaceParameters
from robotini_ray.track.track import load_track

OVAL = load_track("oval")
SHORT = {
    "mode": "race",
    "lap_count": 2,
    "auto_start_qualifying_seconds": 2,
    "qualifying_duration_seconds": 3,
    "auto_start_race_seconds": 1,
    "race_timeout_seconds": 60,
    "race_timeout_after_winner_seconds": 4,
}


class Session:
    """A race with its phases, and autopilots for its cars, which pass through each other."""

    def __init__(self, **settings):
        self.race = Race(OVAL, RaceParameters(**{**SHORT, **settings}), car_contact=False)
        self.phases = phases.begin(self.race)
        self.slots = {}
        self.throttles = {}

    def join(self, *names, throttle=0.1):
        for name in names:
            self.slots[name] = self.phases.join(f"team {name}", name, "#ff0000")
            self.throttles[name] = throttle

    def leave(self, name):
        self.phases.leave(self.slots.pop(name))

    def step(self, frames=1):
        """Drive so many frames; returns all events since the last call."""
        for _ in range(frames):
            for name, slot in self.slots.items():
                if slot in self.race.cars:
                    self._drive(slot, self.throttles[name])
            self.phases.step()
        return self.race.take_events()

    def until(self, kind, most_frames=4000):
        """Drive until there is an event of this kind; returns all events since the last call."""
        events = self.race.take_events()
        for _ in range(most_frames):
            if any(event["type"] == kind for event in events):
                return events
            events += self.step()
        raise AssertionError(f"no {kind} in {most_frames} frames")

    def _drive(self, slot, throttle):
        motion = self.race._motion[slot]
        place = OVAL.locate(motion["x"], motion["z"], motion["arc"])
        off_rad = math.remainder(motion["heading"] - place.heading_rad, 2 * math.pi)
        self.race.heard_from(slot)
        self.race.command(slot, "forward", throttle)
        self.race.command(slot, "turn", 3 * place.offset_m + 2 * off_rad - 0.5 * OVAL.curvature(place.arc_m))

    def arcs_m(self):
        """Where the cars stand, by name, in metres before the line."""
        motion = self.race._motion
        return {car.info["name"]: round(-motion["arc"][slot] % OVAL.length_m, 3) for slot, car in self.race.cars.items()}


def kinds(events, leave_out=("CurrentStandings",)):
    return [event["type"] for event in events if event["type"] not in leave_out]


def of_kind(events, kind):
    return [event for event in events if event["type"] == kind]


def names(cars):
    return [car["name"] for car in cars]


def in_race(*cars, **settings):
    """A session whose race has just started, and the events since the grid."""
    session = Session(**settings)
    session.join(*cars)
    session.until("StartingGridInit")
    return session, session.until("RaceStart")


def test_development_mode_is_free_practice():
    race = Race(OVAL, RaceParameters())
    assert isinstance(phases.begin(race), FreePractice)
    assert kinds(race.take_events()) == ["FreePracticeStart"]


def test_race_mode_opens_the_lobby_with_its_parameters():
    session = Session(lap_count=7)
    assert isinstance(session.phases, RacePhases)
    init, remaining = session.race.take_events()
    assert set(init) == {"type", "timestamp", "raceParameters"}
    assert (init["type"], init["raceParameters"]["type"], init["raceParameters"]["lapCount"]) == (
        "RaceLobbyInit",
        "RaceParameters",
        7,
    )
    assert remaining == {"type": "SecondsRemaining", "timestamp": 0.0, "secondsRemaining": 2}


def test_cars_wait_in_the_lobby_and_are_on_the_track_from_qualifying_on():
    session = Session()
    session.race.take_events()
    session.join("a", "b")
    assert kinds(session.race.take_events()) == ["CarConnected", "CarConnected"]
    assert (session.race.cars, len(session.race.waiting)) == ({}, 2)
    events = session.until("QualifyingStart")
    assert kinds(events, ()) == ["SecondsRemaining"] * 2 + [
        "CarAdded",
        "CarAdded",
        "QualifyingStart",
        "CurrentStandings",
        "SecondsRemaining",
    ]
    assert names(of_kind(events, "QualifyingStart")[0]["cars"]) == ["a", "b"]
    assert set(of_kind(events, "QualifyingStart")[0]) == {"type", "timestamp", "cars"}
    assert of_kind(events, "CurrentStandings")[0]["qualifying"] is True


def test_without_cars_the_lobby_waits():
    session = Session()
    session.race.take_events()
    assert session.step(1000) == []
    assert (session.phases.phase, session.race.frame) == (Phase.LOBBY, 0)


def test_seconds_remaining_counts_every_whole_second_down_to_the_next_phase():
    session = Session()
    session.join("a")
    events = session.until("RaceStart")
    seconds = [(event["timestamp"], event["secondsRemaining"]) for event in of_kind(events, "SecondsRemaining")]
    lobby, qualifying, grid, race = [(0, 2), (1, 1), (2, 0)], [(2, 3), (3, 2), (4, 1), (5, 0)], [(5, 1), (6, 0)], [(6, 60)]
    assert seconds == [(pytest.approx(at_s), left) for at_s, left in lobby + qualifying + grid + race]
    assert [of_kind(events, kind)[0]["timestamp"] for kind in ("QualifyingStart", "StartingGridInit", "RaceStart")] == [
        pytest.approx(at_s) for at_s in (2, 5, 6)
    ]


def test_zero_seconds_move_on_at_the_first_frame():
    session = Session(auto_start_qualifying_seconds=0)
    session.join("a")
    session.step()
    assert session.phases.phase is Phase.QUALIFYING


def test_qualifying_starts_cars_as_far_apart_as_the_track_allows():
    session = Session()
    session.join("a", "b", "c")
    session.until("QualifyingStart")
    third_m = round(OVAL.length_m / 3, 3)
    assert session.arcs_m() == pytest.approx({"a": 0, "b": third_m, "c": 2 * third_m}, abs=2e-3)


def test_after_the_lobby_nobody_gets_in():
    session = Session()
    session.join("a")
    for kind, phase in [("QualifyingStart", "qualifying"), ("StartingGridInit", "starting grid"), ("RaceStart", "race")]:
        session.until(kind)
        with pytest.raises(JoinError, match=phase):
            session.phases.join("team b", "b", "")


def test_only_listed_teams_race_and_under_their_listed_names():
    session = Session(cars=(ListedCar("team a", "A"), ListedCar("team b", "B")))
    with pytest.raises(JoinError, match="'team c' is not listed"):
        session.join("c")
    session.join("a")
    assert session.race.take_events()[-1]["car"]["name"] == "A"
    with pytest.raises(JoinError, match="'A'"):
        session.phases.join("team a", "another", "")


def test_the_lobby_takes_no_more_cars_than_the_track_holds(monkeypatch):
    session = Session()
    monkeypatch.setattr(phases, "ROOM_M", OVAL.length_m / 2.5)
    session.join("a", "b")
    with pytest.raises(JoinError, match="too short"):
        session.join("c")


def test_the_best_lap_of_qualifying_starts_first():
    session = Session(qualifying_duration_seconds=24, num_segments_between_cars=1)
    session.join("slow", throttle=0.06)
    session.join("none", throttle=0.0)
    session.join("fast", throttle=0.09)
    events = session.until("StartingGridInit")
    (results,) = of_kind(events, "QualifyingResults")
    assert set(results) == {"type", "timestamp", "results"}
    assert names(result["car"] for result in results["results"]) == ["fast", "slow", "none"]
    assert {result["type"] for result in results["results"]} == {"LapCompleted"}
    assert results["results"][0]["bestLap"] < results["results"][1]["bestLap"]
    assert math.isnan(results["results"][2]["bestLap"])
    (grid,) = of_kind(events, "StartingGridInit")
    assert set(grid) == {"type", "timestamp", "cars"}
    assert names(grid["cars"]) == ["fast", "slow", "none"]
    gap_m = OVAL.length_m / 30
    assert session.arcs_m() == pytest.approx({"fast": 0, "slow": gap_m, "none": 2 * gap_m}, abs=1e-3)


@pytest.mark.parametrize("between", [0, 1, 2, 15, 60])
def test_nobody_on_the_grid_is_ahead_of_the_first_or_inside_another(between):
    session = Session(num_segments_between_cars=between)
    session.join(*"abcdefgh")
    session.until("StartingGridInit")
    behind_m = list(session.arcs_m().values())
    assert behind_m == sorted(behind_m)
    assert min(np.diff(behind_m)) > 0.28 and behind_m[-1] < OVAL.length_m - 0.28


def test_motors_are_off_on_the_grid_and_laps_begin_anew():
    session = Session()
    session.join("a")
    events = session.until("StartingGridInit")
    standings = of_kind(events, "CurrentStandings")[-1]
    assert (standings["qualifying"], standings["standings"][0]["lapCount"]) == (False, -1)
    session.step(30)
    assert (session.arcs_m(), session.race._motion["speed_ahead"][0]) == ({"a": 0.0}, 0.0)
    session.until("RaceStart")
    events = session.step(30)
    assert session.race._motion["speed_ahead"][0] > 0.5
    assert of_kind(events, "CurrentStandings")[0]["standings"][0]["lapCount"] == 0


def test_a_race_from_its_start_to_the_results():
    session, events = in_race("a", "b", num_segments_between_cars=1)
    assert kinds(events, ()) == ["SecondsRemaining", "RaceStart", "CurrentStandings", "SecondsRemaining"]
    assert set(of_kind(events, "RaceStart")[0]) == {"type", "timestamp"}
    session.throttles["b"] = 0.095
    events = session.until("RaceFinished")
    told = [kind for kind in kinds(events) if kind != "SecondsRemaining"]
    assert told[:2] == ["LapCompleted"] * 2
    assert told[2:] == ["LapCompleted", "CarFinished", "RaceWon", "LapCompleted", "CarFinished", "RaceFinished"]
    assert [event["car"]["name"] for event in of_kind(events, "CarFinished")] == ["a", "b"]
    assert of_kind(events, "RaceWon")[0] == {
        "type": "RaceWon",
        "timestamp": of_kind(events, "CarFinished")[0]["timestamp"],
        "car": of_kind(events, "CarFinished")[0]["car"],
    }
    finished = of_kind(events, "RaceFinished")[0]
    assert set(finished) == {"type", "timestamp", "standings"}
    first, second = finished["standings"]
    assert set(first) == {"car", "lapCount", "bestLap", "totalTime", "dnf"}
    assert (first["car"]["name"], first["lapCount"], first["dnf"]) == ("a", 2, False)
    assert (second["car"]["name"], second["lapCount"], second["dnf"]) == ("b", 2, False)
    started_s = finished["timestamp"] - second["totalTime"]
    assert first["totalTime"] < second["totalTime"]
    assert started_s == pytest.approx(6.0, abs=0.05)  # times of a race count from its start
    assert first["bestLap"] < first["totalTime"] / 2 + 0.5


def test_standings_of_a_race_go_by_laps_and_then_time():
    session, _ = in_race("a", "b", "c", num_segments_between_cars=1)
    session.throttles.update(a=0.06, c=0.0)
    events = session.until("RaceWon")
    standings = of_kind(events, "CurrentStandings")[-1]
    assert standings["qualifying"] is False
    assert names(standing["car"] for standing in standings["standings"]) == ["b", "a", "c"]


def test_after_the_winner_every_car_finishes_at_the_line():
    session, _ = in_race("a", "b", lap_count=3, race_timeout_after_winner_seconds=30)
    session.throttles["b"] = 0.05
    events = session.until("RaceFinished")
    (finished,) = of_kind(events, "RaceFinished")
    assert [(standing["car"]["name"], standing["lapCount"], standing["dnf"]) for standing in finished["standings"]] == [
        ("a", 3, False),
        ("b", 2, False),
    ]


def test_laps_after_the_finish_do_not_count():
    session, _ = in_race("a", "b", lap_count=1, race_timeout_after_winner_seconds=15)
    session.throttles["b"] = 0.0
    events = session.until("RaceFinished")
    assert len(of_kind(events, "LapCompleted")) == len(of_kind(events, "CarFinished")) == 1
    assert of_kind(events, "RaceFinished")[0]["standings"][0]["lapCount"] == 1


def test_the_race_ends_a_while_after_its_winner():
    session, _ = in_race("a", "b", lap_count=1)
    session.throttles["b"] = 0.0
    events = session.until("RaceWon")
    won = events[kinds(events, ()).index("RaceWon")]
    events = events[events.index(won) :] + session.until("RaceFinished")
    assert [event["secondsRemaining"] for event in of_kind(events, "SecondsRemaining")] == [4, 3, 2, 1, 0]
    (finished,) = of_kind(events, "RaceFinished")
    assert finished["timestamp"] - won["timestamp"] == pytest.approx(4.0)
    assert [standing["dnf"] for standing in finished["standings"]] == [False, True]


def test_the_race_ends_in_time_without_a_winner():
    session, events = in_race("a", race_timeout_seconds=3)
    started_s = of_kind(events, "RaceStart")[0]["timestamp"]
    session.throttles["a"] = 0.0
    (finished,) = of_kind(session.until("RaceFinished"), "RaceFinished")
    assert finished["timestamp"] - started_s == pytest.approx(3.0)
    (standing,) = finished["standings"]
    assert (standing["lapCount"], standing["dnf"]) == (-1, True)
    assert math.isnan(standing["bestLap"])


def test_who_leaves_the_lobby_is_forgotten():
    session = Session()
    session.join("a", "b")
    session.race.take_events()
    session.leave("a")
    assert kinds(session.race.take_events(), ()) == ["CarDisconnected", "CarRemoved"]
    session.join("a")


def test_who_leaves_a_race_did_not_finish_and_stays_in_the_standings():
    session, _ = in_race("a", "b", lap_count=1)
    session.step(10)
    session.leave("a")
    gone, standings = session.race.take_events()
    assert (gone["type"], gone["car"]["name"]) == ("CarDisconnected", "a")
    dnf = {standing["car"]["name"]: standing["dnf"] for standing in standings["standings"]}
    assert dnf == {"a": True, "b": False}
    (finished,) = of_kind(session.until("RaceFinished"), "RaceFinished")
    assert [(standing["car"]["name"], standing["dnf"]) for standing in finished["standings"]] == [("b", False), ("a", True)]


def test_who_leaves_qualifying_does_not_start_but_is_in_the_standings():
    session = Session()
    session.join("a", "b")
    session.until("QualifyingStart")
    session.leave("a")
    events = session.until("StartingGridInit")
    assert names(of_kind(events, "StartingGridInit")[0]["cars"]) == ["b"]
    standings = of_kind(events, "CurrentStandings")[-1]["standings"]
    assert {standing["car"]["name"]: standing["dnf"] for standing in standings} == {"a": True, "b": False}


def test_who_leaves_after_the_finish_has_finished():
    session, _ = in_race("a", "b", lap_count=1)
    session.throttles["b"] = 0.09
    session.until("RaceWon")
    session.leave("a")
    (finished,) = of_kind(session.until("RaceFinished"), "RaceFinished")
    assert [standing["dnf"] for standing in finished["standings"]] == [False, False]


def test_when_the_last_car_leaves_a_race_it_is_over_and_the_lobby_opens():
    session, _ = in_race("a")
    session.leave("a")
    assert kinds(session.race.take_events()) == ["CarDisconnected", "RaceFinished", "RaceLobbyInit", "SecondsRemaining"]
    session.join("a")
    session.until("RaceStart")


@pytest.mark.parametrize("kind", ["QualifyingStart", "StartingGridInit"])
def test_when_the_last_car_leaves_before_the_race_the_lobby_opens(kind):
    session = Session()
    session.join("a")
    session.until(kind)
    session.leave("a")
    assert kinds(session.race.take_events()) == ["CarDisconnected", "RaceLobbyInit", "SecondsRemaining"]
    assert session.race.ranking() == []


def test_results_stay_and_cars_may_drive_on():
    session, _ = in_race("a", lap_count=1)
    session.until("RaceFinished")
    assert [kind for kind in kinds(session.step(300)) if kind not in ("LapCompleted",)] == []
    assert session.phases.phase is Phase.RESULTS
    assert session.race._motion["speed_ahead"][0] > 0.5


def test_a_crashed_car_is_put_back_in_a_race_too():
    session, _ = in_race("a", "b")
    slot = session.slots.pop("b")
    events = []
    for _ in range(400):
        session.race.heard_from(slot)
        session.race.command(slot, "forward", 0.06)
        session.race.command(slot, "turn", -1.0)
        events += session.step()
    crashes = [(event["type"], event["car"]["name"]) for event in events if event["type"].startswith("Car")]
    assert crashes[:2] == [("CarCrashed", "b"), ("CarReturnedToTrack", "b")]


def test_proceed_goes_through_all_phases_at_once():
    session = Session()
    session.join("a", "b")
    seen = []
    for _ in range(5):
        session.phases.obey("ProceedToNextPhase")
        seen += kinds(session.race.take_events(), ("CurrentStandings", "SecondsRemaining", "CarAdded"))
    assert seen == [
        *("RaceLobbyInit", "CarConnected", "CarConnected"),
        "QualifyingStart",
        *("QualifyingResults", "StartingGridInit"),
        "RaceStart",
        "RaceFinished",
        *("CarRemoved", "CarRemoved", "RaceLobbyInit"),
    ]
    assert session.race.frame == 0
    assert len(session.race.waiting) == 2


def test_proceed_needs_a_car():
    session = Session()
    session.phases.obey("ProceedToNextPhase")
    assert session.phases.phase is Phase.LOBBY


def test_reset_goes_back_to_the_lobby_with_all_cars():
    session, _ = in_race("a", "b")
    session.step(50)
    session.phases.obey("ResetSimulator")
    assert kinds(session.race.take_events()) == ["CarRemoved", "CarRemoved", "RaceLobbyInit", "SecondsRemaining"]
    events = session.until("RaceStart")
    assert names(of_kind(events, "QualifyingStart")[0]["cars"]) == ["a", "b"]
    events = session.step(60)
    assert "CarCrashed" not in kinds(events)
    assert session.race._motion["speed_ahead"][:2].min() > 0.5


def test_motors_toggle_makes_throttle_useless_and_back():
    session = Session(mode="development")
    session.join("a")
    session.step(60)
    moving_m_s = session.race._motion["speed_ahead"][0]
    session.phases.obey("MotorsToggle")
    session.step(60)
    rolling_m_s = session.race._motion["speed_ahead"][0]
    assert rolling_m_s < 0.5 * moving_m_s
    session.phases.obey("MotorsToggle")
    session.step(60)
    assert session.race._motion["speed_ahead"][0] > 0.8 * moving_m_s


def test_without_motors_brakes_and_steering_work():
    session = Session(mode="development")
    session.join("a")
    session.phases.obey("MotorsToggle")
    session.race.command(0, "brake", 0.5)
    session.race.command(0, "turn", 0.5)
    assert (session.race._motion["brake"][0], session.race._motion["turn"][0]) == (0.5, 0.5)


def test_reset_in_free_practice_starts_all_cars_anew():
    session = Session(mode="development")
    session.join("a", "b")
    started = session.arcs_m()
    session.step(200)
    session.phases.obey("MotorsToggle")
    session.phases.obey("ResetSimulator")
    assert session.race.take_events()[-1]["type"] == "FreePracticeStart"
    assert session.arcs_m() == started
    assert [car.laps.lap_count for car in session.race.cars.values()] == [-1, -1]
    session.step(60)
    assert session.race._motion["speed_ahead"][0] > 0.5


def test_free_practice_has_no_next_phase():
    session = Session(mode="development")
    session.join("a")
    session.race.take_events()
    session.phases.obey("ProceedToNextPhase")
    assert session.race.take_events() == []


def test_free_practice_lets_cars_in_and_out_at_any_time():
    session = Session(mode="development")
    session.join("a")
    session.step(10)
    session.join("b")
    session.race.take_events()
    session.leave("a")
    assert kinds(session.race.take_events(), ()) == ["CarDisconnected", "CurrentStandings", "CarRemoved"]
