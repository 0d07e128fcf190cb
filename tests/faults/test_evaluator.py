"""An evaluation in which the simulator is lost counts for nothing and is made again."""

from __future__ import annotations

import dataclasses
import threading

import pytest

from robotini_ray.car.errors import SimulatorUnreachable
from robotini_ray.config import EvaluationConfig
from robotini_ray.parts.evaluator import Evaluator
from robotini_ray.policy.numpy_policy import NumpyPolicy
from robotini_ray.policy.policy_spec import PolicySpec
from tests.waiting import LONG_S, eventually

GAME_S = 5.0


@pytest.fixture
def evaluator(tmp_path, config):
    """Starts the evaluator of one version of the weights on an address; it, and what its loop raises."""
    started = []

    def start(address):
        quick = dataclasses.replace(config(), evaluation=EvaluationConfig(laps=5, max_seconds=GAME_S))
        made = Evaluator(quick, address, True, "judge", tmp_path / "policies", "unix:///no/redis", "run")
        made.set_weights(1, NumpyPolicy(PolicySpec.from_config(quick)).flat_weights(), False)
        raised = []

        def run():
            try:
                made.run()
            except Exception as error:
                raised.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        started.append((made, thread))
        return made, raised

    yield start
    for made, thread in started:
        made.stop()
        thread.join(LONG_S)
        assert not thread.is_alive()


def test_it_is_made_again_in_full(faulty_simulator, evaluator):
    simulator = faulty_simulator("max")

    def lose_the_first(way, piece):
        if way is simulator.cars.ways[0] and way.from_server == 100:
            way.cut(reset=True)
        return piece

    simulator.cars.alter = lose_the_first
    judge, raised = evaluator(simulator.address)
    (evaluation,) = eventually(judge.report, "the evaluation is there")
    assert evaluation.version == 1 and evaluation.best
    assert evaluation.result.env_steps >= 60 * GAME_S, "nothing of the lost one is in it"
    assert len(simulator.cars.ways) == 2 and raised == []


def test_a_simulator_that_was_never_there_ends_it(faulty_simulator, evaluator):
    simulator = faulty_simulator("max")
    simulator.spectators.stop_listening()
    _, raised = evaluator(simulator.address)
    (error,) = eventually(lambda: raised, "the loop has ended")
    assert isinstance(error, SimulatorUnreachable)
