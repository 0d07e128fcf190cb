"""The pilot against what it must equal: the environment of training with the same policy, and by itself."""

import itertools

import cv2
import numpy as np
import pytest

from robotini_ray.car.connection import CarConnection, Login
from robotini_ray.car.spectator import Spectator
from robotini_ray.config import config_from_dict
from robotini_ray.environment import race_environment
from robotini_ray.environment.decision_cycle import NEUTRAL
from robotini_ray.environment.race_environment import RaceEnvironment
from robotini_ray.policy.numpy_policy import NumpyPolicy
from robotini_ray.policy.policy_spec import PolicySpec
from robotini_ray.racing.pilot import Pilot
from robotini_ray.track.track import load_track
from tests.waiting import LONG_S

FRAMES = 120


def policy_of(algorithm="td3", **environment):
    """Random weights; those of the turn are kept small, so that it drives for a while."""
    settings = {
        "image_width": 32,
        "observation_history": 2,
        "action_history": 2,
        "throttle_low": 0.02,
        "throttle_high": 0.06,
        **environment,
    }
    config = config_from_dict(
        {"agent": {"algorithm": algorithm, "actor_layers": [16, 8], "lstm_units": 6}, "environment": settings}
    )
    policy = NumpyPolicy(PolicySpec.from_config(config))
    random = np.random.default_rng(1)
    policy.set_weights(random.normal(0, 0.3, policy.flat_weights().shape).astype(np.float32))
    policy.weights["action/kernel"][:, 1] *= 0.02
    return policy


def commands_in_training(address, policy):
    """What the environment of training sends, in the order of frames."""
    login = Login("car", "car", "#123456", policy.spec.image_width, lockstep=True)
    spectator = Spectator(address.host, address.log_port, track=load_track("oval"))
    environment = RaceEnvironment(policy.spec.environment(), load_track("oval"), address, login, spectator)
    sent = []
    send = environment.link.send
    environment.link.send = lambda *command: (sent.append(command), send(*command))
    step, state = environment.reset(), policy.initial_state(1)
    while len(sent) < FRAMES:
        actions, state = policy.act(step.observation[None], state)
        step = environment.step(actions[0])
        assert not step.is_last(), "the test needs a drive without crashes"
    environment.close()
    spectator.close()
    return sent[:FRAMES]


def commands_of_the_pilot(address, policy):
    login = Login("car", "car", "#123456", policy.spec.image_width, lockstep=True)
    connection = CarConnection.connect(address.host, address.car_port, login)
    pilot, sent = Pilot(policy), []
    while len(sent) < FRAMES:
        sent.append(pilot.answer(connection.receive(LONG_S)))
        connection.send(*sent[-1])
    connection.close()
    return sent


@pytest.mark.parametrize(
    ("algorithm", "environment"),
    [("td3", {"action_repeat": 3}), ("rdpg", {"action_repeat": 2, "turn_limit": 0.5}), ("td3", {"merge_frames": True})],
)
def test_it_drives_as_in_training(serve, monkeypatch, algorithm, environment):
    monkeypatch.setattr(race_environment, "STATE_TIMEOUT_S", LONG_S)
    policy = policy_of(algorithm, **environment)
    with serve(seed=3) as address:
        expected = commands_in_training(address, policy)
    with serve(seed=3) as address:
        assert commands_of_the_pilot(address, policy) == expected
    assert len(set(expected)) > 10, "it decides something"


def picture(width=32, colour=(0, 0, 255)):
    return cv2.imencode(".png", np.full((width * 80 // 128, width, 3), colour, np.uint8))[1].tobytes()


class TestByItself:
    def test_it_decides_every_so_many_frames(self):
        pilot = Pilot(policy_of(action_repeat=4))
        seen = [pilot.answer([picture(colour=(0, 60 * k, 255 - 20 * k))]) for k in range(13)]
        assert pilot.decisions == 4
        assert [len(set(seen[k : k + 4])) for k in (0, 4, 8)] == [1, 1, 1]
        assert len(set(seen)) > 1

    def test_after_a_put_back_it_waits_for_a_picture_of_the_new_place_and_forgets(self):
        pilot = Pilot(policy_of("rdpg", action_repeat=1))
        first = pilot.answer([picture()])
        for _ in range(5):
            pilot.answer([picture(colour=(255, 0, 0))])
        pilot.put_back()
        answers = [pilot.answer([picture(colour=(255, 0, 0))]) for _ in range(2)]
        assert answers == [NEUTRAL, NEUTRAL]
        assert pilot.answer([picture()]) == first

    def test_a_frame_that_is_no_picture_is_waited_over(self):
        pilot = Pilot(policy_of(action_repeat=2))
        assert pilot.answer([b"no picture"]) == NEUTRAL
        first = pilot.answer([picture()])
        pilot.answer([picture()])
        assert pilot.answer([b"no picture"]) == first
        assert pilot.decisions == 1
        pilot.answer([picture(colour=(255, 0, 0))])
        assert pilot.decisions == 2

    def test_commands_stay_within_the_spec(self):
        pilot = Pilot(policy_of(action_repeat=1, throttle_low=0.05, throttle_high=0.2, turn_limit=0.4))
        rows = [pilot.answer([picture(colour=colour)]) for colour in itertools.product((0, 255), repeat=3)]
        assert all(0.05 <= throttle <= 0.2 and abs(turn) <= 0.4 for throttle, turn in rows)
