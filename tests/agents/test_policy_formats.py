"""``export`` and ``import`` through the command line, against TF-Agents, TFLite and ONNX themselves."""

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.agents.ddpg import actor_rnn_network
from tf_agents.policies import actor_policy, policy_saver
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step

from robotini_ray import launch
from robotini_ray.agents import policy_formats
from robotini_ray.agents.policy_formats import ExportError
from robotini_ray.config import config_from_dict
from robotini_ray.policy.numpy_policy import NumpyPolicy
from robotini_ray.policy.policy_files import load_policy, save_policy
from robotini_ray.policy.policy_spec import PolicySpec


def run(*words):
    return launch.main([str(word) for word in words])


def policy_of(algorithm):
    agent = {"algorithm": algorithm, "actor_layers": [12, 8], "lstm_units": 5}
    policy = NumpyPolicy(PolicySpec.from_config(config_from_dict({"agent": agent, "environment": {"turn_limit": 0.7}})))
    weights = np.random.default_rng(2).normal(0, 0.4, policy.flat_weights().shape)
    policy.set_weights(weights.astype(np.float32))
    return policy


@pytest.fixture(scope="module", params=["td3", "rdpg"])
def saved(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp("policies") / request.param
    save_policy(directory, policy_of(request.param), {"train_step": 7})
    return directory


def first_action(policy, observation):
    return policy.act(observation, policy.initial_state(1))[0]


@pytest.fixture
def observation(saved):
    size = load_policy(saved)[0].spec.environment().observation_size
    return np.random.default_rng(5).uniform(0, 1, (1, size)).astype(np.float32)


class TestExport:
    def test_npz_is_the_policy_itself(self, saved, tmp_path, capsys):
        assert run("export", "--policy", saved, "--format", "npz", "-o", tmp_path / "out") == 0
        policy, facts = load_policy(tmp_path / "out")
        assert facts == {"train_step": 7} and policy.spec == load_policy(saved)[0].spec
        np.testing.assert_array_equal(policy.flat_weights(), load_policy(saved)[0].flat_weights())
        assert capsys.readouterr().err.endswith(f"{tmp_path}/out: policy.json, weights.npz\n")

    def test_saved_model(self, saved, tmp_path, observation):
        assert run("export", "--policy", saved, "--format", "savedmodel", "-o", tmp_path / "out") == 0
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["policy.json", "saved_model"]
        loaded = tf.saved_model.load(str(tmp_path / "out" / "saved_model"))
        step = time_step.restart(tf.constant(observation), batch_size=1)
        action = loaded.action(step, loaded.get_initial_state(1)).action.numpy()
        np.testing.assert_allclose(action, first_action(load_policy(saved)[0], observation), atol=1e-5)

    def test_tflite(self, saved, tmp_path, observation):
        assert run("export", "--policy", saved, "--format", "tflite", "-o", tmp_path / "out") == 0
        policy = load_policy(saved)[0]
        runner = tf.lite.Interpreter(model_path=str(tmp_path / "out" / "policy.tflite")).get_signature_runner()
        state = {"state": policy.initial_state(1)} if policy.spec.state_size else {}
        found = runner(observation=observation, **state)
        assert set(found) == {"action", "next_state"} if state else {"action"}
        np.testing.assert_allclose(found["action"], first_action(policy, observation), atol=1e-5)

    def test_onnx(self, saved, tmp_path, observation):
        reference = pytest.importorskip("onnx.reference")
        pytest.importorskip("tf2onnx")
        assert run("export", "--policy", saved, "--format", "onnx", "-o", tmp_path / "out") == 0
        evaluator = reference.ReferenceEvaluator(str(tmp_path / "out" / "policy.onnx"))
        policy = load_policy(saved)[0]
        state = {"state": policy.initial_state(1)} if policy.spec.state_size else {}
        found = dict(zip(evaluator.output_names, evaluator.run(None, {"observation": observation, **state}), strict=True))
        np.testing.assert_allclose(found["action"], first_action(policy, observation), atol=1e-5)

    def test_onnx_without_its_packages_says_what_to_install(self, saved, tmp_path, monkeypatch, capsys):
        monkeypatch.setitem(__import__("sys").modules, "tf2onnx", None)
        assert run("export", "--policy", saved, "--format", "onnx", "-o", tmp_path / "out") == 2
        err = capsys.readouterr().err
        assert "--format onnx needs the package tf2onnx of the extra `onnx`: in a checkout, run `.venv/bin/pip install" in err
        assert list(tmp_path.iterdir()) == []

    def test_outputs_that_differ_are_not_kept(self, saved, tmp_path, monkeypatch, capsys):
        step = policy_formats._StepModule.step

        def slightly_else(self, observation, state=None):
            found = step(self, observation, state)
            return {**found, "action": found["action"] * 1.001}

        monkeypatch.setattr(policy_formats._StepModule, "step", slightly_else)
        assert run("export", "--policy", saved, "--format", "tflite", "-o", tmp_path / "out") == 2
        assert "policy.tflite acts differently from the policy: by 0.00" in capsys.readouterr().err
        assert list(tmp_path.iterdir()) == []

    def test_the_check_finds_a_state_that_is_not_carried_on(self, tmp_path):
        policy = policy_of("rdpg")
        with pytest.raises(ExportError):
            policy_formats._check(policy, lambda x, _: policy.act(x, policy.initial_state(1)), Path("a"))

    @pytest.mark.parametrize("wrong_step", [0, 3, policy_formats.CHECKED_STEPS - 1])
    def test_the_check_finds_an_action_that_is_no_number(self, wrong_step):
        policy, steps = policy_of("td3"), itertools.count()

        def step(observation, state):
            action, state = policy.act(observation, state)
            return action * (np.nan if next(steps) == wrong_step else 1), state

        with pytest.raises(ExportError, match="a acts differently from the policy: by nan"):
            policy_formats._check(policy, step, Path("a"))

    @pytest.mark.parametrize("format", ["npz", "tflite"])
    def test_a_policy_with_weights_that_are_not_finite_is_not_exported(self, saved, tmp_path, capsys, format):
        shutil.copytree(saved, tmp_path / "bad")
        weights = dict(np.load(tmp_path / "bad" / "weights.npz"))
        weights["action/bias"][0] = np.nan
        np.savez(tmp_path / "bad" / "weights.npz", **weights)
        assert run("export", "--policy", tmp_path / "bad", "--format", format, "-o", tmp_path / "out") == 2
        assert "not finite (nan or inf) for action/bias" in capsys.readouterr().err
        assert [path.name for path in tmp_path.iterdir()] == ["bad"]

    def test_what_exists_is_not_written_over(self, saved, tmp_path, capsys):
        assert run("export", "--policy", saved, "--format", "npz", "-o", tmp_path) == 2
        assert f"-o is {tmp_path}, which exists: give a new directory" in capsys.readouterr().err


def save_original(directory, layers=(16, 12), units=6, shape=(8, 3), turn=(-1.0, 1.0)):
    """A policy as the original trainer saves it, with TF-Agents' own networks; the policy too."""
    specs = time_step.time_step_spec(tensor_spec.BoundedTensorSpec(shape, tf.float32, 0.0, 1.0, "observation"))
    action_spec = tensor_spec.BoundedTensorSpec((2,), tf.float32, [0.02, turn[0]], [0.1, turn[1]], "forward_and_turn")
    network = actor_rnn_network.ActorRnnNetwork(
        specs.observation, action_spec, input_fc_layer_params=layers, lstm_size=(units,), output_fc_layer_params=None
    )
    network.create_variables()
    policy = actor_policy.ActorPolicy(specs, action_spec, network)
    random = np.random.default_rng(3)
    for variable in network.variables:
        variable.assign(random.normal(0, 0.5, variable.shape))
    policy_saver.PolicySaver(policy, batch_size=1, train_step=tf.Variable(11, dtype=tf.int64)).save(str(directory))
    return policy


class TestImport:
    def test_it_drives_like_the_original(self, tmp_path, capsys):
        original = save_original(tmp_path / "theirs")
        assert run("import", tmp_path / "theirs", "-o", tmp_path / "ours", "--track", "oval") == 0
        err = capsys.readouterr().err
        assert "not run" in err and '24-16-12-LSTM 6-2, {"throttle": [0.02, 0.1], "turn": 1.0}' in err
        policy, facts = load_policy(tmp_path / "ours")
        assert facts == {"imported_from": "theirs"}
        spec = policy.spec
        assert (spec.image_width, spec.action_repeat, spec.merge_frames, spec.track) == (128, 1, True, "oval")
        random = np.random.default_rng(4)
        state, their_state = policy.initial_state(1), original.get_initial_state(1)
        for _ in range(20):
            features = random.uniform(0, 1, (1, 8, 3)).astype(np.float32)
            theirs = original.action(time_step.transition(tf.constant(features), reward=tf.zeros(1)), their_state)
            their_state = theirs.state
            actions, state = policy.act(features.reshape(1, 24), state)
            ours = [0.02 + 0.5 * (actions[0, 0] + 1) * 0.08, actions[0, 1]]
            np.testing.assert_allclose(ours, theirs.action.numpy()[0], atol=1e-5)

    def test_the_published_size(self, tmp_path):
        save_original(tmp_path / "theirs", layers=(512, 256), units=256)
        assert run("import", tmp_path / "theirs", "-o", tmp_path / "ours") == 0
        spec = json.loads((tmp_path / "ours" / "policy.json").read_text())
        assert (spec["layers"], spec["lstm_units"]) == ([512, 256], 256)

    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ({"shape": (4, 3)}, "shape [4, 3]"),
            ({"turn": (-1.0, 0.5)}, "turns go from -1 to 0.5"),
            ({"layers": None}, "(24, 24)"),
        ],
    )
    def test_other_policies_are_refused(self, tmp_path, capsys, settings, said):
        save_original(tmp_path / "theirs", **settings)
        assert run("import", tmp_path / "theirs", "-o", tmp_path / "ours") == 2
        err = capsys.readouterr().err.splitlines()
        assert err[-1].startswith("robotini: ") and said in err[-1]
        assert not (tmp_path / "ours").exists()

    def test_files_that_are_missing_or_torn_are_named(self, tmp_path, capsys):
        assert run("import", tmp_path / "no", "-o", tmp_path / "ours") == 2
        assert "no is not a SavedModel: it has no directory named variables" in capsys.readouterr().err
        save_original(tmp_path / "theirs")
        index = tmp_path / "theirs" / "variables" / "variables.index"
        index.write_bytes(index.read_bytes()[:40])
        assert run("import", tmp_path / "theirs", "-o", tmp_path / "ours") == 2
        assert "variables holds no readable variables" in capsys.readouterr().err
        (tmp_path / "theirs" / "policy_specs.pbtxt").unlink()
        assert run("import", tmp_path / "theirs", "-o", tmp_path / "ours") == 2
        assert "policy_specs.pbtxt is missing" in capsys.readouterr().err
