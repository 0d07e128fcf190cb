"""The car's side against the embedded simulator over real sockets, in lock-step."""

import contextlib
import math
import threading

import pytest

from robotini_ray.car.connection import CarConnection, Login
from robotini_ray.car.errors import ConnectionLost, LoginRefused, SpectatorLost
from robotini_ray.car.laps import LapCounter
from robotini_ray.car.spectator import Spectator
from robotini_ray.environment.observation import decode_png, features
from robotini_ray.environment.reward import OriginalReward, ProgressReward, ProgressWeights
from robotini_ray.simulator.server.server import SimulatorServer
from robotini_ray.simulator.world.race_parameters import RaceParameters
from robotini_ray.track.track import load_track
from tests.waiting import LONG_S

NUM_SEGMENTS = 30


class Driver:
    """A car, its spectator, and what is known of its newest frame."""

    def __init__(self, server, name, width=8):
        self.name = name
        self.spectator = Spectator(*server.log_address)
        self.spectator.follow(name)
        self.connection = CarConnection.connect(*server.car_address, Login(name, "team", "#112233", width, lockstep=True))

    def advance(self, throttle=None, turn=0.0):
        """Answers the newest frame, if any, and takes in the next; returns its picture and the states up to it."""
        if throttle is not None:
            self.connection.send(throttle, turn)
        png = self.connection.receive(LONG_S)[-1]
        self.state = self.spectator.wait_for(self.name, self.connection.frames_received, LONG_S)
        return png, self.spectator.take_states(self.name)

    def close(self):
        self.connection.close()
        self.spectator.close()


@pytest.fixture(scope="module")
def track():
    return load_track("oval")


@pytest.fixture
def server(track):
    parameters = RaceParameters(num_segments=NUM_SEGMENTS)
    server = SimulatorServer(track, parameters, car_port=0, log_port=0, pace="max", answer_timeout_ms=600_000)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield server
    server.stop()
    thread.join(timeout=LONG_S)
    assert not thread.is_alive()


@pytest.fixture
def join(server):
    with contextlib.ExitStack() as drivers:

        def start(name, **options):
            driver = Driver(server, name, **options)
            drivers.callback(driver.close)
            return driver

        yield start


def centre_line_turn(track, state, arc_m):
    """Steers towards a point on the centre line 0.5 m ahead (pure pursuit); positive is left."""
    x, z, _ = track.pose(arc_m + 0.5)
    bearing = math.atan2(x - state.x, z - state.z) - state.heading_rad
    return max(-1.0, min(1.0, -2.0 * math.remainder(bearing, 2 * math.pi)))


def test_frames_and_states_belong_together(join):
    driver = join("car", width=32)
    driver.advance()
    for number in range(2, 60):
        before = driver.state
        png, states = driver.advance(0.1)
        assert driver.state.frames_sent == driver.connection.frames_received == number
        assert len(states) == 1
        assert driver.state.game_time_s == pytest.approx(before.game_time_s + 1 / 60)
    assert driver.state.forward_speed_m_s > 0.3
    assert features(decode_png(png, 32, 20)).max() == 1
    assert driver.spectator.parameters["numSegments"] == NUM_SEGMENTS
    assert driver.spectator.bad_events == driver.spectator.bad_lines == driver.connection.bad_frames == 0


def test_a_name_on_the_track_is_refused(server, join):
    join("car").advance()
    with pytest.raises(LoginRefused, match="'car'"):
        Driver(server, "car").connection.receive(LONG_S)


def test_a_car_that_joins_takes_no_time_from_the_others(join):
    first = join("first")
    first.advance()
    first.advance(0.1)
    before_s = first.state.game_time_s
    second = join("second")
    second.advance()
    first.connection.send(0.1, 0.0)
    second.connection.send(0.1, 0.0)
    first.advance()
    assert first.state.game_time_s == pytest.approx(before_s + 1 / 60)


def test_laps_and_rewards_of_a_careful_driver(track, join):
    driver = join("car")
    laps, original = LapCounter(NUM_SEGMENTS), OriginalReward(NUM_SEGMENTS)
    progress = ProgressReward(track, ProgressWeights())
    finished, distance_m, original_return = [], 0.0, 0.0
    driver.advance()
    original.reset(driver.state)
    progress.reset(driver.state)
    arc_m = track.locate(driver.state.x, driver.state.z).arc_m
    while len(finished) < 2:
        _, states = driver.advance(0.1, centre_line_turn(track, driver.state, arc_m))
        arc_m = track.locate(driver.state.x, driver.state.z, arc_m).arc_m
        finished += [lap for lap in map(laps.update, states) if lap]
        distance_m += sum(progress.step(states).values())
        original_return += sum(original.step(states).values())
        assert driver.state.game_time_s < 60
    # From the start on the line: a lap to its first crossing, which starts the first flying lap, then two of those.
    assert distance_m == pytest.approx(3 * track.length_m, rel=0.02)
    assert all(lap.clean for lap in finished)
    assert abs(finished[0].time_s - finished[1].time_s) <= 3 / 60
    assert track.length_m / 1.9 < finished[0].time_s < track.length_m / 1.2
    paid_per_flying_lap = 5.8 + 883.5 / finished[0].time_s
    assert original_return == pytest.approx(3 * paid_per_flying_lap, rel=0.1)


def test_crashes_and_returns_of_a_reckless_driver(track, join):
    driver = join("car")
    progress = ProgressReward(track, ProgressWeights(crash_penalty=2.0))
    laps = LapCounter(NUM_SEGMENTS)
    driver.advance()
    progress.reset(driver.state)
    crash_terms = 0.0
    while driver.state.returns < 3:
        _, states = driver.advance(0.5, 0.3)
        terms = progress.step(states)
        crash_terms += terms["crash"]
        assert abs(terms["progress"]) < 0.15  # at most 4 m/s: being put back elsewhere pays nothing
        assert not any(map(laps.update, states))
        assert driver.state.game_time_s < 60
    assert driver.state.crashes >= 3
    assert crash_terms < -2.0 * 3


def test_the_same_name_can_come_back(server, join):
    driver = join("car")
    driver.advance()
    for _ in range(20):
        driver.advance(0.1)
    driver.connection.close()
    while driver.spectator.state("car") is not None:
        driver.spectator.drain()
    driver.connection = CarConnection.connect(*server.car_address, Login("car", "team", image_width=8, lockstep=True))
    driver.advance()
    assert driver.state.frames_sent == 1


def test_a_simulator_that_stops_is_noticed(server, join):
    driver = join("car")
    driver.advance()
    server.stop()
    with pytest.raises(ConnectionLost):
        while True:
            driver.connection.send(0.1, 0.0)
            driver.connection.receive(LONG_S)
    with pytest.raises(SpectatorLost):
        driver.spectator.wait_for("car", 10**6, LONG_S)
