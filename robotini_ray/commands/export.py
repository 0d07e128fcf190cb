"""Implements ``export``, which writes a policy in another format, and ``import``, which reads one of the original trainer.

TensorFlow is imported only after the command line has been checked, and not at all for the format ``npz``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Literal

from robotini_ray.commands.output import written
from robotini_ray.config import ConfigError
from robotini_ray.machine.whole_files import new_directory
from robotini_ray.policy.named_policy import load_named_policy
from robotini_ray.policy.policy_files import save_policy, write_policy
from robotini_ray.track.track import load_track

Format = Literal["npz", "savedmodel", "tflite", "onnx"]
NOTHING = "nothing of it is left; give another place"


def run_export(policy: Path, format: Format, output: Path) -> int:
    """Writes a new directory with ``policy.json`` and the policy in the given format; returns the exit code, always 0.

    The directory appears under its name only once it is complete.

    Raises:
        OutputError: ``output`` exists or cannot be written; nothing of it is left.
        PolicyError: The policy cannot be loaded.
    """
    driver, facts = load_named_policy(policy)
    with written(output, NOTHING), new_directory(output) as fresh:
        write_policy(fresh, driver, facts)
        if format != "npz":
            from robotini_ray.agents import policy_formats

            writers = {
                "savedmodel": policy_formats.write_saved_model,
                "tflite": policy_formats.write_tflite,
                "onnx": policy_formats.write_onnx,
            }
            writers[format](driver, fresh)
            (fresh / "weights.npz").unlink()
    names = ", ".join(sorted(path.name for path in output.iterdir()))
    print(f"{output}: {names}{'' if format == 'npz' else '; checked: it acts like the policy'}", file=sys.stderr)
    return 0


def run_import(saved_model: Path, output: Path, track: str) -> int:
    """Writes a recurrent policy of the original trainer as a new policy directory; returns the exit code, always 0.

    Only the variables of the SavedModel are read; the program in it is not run.

    Args:
        saved_model: The directory of the SavedModel.
        output: The directory to write; it must not exist.
        track: The track that the policy was trained on, which a SavedModel does not record.

    Raises:
        ConfigError: ``saved_model`` is not a SavedModel.
        OutputError: ``output`` exists or cannot be written; nothing of it is left.
    """
    load_track(track)
    if not (saved_model / "variables").is_dir():
        raise ConfigError(f"{saved_model} is not a SavedModel: it has no directory named variables")
    from robotini_ray.agents.original_policy import read_original_policy

    print(f"{saved_model}: only its variables are read; the program in its saved_model.pb is not run", file=sys.stderr)
    policy = read_original_policy(saved_model, track)
    with written(output, NOTHING):
        save_policy(output, policy, {"imported_from": saved_model.resolve().name})
    spec = policy.spec
    layers = "-".join(map(str, [*spec.layers, f"LSTM {spec.lstm_units}"]))
    ranges = json.dumps({"throttle": [spec.throttle_low, spec.throttle_high], "turn": spec.turn_limit})
    print(f"{output}: 24-{layers}-2, {ranges}", file=sys.stderr)
    return 0
