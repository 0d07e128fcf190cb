"""The environment as TF-Agents sees it, against a real embedded simulator in lock-step."""

import contextlib
import dataclasses
import functools

import numpy as np
import pytest
from tf_agents.environments import py_environment
from tf_agents.trajectories import time_step as ts

from robotini_ray.car.connection import Login
from robotini_ray.car.spectator import Spectator
from robotini_ray.config import EnvironmentConfig, RandomisationConfig
from robotini_ray.environment.race_environment import RaceEnvironment, TrackMismatch, with_frames
from robotini_ray.policy.hand_written import color_balance_action
from robotini_ray.track.track import load_track

CONFIG = EnvironmentConfig(image_width=32, throttle_low=0.02, throttle_high=0.12, action_repeat=3)
FULL_LEFT = np.array([1.0, 1.0], np.float32)


@pytest.fixture
def simulator(serve):
    return functools.partial(serve, seed=3)


@contextlib.contextmanager
def joined(address, config=CONFIG, names=("a",), track_name="oval", **settings):
    track = load_track(track_name)
    spectator = Spectator(address.host, address.log_port, track=track)
    environments = []
    try:
        for name in names:
            login = Login(name, name, "#123456", config.image_width, lockstep=True)
            environments.append(RaceEnvironment(config, track, address, login, spectator, **settings))
        yield environments
    finally:
        for environment in environments:
            environment.close()
        spectator.close()


def run_environment_contract(environment: py_environment.PyEnvironment, decisions: int, policy) -> list[ts.TimeStep]:
    """What every environment owes TF-Agents: FIRST after a reset, MID until LAST, FIRST after LAST, all within the specs."""
    spec = environment.time_step_spec()
    step = environment.reset()
    assert step.is_first()
    steps = [step]
    for _ in range(decisions):
        was_last = step.is_last()
        step = environment.step(policy(step.observation))
        steps.append(step)
        assert step.is_first() == was_last
        assert step.observation.shape == spec.observation.shape and step.observation.dtype == np.float32
        assert np.all(np.isfinite(step.observation)) and np.isfinite(step.reward)
        assert float(step.discount) in (0.0, 1.0)
        if step.is_first():
            assert float(step.reward) == 0.0
        if step.is_mid():
            assert float(step.discount) == 1.0
    return steps


def test_contract_of_a_careful_driver_with_truncations(simulator):
    config = dataclasses.replace(CONFIG, episode_frames=60)
    with simulator() as address, joined(address, config) as (environment,):
        steps = run_environment_contract(environment, 100, color_balance_action)
    lasts = [step for step in steps if step.is_last()]
    assert len(lasts) >= 4
    assert all(float(step.discount) == 1.0 for step in lasts), "a time limit is no termination"


def test_contract_of_a_car_that_drives_into_the_wall(simulator):
    with simulator() as address, joined(address) as (environment,):
        steps = run_environment_contract(environment, 120, lambda observation: FULL_LEFT)
        crashes = environment.score.crashes
    lasts = [step for step in steps if step.is_last()]
    assert crashes >= len(lasts) >= 1
    assert all(float(step.discount) == 0.0 for step in lasts), "being put back on the track is a termination"
    assert min(float(step.reward) for step in steps) < -CONFIG.crash_penalty + 0.5, "the crash was paid"


def test_an_episode_ends_after_its_laps(simulator):
    config = dataclasses.replace(CONFIG, episode_laps=1)
    with simulator() as address, joined(address, config) as (environment,):
        step = environment.reset()
        while not step.is_last():
            step = environment.step(color_balance_action(step.observation))
        assert float(step.discount) == 1.0
        assert environment.state.track_segment == 0


def test_after_a_truncation_the_car_drives_on(simulator):
    config = dataclasses.replace(CONFIG, episode_frames=90)
    with simulator() as address, joined(address, config) as (environment,):
        step = environment.reset()
        while not step.is_last():
            step = environment.step(color_balance_action(step.observation))
        frames, last = environment.state.frames_sent, step.observation
        first = environment.reset()
        assert first.is_first() and environment.state.frames_sent == frames
        np.testing.assert_array_equal(first.observation, last)
        assert environment.state.speed_m_s > 0.2


@pytest.mark.parametrize("latency_frames", [2, 4])
def test_after_being_put_back_the_first_observation_shows_the_new_place(simulator, latency_frames):
    latency = RandomisationConfig(latency_frames=(latency_frames, latency_frames))
    place = simulator(randomisation=latency)
    with place as address, joined(address, latency_frames=latency.largest_latency_frames) as (environment,):
        step = environment.reset()
        while not step.is_last():
            step = environment.step(FULL_LEFT)
        frames = environment.state.frames_sent
        first = environment.reset()
        assert environment.state.frames_sent >= frames + 1 + latency_frames, "frames from before the put-back are waited over"
        colors = first.observation[:24].reshape(8, 3)
        np.testing.assert_array_equal(first.observation[24:48], first.observation[:24])
        assert colors.max() > 0.1, "the road is in sight"
        assert environment.state.speed_m_s < 0.1
        assert environment.state.track_angle_deg < 20.0


