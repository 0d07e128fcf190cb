"""The progress that ``evaluate`` prints."""

from __future__ import annotations

import types
from typing import Any

import pytest

from robotini_ray.car.laps import Lap
from robotini_ray.commands import evaluate
from robotini_ray.config import RandomisationConfig, load_config
from robotini_ray.policy.numpy_policy import NumpyPolicy
from robotini_ray.policy.policy_spec import PolicySpec


@pytest.fixture
def progress(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Returns the line that is printed after so many frames and laps of one of some evaluations."""
    monkeypatch.setattr(evaluate, "PROGRESS_INTERVAL_S", 0.0)
    policy = NumpyPolicy(PolicySpec.from_config(load_config(None, {})))

    def printed(done: int, whole: int, laps: int | None, seconds: float | None, frames: int, driven: int) -> str:
        task = evaluate.Task(None, False, laps, seconds, 0, RandomisationConfig())
        watch = evaluate._Progress(done, whole, ("fast", policy, "oval"), task)
        score = types.SimpleNamespace(frames=frames, laps=[Lap(5.0, True)] * driven, crashes=0)
        assert watch(types.SimpleNamespace(score=score))  # type: ignore[arg-type]
        return capsys.readouterr().err

    return printed


@pytest.mark.parametrize(
    ("done", "whole", "laps", "seconds", "frames", "driven", "share"),
    [
        (0, 1, 10, None, 600, 5, "50%"),
        (0, 4, 10, None, 600, 5, "12%"),
        (3, 4, 10, None, 600, 10, "100%"),
        (1, 2, None, 20.0, 600, 3, "75%"),
        (1, 2, 10, 20.0, 600, 8, "90%"),
        (0, 1, 1, None, 3600, 0, "50%"),
        (0, 1, 1, 1.0, 600, 0, "100%"),
    ],
)  # fmt: skip
def test_the_share_of_the_whole(
    progress: Any, done: int, whole: int, laps: int | None, seconds: float | None, frames: int, driven: int, share: str
) -> None:
    line = progress(done, whole, laps, seconds, frames, driven)
    assert line.strip().startswith(f"{share}  ")
    assert (f"evaluation {done + 1} of {whole}: " in line) == (whole > 1)
    assert f"fast on oval: {frames // 60} s of game time, {driven} laps" in line
