"""How good a policy is: one car, greedy, counted by laps, crashes and the original trainer's return."""

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
    """Drives greedily until so many flying laps are done or so much game time has passed.

    Args:
        environment: of a car that has just joined the track.
        laps: flying laps to drive; None for no number.
        max_seconds: game time to drive; None for no limit.
        watch: called after every decision; returning False ends the evaluation.

    Raises:
        PolicyError: the policy was trained for another environment.
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
