"""The whole program through its command line: every part real, networks tiny."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import psutil
import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from robotini_ray.policy.policy_files import load_policy
from robotini_ray.run.leftovers import find_leftovers
from robotini_ray.run.program_file import read_program
from robotini_ray.watch.status import read_status
from tests.small_training import small_training
from tests.spoken_lines import foreign_lines
from tests.waiting import LONG_S

pytestmark = pytest.mark.timeout(1800)  # whole trainings, on machines that may do other things too

PATIENCE_S = 800.0


def write_config(folder: Path, **changes: dict) -> Path:
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(small_training(**changes)))
    return path


def start(*arguments: object) -> subprocess.Popen:
    """``train`` in a process group of its own, so that a test can signal it as a terminal does: all of the group."""
    command = [sys.executable, "-m", "robotini_ray.launch", "train", *map(str, arguments)]
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    environment.setdefault("RAY_AUTH_TOKEN_PATH", str(Path(tempfile.gettempdir()) / f"robotini-ray-test-token-{os.getuid()}"))
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, start_new_session=True
    )


def train(*arguments: object) -> str:
    process = start(*arguments)
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, output
    assert foreign_lines(output.splitlines()) == []
    return output


def summary_of(run: Path) -> dict:
    return json.loads((run / "summary.json").read_text(), parse_constant=lambda name: pytest.fail(f"{name} in summary.json"))


def curve(run: Path, section: str, name: str) -> list[tuple[int, float]]:
    """Train steps and values of one scalar."""
    events = EventAccumulator(str(run / "tensorboard" / section))
    events.Reload()
    return [(event.step, float(make_ndarray(event.tensor_proto))) for event in events.Tensors(f"{section}/{name}")]


def family(process: subprocess.Popen) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run of 60 train steps with two collectors."""
    folder = tmp_path_factory.mktemp("whole")
    output = train(write_config(folder), "--run-dir", folder / "run", "--train-steps", 60)
    commands = output.replace(" \\\n", " ").split()
    assert {"evaluate", "monitor", "train", "tensorboard.main"} <= set(commands)
    return folder / "run"


def test_a_run_trains_and_leaves_everything_behind(run):
    summary = summary_of(run)
    assert summary["train_steps"] == 60
    assert summary["env_steps"] > 150 and summary["decisions"] > 50
    assert yaml.safe_load((run / "config.yaml").read_text())["agent"]["actor_layers"] == [16]
    (checkpoint,) = (run / "checkpoints").glob("step-*")
    assert checkpoint.name == "step-000000060"
    for name in ("learner", "replay", "evaluator", "collector-0", "collector-1"):
        assert (run / "logs" / f"{name}.log").exists()


def test_the_learner_has_learned_on_what_the_cars_did(run):
    policy, facts = load_policy(run / "policies" / "latest")
    assert facts["train_step"] > 0
    assert np.abs(policy.weights["dense_0/kernel"]).max() > 0.01
    assert (run / "policies" / "latest" / "saved_model" / "saved_model.pb").exists()


def test_tensorboard_has_the_three_sections_by_train_step(run):
    env_steps = curve(run, "collection", "driving/env_steps")
    assert env_steps[-1][1] > 0
    assert all(0 <= step <= 60 for step, _ in env_steps)
    assert all(np.isfinite(loss) for _, loss in curve(run, "training", "losses/critic"))
    assert all(0 < step <= 60 and crashes >= 0 for step, crashes in curve(run, "evaluation", "laps/crashes"))
    for section, name in (("collection", "actions/turn"), ("training", "weights/actor/00_dense0_kernel")):
        events = EventAccumulator(str(run / "tensorboard" / section))
        events.Reload()
        rows = make_ndarray(events.Tensors(f"{section}/{name}")[-1].tensor_proto)
        assert rows.shape[1] == 3 and rows[:, 2].sum() > 0 and (rows[:, 0] <= rows[:, 1]).all()


def test_a_run_that_has_reached_its_end_says_how_to_extend_it(run):
    output = train(run.parent / "small.yaml", "--run-dir", run, "--train-steps", 60)
    assert "has reached its 60 train steps" in output and "--train-steps 120" in output


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_resume_then_a_signal_to_the_process_group(run, number):
    before = summary_of(run)
    process = start(run.parent / "small.yaml", "--run-dir", run, "--train-steps", 1_000_000)
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "train steps" in line and f"train steps {before['train_steps']:,} " not in line:
            break
    relatives = family(process)
    assert len(relatives) >= 8, "".join(lines)
    os.killpg(process.pid, number)
    rest, _ = process.communicate(timeout=PATIENCE_S)
    output = "".join(lines) + rest
    assert process.returncode == 128 + number, output
    assert f"at train step {before['train_steps']:,}" in output
    assert foreign_lines(output.splitlines()) == []
    _, alive = psutil.wait_procs(relatives, timeout=LONG_S)
    assert not alive, [relative.cmdline() for relative in alive]
    after = summary_of(run)
    assert after["train_steps"] > before["train_steps"]
    assert after["env_steps"] > before["env_steps"]
    assert after["wall_s"] > before["wall_s"]
    newest = max((run / "checkpoints").glob("step-*"))
    progress = json.loads((newest / "progress.json").read_text())
    assert progress["train_steps"] == after["train_steps"] == int(newest.name[5:])


def test_the_program_file_knows_every_process_and_that_all_have_ended(run):
    record = read_program(run)
    own = {"redis", "simulator-collect", "simulator-evaluate"}
    assert set(record.parts) - {"monitor"} == own | {"collector-0", "collector-1", "evaluator", "learner", "replay"}
    assert record.ended_at is not None and record.figures["train_steps"] > 0
    pids = {part.process.pid for part in record.parts.values()}
    assert len(pids) == len(record.parts) and record.launcher.pid not in pids
    assert [name for name, part in record.parts.items() if part.process.is_alive] == []
    assert read_status(run).state == "ended" and find_leftovers([run]) == []


def test_another_network_is_refused_on_resume(run):
    process = start(run.parent / "small.yaml", "--run-dir", run, "--agent.actor_layers", "[32]")
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    assert "agent.actor_layers is (32,)" in output and "(16,)" in output and "--fresh" in output
    assert "Traceback" not in output


@pytest.mark.parametrize(("algorithm", "privileged"), [("ddpg", False), ("rdpg", False), ("rtd3", True), ("td3", True)])
@pytest.mark.slow
def test_every_algorithm_runs(tmp_path, algorithm, privileged):
    recurrent = {"lstm_units": 8, "sequence_length": 6, "burn_in": 2}
    changes = {"agent": {"algorithm": algorithm, **recurrent, "privileged_critic": privileged, "critic_layer_norm": privileged}}
    train(write_config(tmp_path, **changes), "--run-dir", tmp_path / "run", "--train-steps", 20)
    assert summary_of(tmp_path / "run")["train_steps"] == 20
