"""The pace at which the world follows its clients."""

import math
import time

import numpy as np
import pytest

from robotini_ray.config import RandomisationConfig
from robotini_ray.simulator.camera.camera_for_track import make_camera
from robotini_ray.simulator.server import server as server_module
from robotini_ray.simulator.world.randomisation import Look
from robotini_ray.track.track import load_track
from tests.fake_time import FakeTime
from tests.waiting import eventually

EVERYTHING = RandomisationConfig(
    grip=(0.7, 1.2),
    mass=(0.8, 1.3),
    motor=(0.8, 1.2),
    latency_frames=(1, 4),
    light=(0.6, 1.2),
    colour=(0.8, 1.2),
    camera_pitch_deg=(-2.0, 2.0),
    camera_roll_deg=(-2.0, 2.0),
    camera_yaw_deg=(-2.0, 2.0),
    camera_height_m=(-0.01, 0.01),
    frame_noise=(2.0, 10.0),
    start_anywhere=True,
    start_offset_m=(-0.15, 0.15),
    start_heading_deg=(-20.0, 20.0),
    start_speed_m_s=(0.0, 1.0),
)


def test_the_world_waits_for_a_first_answer(world):
    spectator, car = world.spectator(), world.car()
    assert car.png()
    status = spectator.until("GameStatus")
    assert status["cars"][0]["frames_sent"] == 1
    assert status["timestamp"] == 0.0
    time.sleep(0.3)
    car.drive(0.1, 0.0)
    car.png()
    assert spectator.until("GameStatus")["timestamp"] == pytest.approx(1 / 60)


def test_a_second_car_gets_its_first_frame_while_the_first_one_thinks(world):
    spectator = world.spectator()
    first = world.car("first")
    assert first.png()
    second = world.car("second")
    assert second.png()
    cars = [event["cars"] for event in (spectator.until("GameStatus"), spectator.until("GameStatus"))]
    assert [[car["frames_sent"] for car in each] for each in cars] == [[1], [1, 1]]
    assert spectator.seen[-1]["timestamp"] == 0.0


def test_everybody_is_waited_for(world):
    first, second = world.car("first"), world.car("second")
    first.png()
    second.png()
    first.drive(0.1, 0.0)
    assert not first.has_frame()
    second.drive(0.1, 0.0)
    assert first.png() and second.png()


def test_a_lockstep_answer_ends_with_a_line_that_is_no_command(world):
    car = world.car()
    car.png()
    car.say({"action": "forward", "value": 0.1})
    car.say({"action": "turn", "value": 0.1})
    assert not car.has_frame()
    car.say({"end": 1})
    assert car.png()


def test_other_clients_have_answered_with_their_first_line(world):
    car = world.car(lockstep=False)
    car.png()
    car.say({"action": "forward", "value": 0.1})
    assert car.png()


def test_a_silent_car_is_waited_for_once(make_world, monkeypatch):
    clock = FakeTime(monkeypatch, server_module)
    world = make_world(answer_timeout_ms=200)
    silent, busy = world.car("silent"), world.car("busy")
    assert silent.png() and busy.png()
    busy.drive(0.1, 0.0)
    eventually(lambda: not world.driver("busy").answer_due, "the answer has come")
    clock.now_s += 0.19
    assert not busy.has_frame()
    clock.now_s += 0.02
    assert busy.png()
    for _ in range(30):  # the clock stands: nobody waits for the silent one
        busy.drive(0.1, 0.0)
        assert busy.png()
    assert not silent.has_frame(0.05)
    silent.drive(0.1, 0.0)
    busy.drive(0.1, 0.0)
    assert silent.png() and busy.png()
    busy.drive(0.1, 0.0)
    assert not busy.has_frame()
    silent.drive(0.1, 0.0)
    assert silent.png() and busy.png()


def test_silent_cars_alone_let_the_world_creep(make_world, monkeypatch):
    clock = FakeTime(monkeypatch, server_module)
    world = make_world(answer_timeout_ms=50)
    spectator, car = world.spectator(), world.car()
    car.png()
    assert spectator.until("GameStatus")["timestamp"] == 0.0
    for frame in range(1, 6):
        clock.now_s += 0.051
        assert spectator.until("GameStatus")["timestamp"] == pytest.approx(frame / 60)
    time.sleep(0.3)
    car.drive(0.1, 0.0)
    assert car.png()
    assert spectator.until("GameStatus")["timestamp"] == pytest.approx(6 / 60), "it has crept no further than the clock"


def test_a_departure_ends_the_wait(world):
    first, second = world.car("first"), world.car("second")
    first.png()
    second.png()
    first.drive(0.1, 0.0)
    second.close()
    assert first.png()


def test_frames_belong_to_the_state_with_their_number(world):
    """A car that answers every second frame only in part still counts its frames as the simulator does."""
    spectator = world.spectator()
    first, second = world.car("first"), world.car("second")
    for frame in range(1, 6):
        assert first.png() and second.png()
        assert spectator.status(frame, "first") and spectator.seen[-1]
        first.drive(0.1, 0.0)
        second.drive(0.05, 0.0)


def drive_two_cars(world):
    cars = [world.car("a", imageWidth=32)]
    pngs = [cars[0].png()]
    cars.append(world.car("b", imageWidth=64))
    pngs.append(cars[1].png())  # both are on the track before time begins
    for frame in range(150):
        for k, car in enumerate(cars):
            car.drive(0.15, 0.8 if (frame // (20 + 9 * k)) % 2 else -0.5)
        pngs += [car.png() for car in cars]
    return pngs


@pytest.mark.parametrize("randomisation", [RandomisationConfig(), EVERYTHING], ids=["standard", "randomised"])
def test_the_same_seed_and_commands_give_the_same_frames(make_world, randomisation):
    """Byte for byte, crashes and put-backs included; another seed puts cars back elsewhere."""
    runs = [drive_two_cars(make_world(seed=seed, randomisation=randomisation)) for seed in (3, 3, 4)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@pytest.mark.parametrize("latency_frames", [None, 1, 3, 4])
def test_pictures_are_so_many_frames_late(make_world, latency_frames):
    """Each picture is that of a pose before the one that its number belongs to: two states before, if nothing is set."""
    randomisation = RandomisationConfig(latency_frames=(latency_frames or 2,) * 2)
    world = make_world(**({} if latency_frames is None else {"randomisation": randomisation}))
    spectator, car = world.spectator(), world.car(imageWidth=128)
    pictures, poses = [], []
    for frame in range(1, 61):
        pictures.append(car.picture().astype(int))
        status = spectator.status(frame)
        turn = 2 * math.atan2(status["rotation"]["y"], status["rotation"]["w"])
        poses.append((status["position"]["x"], status["position"]["z"], turn, status["position"]["y"], 0.0))
        car.drive(0.1, math.sin(frame / 3))
    camera = make_camera(load_track("oval"))
    nothing = np.zeros((1, 3))
    for frame in range(40, 60):
        rendered = [camera.render(128, [0], np.array([[poses[frame - age]]]), nothing, [Look()], frame)[0] for age in range(6)]
        differences = [np.abs(pictures[frame] - picture).sum() for picture in rendered]
        assert np.argmin(differences) == (latency_frames or 2)
