"""What counts in an evaluation, against a real embedded simulator in lock-step."""

import dataclasses

import pytest

from robotini_ray.car.connection import Login
from robotini_ray.car.spectator import Spectator
from robotini_ray.config import Config, EnvironmentConfig
from robotini_ray.environment.race_environment import RaceEnvironment
from robotini_ray.parts.evaluation import evaluate
from robotini_ray.policy.hand_written import driving_policy
from robotini_ray.policy.policy_spec import PolicyError
from robotini_ray.track.track import load_track

CONFIG = dataclasses.replace(
    Config(), environment=EnvironmentConfig(image_width=32, throttle_low=0.02, throttle_high=0.12, episode_laps=1000)
)


@pytest.fixture
def environment(serve):
    track = load_track("oval")
    with serve(seed=3) as address:
        spectator = Spectator(address.host, address.log_port, track=track)
        login = Login("judged", "judged", "#123456", CONFIG.environment.image_width, lockstep=True)
        environment = RaceEnvironment(CONFIG.environment, track, address, login, spectator)
        yield environment
        environment.close()
        spectator.close()


def test_episodes_are_whole_laps_from_line_to_line(environment):
    result = evaluate(environment, driving_policy(CONFIG), laps=2, max_seconds=120.0, watch=lambda _: True)
    assert len(result.laps) == 2
    assert [episode.frames for episode in result.episodes] == [round(60 * lap.time_s) for lap in result.laps]


def test_the_way_from_the_grid_is_an_episode_where_there_is_no_other(environment):
    line_seen = []

    def until_the_line(driving):
        line_seen.append(bool(driving.score.episodes))
        return not line_seen[-1]

    result = evaluate(environment, driving_policy(CONFIG), laps=2, max_seconds=120.0, watch=until_the_line)
    assert not result.laps and len(result.episodes) == 1
    assert 0 < result.episodes[0].frames <= result.env_steps


def test_a_policy_of_another_environment_is_refused(environment):
    other = dataclasses.replace(CONFIG, environment=dataclasses.replace(CONFIG.environment, action_repeat=7))
    with pytest.raises(PolicyError, match=r"action_repeat 7, but the environment has"):
        evaluate(environment, driving_policy(other), laps=1, max_seconds=1.0, watch=lambda _: True)
