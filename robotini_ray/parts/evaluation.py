"""Evaluates a policy: drives one car greedily and counts laps, crashes and the original trainer's return."""

from __future__ import annotations

from collections.abc import Callable

from robotini_ray.config import FRAMES_PER_SECOND
from robotini_ray.environment.race_environment import RaceEnvironment
from robotini_ray.policy.numpy_policy import NumpyPolicy
from robotini_ray.run.reports import EvaluationResult


def evaluate(
    environment: RaceEnvironment,
    policy: NumpyPolicy,
    laps: int | None,
    max_seconds: float | None,
    watch: Callable[[RaceEnvironment], bool],
) -> EvaluationResult:
    """Drives greedily until a number of flying laps is done or a game time has passed.

    Args:
        environment: The environment of a car that has just joined the track.
        policy: The policy to evaluate; its actions are used without exploration noise.
        laps: The number of flying laps to drive; None for no limit.
        max_seconds: The game time to drive, in seconds; None for no limit.
        watch: A function that is called after every decision; the evaluation ends when it returns False.

    Raises:
        PolicyError: The policy was trained for another environment.
        CarError: The simulator was lost.
    """
    policy.spec.check_fits(environment.config)
    score = environment.score
    frames = None if max_seconds is None else max_seconds * FRAMES_PER_SECOND
    step, state = environment.reset(), policy.initial_state(1)
    while (laps is None or len(score.laps) < laps) and (frames is None or score.frames < frames):
        if step.is_last():
            step, state = environment.reset(), policy.initial_state(1)
        actions, state = policy.act(step.observation[None], state)
        step = environment.step(actions[0])
        if not watch(environment):
            break
    driven, episodes = score.take()
    return EvaluationResult(driven, score.crashes, episodes[1:] or episodes, score.frames, score.distance_m)
