"""``export``: a policy in another format. ``import``: one of the original trainer as a policy of ours.

TensorFlow is imported when the line is known to be right, and not at all for ``npz``.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Literal

from robotini_ray.config import ConfigError
from robotini_ray.policy.named_policy import load_named_policy
from robotini_ray.policy.policy_files import save_policy
from robotini_ray.track.track import load_track

Format = Literal["npz", "savedmodel", "tflite", "onnx"]


def run_export(policy: Path, format: Format, output: Path) -> int:
    """Writes a new directory with policy.json and the policy in the format; returns the exit code."""
    _must_be_new(output)
    driver, facts = load_named_policy(policy)
    fresh = output.with_name(f"{output.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    save_policy(fresh, driver, facts)
    try:
        if format != "npz":
            from robotini_ray.agents import policy_formats

            writers = {
                "savedmodel": policy_formats.write_saved_model,
                "tflite": policy_formats.write_tflite,
                "onnx": policy_formats.write_onnx,
            }
            writers[format](driver, fresh)
            (fresh / "weights.npz").unlink()
        fresh.rename(output)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    names = ", ".join(sorted(path.name for path in output.iterdir()))
    print(f"{output}: {names}{'' if format == 'npz' else '; acts like the policy'}", file=sys.stderr)
    return 0


def run_import(saved_model: Path, output: Path, track: str) -> int:
    """Writes a new policy directory; returns the exit code."""
    _must_be_new(output)
    load_track(track)
    if not (saved_model / "variables").is_dir():
        raise ConfigError(f"{saved_model} is no SavedModel: it has no directory variables")
    from robotini_ray.agents.original_policy import read_original_policy

    print(f"{saved_model}: only its variables are read; the program in its saved_model.pb is not run", file=sys.stderr)
    policy = read_original_policy(saved_model, track)
    save_policy(output, policy, {"imported_from": saved_model.resolve().name})
    spec = policy.spec
    layers = "-".join(map(str, [*spec.layers, f"LSTM {spec.lstm_units}"]))
    ranges = json.dumps({"throttle": [spec.throttle_low, spec.throttle_high], "turn": spec.turn_limit})
    print(f"{output}: 24-{layers}-2, {ranges}", file=sys.stderr)
    return 0


def _must_be_new(output: Path) -> None:
    if output.exists():
        raise ConfigError(f"-o is {output}, which exists: give a new directory")