def test_actions_map_to_the_configured_ranges(simulator):
    with simulator() as address, joined(address) as (environment,):
        sent = []
        send = environment.link.send
        environment.link.send = lambda throttle, turn: (sent.append((throttle, turn)), send(throttle, turn))
        environment.reset()
        for action in ([-1, -1], [1, 1], [0, 0.5]):
            environment.step(np.array(action, np.float32))
    assert sent[0] == (pytest.approx(CONFIG.throttle_low), -1.0)
    assert sent[3] == (pytest.approx(CONFIG.throttle_high), 1.0)
    assert sent[6] == (pytest.approx((CONFIG.throttle_low + CONFIG.throttle_high) / 2), 0.5)
    assert len(sent) == 9, "every frame is answered, action_repeat frames a decision"


def test_several_cars_of_one_process_never_wait_for_each_other_out_of_step(simulator):
    """One car crashes and is put back again and again while the others drive: all go on in lock-step."""
    with simulator() as address, joined(address, names=("a", "b", "c")) as environments:
        policies = dict(zip(environments, (lambda _: FULL_LEFT, color_balance_action, color_balance_action), strict=True))
        for environment in environments:
            environment.begin_episode()
        while len(with_frames(environments, timeout_s=10.0)) < 3:
            pass  # the first car would drive on while the simulator still has to let the others in
        lasts = 0
        while min(environment.score.frames for environment in environments) < 900:
            for environment in with_frames(environments, timeout_s=10.0):
                step = environment.advance()
                if step is not None and step.is_last():
                    lasts += 1
                    step = environment.begin_episode()
                if step is not None:
                    environment.begin_decision(policies[environment](step.observation))
        frames = [environment.score.frames for environment in environments]
    assert lasts >= 2
    assert max(frames) - min(frames) <= 2


def test_rewards_are_progress_in_metres(simulator):
    with simulator() as address, joined(address) as (environment,):
        step = environment.reset()
        paid = 0.0
        while environment.score.frames < 300:
            step = environment.step(color_balance_action(step.observation))
            paid += float(step.reward)
        assert paid == pytest.approx(environment.score.distance_m, rel=0.1)


def test_training_is_the_same_without_the_fields_of_the_fork(simulator):
    """In lock-step the same seed and the same actions are the same drive, so everything that is learned from is equal."""
    config = dataclasses.replace(CONFIG, reward="original", episode_laps=1, throttle_low=0.06)

    def drive(upstream):
        with simulator(upstream=upstream) as address, joined(address, config) as (environment,):
            steps = [environment.reset()]
            for number in range(520):
                careful = not 420 <= number < 480
                action = color_balance_action(steps[-1].observation) if careful else FULL_LEFT
                steps.append(environment.step(action))
            return steps, environment.score

    (with_fields, score), (without, upstream_score) = drive(False), drive(True)
    for sent, computed in zip(with_fields, without, strict=True):
        np.testing.assert_array_equal(computed.observation, sent.observation)
        assert float(computed.reward) == pytest.approx(float(sent.reward), abs=1e-4)
        assert (computed.step_type, computed.discount) == (sent.step_type, sent.discount)
    assert upstream_score.laps == score.laps and len(score.laps) >= 1
    assert upstream_score.crashes == score.crashes >= 1
    assert {float(step.discount) for step in without if step.is_last()} == {0.0, 1.0}, "both ends of episodes were seen"
    returns = [[episode.undiscounted_return for episode in each.episodes] for each in (score, upstream_score)]
    assert returns[1] == pytest.approx(returns[0]) and len(returns[0]) >= 3


def test_another_track_is_refused_with_both_names(simulator):
    with (
        simulator("oval") as address,
        pytest.raises(TrackMismatch, match=r"oval\.json.*twisty\.json"),
        joined(address, track_name="twisty"),
    ):
        pass


def test_the_monitor_is_told_the_last_command_with_the_state(simulator):
    with simulator() as address, joined(address) as (environment,):
        assert environment.live_state() == {}
        environment.reset()
        for _ in range(5):
            environment.step(np.array([0.0, 0.5], np.float32))
        live = environment.live_state()
        assert live["throttle"] == pytest.approx(0.07) and live["turn"] == pytest.approx(0.5)
        assert {**dataclasses.asdict(environment.state), **environment.score.live()}.items() <= live.items()
        assert live["step"] >= 15 and live["distance_m"] > 0
