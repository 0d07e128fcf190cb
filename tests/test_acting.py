import dataclasses
import itertools
import json
import math
import os
import shutil
import threading
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robotini_ray import acting
from robotini_ray.acting import (
    ExplorationNoise,
    NumpyPolicy,
    PolicyError,
    PolicyShelf,
    PolicySpec,
    load_policy,
    noise_ladder,
    save_policy,
)
from robotini_ray.config import config_from_dict

SMALL = {"observation_history": 1, "action_history": 1}


def spec_of(algorithm="td3", layers=(7, 5), lstm_units=3, **environment):
    return PolicySpec.from_config(
        config_from_dict(
            {
                "agent": {"algorithm": algorithm, "actor_layers": list(layers), "lstm_units": lstm_units},
                "environment": {**SMALL, **environment},
            }
        )
    )


def random_policy(spec, seed=0):
    policy = NumpyPolicy(spec)
    policy.set_weights(np.random.default_rng(seed).normal(0, 0.4, policy.flat_weights().shape).astype(np.float32))
    return policy


def sigmoid(x):
    return 1.0 / (1.0 + math.exp(-x))


def slow_dense(x, kernel, bias):
    return [sum(x[i] * float(kernel[i][j]) for i in range(len(x))) + float(bias[j]) for j in range(len(bias))]


def slow_act(policy, observation, state):
    """One car's action, number by number, from the definitions; Keras' order of an LSTM's gates is i, f, c, o."""
    weights, units = policy.weights, policy.spec.lstm_units
    x = [float(number) for number in observation]
    for index in range(len(policy.spec.layers)):
        x = [max(0.0, y) for y in slow_dense(x, weights[f"dense_{index}/kernel"], weights[f"dense_{index}/bias"])]
    if policy.spec.network == "lstm":
        hidden, cell = [float(h) for h in state[:units]], [float(c) for c in state[units:]]
        from_input = slow_dense(x, weights["lstm/kernel"], weights["lstm/bias"])
        from_hidden = slow_dense(hidden, weights["lstm/recurrent_kernel"], [0.0] * (4 * units))
        gates = [a + b for a, b in zip(from_input, from_hidden, strict=True)]
        for k in range(units):
            keep, forget = sigmoid(gates[k]), sigmoid(gates[units + k])
            candidate, out = math.tanh(gates[2 * units + k]), sigmoid(gates[3 * units + k])
            cell[k] = forget * cell[k] + keep * candidate
            hidden[k] = out * math.tanh(cell[k])
        x, state = hidden, hidden + cell
    return [math.tanh(y) for y in slow_dense(x, weights["action/kernel"], weights["action/bias"])], state


class TestNetworks:
    @pytest.mark.parametrize("algorithm", ["td3", "ddpg", "rdpg"])
    @pytest.mark.parametrize("layers", [(6,), (7, 5), (4, 3, 2)])
    def test_they_equal_the_slow_reference_over_a_sequence(self, algorithm, layers):
        policy = random_policy(spec_of(algorithm, layers), seed=len(layers))
        random = np.random.default_rng(1)
        cars = 3
        state = policy.initial_state(cars)
        slow_states = [list(row) for row in state]
        for _ in range(4):
            observations = random.uniform(-1, 1, (cars, 26)).astype(np.float32)
            given_state = state.copy()
            actions, next_state = policy.act(observations, state)
            np.testing.assert_array_equal(state, given_state)
            for car in range(cars):
                expected, slow_states[car] = slow_act(policy, observations[car], slow_states[car])
                np.testing.assert_allclose(actions[car], expected, rtol=0, atol=2e-6)
                np.testing.assert_allclose(next_state[car], slow_states[car], rtol=0, atol=2e-6)
            assert actions.dtype == next_state.dtype == np.float32
            state = next_state

    def test_observations_are_not_changed(self):
        policy = random_policy(spec_of())
        observations = np.ones((2, 26), np.float32)
        policy.act(observations, policy.initial_state(2))
        np.testing.assert_array_equal(observations, 1.0)

    def test_state_makes_a_difference(self):
        policy = random_policy(spec_of("rdpg"))
        observation = np.ones((1, 26), np.float32)
        first, state = policy.act(observation, policy.initial_state(1))
        second, _ = policy.act(observation, state)
        assert not np.array_equal(first, second)

    def test_huge_numbers_give_actions_at_the_ends(self):
        for algorithm in ("td3", "rdpg"):
            policy = random_policy(spec_of(algorithm))
            policy.set_weights(policy.flat_weights() * np.float32(1e6))
            actions, state = policy.act(np.full((1, 26), 1e4, np.float32), policy.initial_state(1))
            assert np.all(np.abs(actions) <= 1.0) and np.all(np.isfinite(state))

    def test_no_weights_drive_neutrally(self):
        policy = NumpyPolicy(spec_of("rdpg"))
        actions, _ = policy.act(np.ones((2, 26), np.float32), policy.initial_state(2))
        np.testing.assert_array_equal(actions, np.zeros((2, 2)))


class TestWeights:
    def test_the_flat_vector_is_in_the_order_of_the_shapes(self):
        policy = NumpyPolicy(spec_of("rdpg"))
        policy.set_weights(np.arange(len(policy.flat_weights()), dtype=np.float32))
        start = 0
        for name, shape in policy.spec.weight_shapes().items():
            stop = start + math.prod(shape)
            np.testing.assert_array_equal(policy.weights[name], np.arange(start, stop).reshape(shape))
            start = stop
        assert start == len(policy.flat_weights())

    def test_shapes(self):
        assert spec_of("rdpg", (7,), 3).weight_shapes() == {
            "dense_0/kernel": (26, 7),
            "dense_0/bias": (7,),
            "lstm/kernel": (7, 12),
            "lstm/recurrent_kernel": (3, 12),
            "lstm/bias": (12,),
            "action/kernel": (3, 2),
            "action/bias": (2,),
        }

    def test_the_vector_is_copied_in_and_out(self):
        policy = NumpyPolicy(spec_of())
        given_weights = np.ones_like(policy.flat_weights())
        policy.set_weights(given_weights)
        given_weights[:] = 5
        policy.flat_weights()[:] = 7
        np.testing.assert_array_equal(policy.flat_weights(), 1.0)

    def test_another_length_is_refused(self):
        policy = NumpyPolicy(spec_of())
        with pytest.raises(PolicyError, match="not the same network"):
            policy.set_weights(policy.flat_weights()[:-1])


class TestFiles:
    @pytest.mark.parametrize("algorithm", ["td3", "rdpg"])
    def test_a_saved_policy_comes_back_bit_by_bit(self, tmp_path, algorithm):
        policy = random_policy(spec_of(algorithm, turn_limit=0.7, throttle_high=0.123456789))
        facts = {"train_step": 12, "evaluation": {"best_lap_s": None, "laps": [9.5]}}
        save_policy(tmp_path / "deep" / "policy", policy, facts)
        again, found = load_policy(tmp_path / "deep" / "policy")
        assert again.spec == policy.spec
        assert again.flat_weights().tobytes() == policy.flat_weights().tobytes()
        assert found == facts
        assert again.spec.environment() == dataclasses.replace(
            policy.spec.environment(), turn_limit=0.7, throttle_high=0.123456789
        )

    def test_a_directory_that_is_there_is_not_written_over(self, tmp_path):
        with pytest.raises(FileExistsError):
            save_policy(tmp_path, NumpyPolicy(spec_of()), {})

    def test_tracks_are_kept_by_name(self):
        config = config_from_dict({"simulator": {"track": "/far/away/ring.json"}})
        assert PolicySpec.from_config(config).track == "ring.json"


@pytest.fixture
def saved(tmp_path):
    """A whole policy directory, to be damaged."""
    directory = tmp_path / "policy"
    save_policy(directory, random_policy(spec_of("rdpg")), {"train_step": 1})
    return directory


def refusal(directory):
    with pytest.raises(PolicyError) as caught:
        load_policy(directory)
    message = str(caught.value)
    assert message.splitlines() == [message] and str(directory) in message
    return message


def change_spec(directory, **fields):
    path = directory / "policy.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


class TestDamage:
    def test_no_directory_at_all(self, tmp_path):
        assert refusal(tmp_path / "no").endswith("holds no policy: policy.json is missing")
        (tmp_path / "file").touch()
        refusal(tmp_path / "file")

    @pytest.mark.parametrize("name", ["policy.json", "weights.npz"])
    def test_missing_files_are_named(self, saved, name):
        (saved / name).unlink()
        assert refusal(saved).endswith(f"holds no policy: {name} is missing")

    @pytest.mark.parametrize("name", ["policy.json", "weights.npz"])
    @pytest.mark.parametrize("content", [b"", b"\xff\xfe\n\n", b"null", b"5", b"[]", b'"text"', b"{}", b"PK\x03\x04", b"\x93NUMPY"])
    def test_other_content(self, saved, name, content):
        (saved / name).write_bytes(content)
        refusal(saved)

    @pytest.mark.parametrize("name", ["policy.json", "weights.npz"])
    def test_a_directory_in_place_of_a_file(self, saved, name):
        (saved / name).unlink()
        (saved / name).mkdir()
        refusal(saved)

    @settings(deadline=None, max_examples=30)
    @given(share=st.floats(0, 0.99))
    def test_files_cut_short(self, share, tmp_path_factory):
        directory = tmp_path_factory.mktemp("cut") / "policy"
        save_policy(directory, random_policy(spec_of()), {})
        for name in ("weights.npz", "policy.json"):
            whole = (directory / name).read_bytes()
            (directory / name).write_bytes(whole[: int(share * len(whole.strip()))])
            refusal(directory)
            (directory / name).write_bytes(whole)

    @settings(deadline=None, max_examples=150)
    @given(place=st.integers(0, 10**6), mask=st.integers(1, 255))
    def test_a_changed_byte_of_the_weights_is_found_or_does_not_matter(self, place, mask, tmp_path_factory):
        directory = tmp_path_factory.getbasetemp() / "flipped"
        policy = random_policy(spec_of(layers=(3,)))
        shutil.rmtree(directory, ignore_errors=True)
        save_policy(directory, policy, {})
        data = bytearray((directory / "weights.npz").read_bytes())
        data[place % len(data)] ^= mask
        (directory / "weights.npz").write_bytes(data)
        try:
            again, _ = load_policy(directory)
        except PolicyError as error:
            assert len(str(error).splitlines()) == 1
        else:
            assert again.flat_weights().tobytes() == policy.flat_weights().tobytes()

    @pytest.mark.parametrize(
        "fields",
        [
            {"format": 2},
            {"format": None},
            {"network": "gru"},
            {"network": "mlp"},
            {"layers": [7]},
            {"layers": [7, 6]},
            {"layers": [7, 0]},
            {"layers": [7, -5]},
            {"layers": [7, 5.0]},
            {"layers": ["7", "5"]},
            {"layers": 7},
            {"layers": None},
            {"layers": [7, 10**12]},
            {"lstm_units": 0},
            {"lstm_units": 4},
            {"lstm_units": None},
            {"image_width": 4},
            {"image_width": "wide"},
            {"throttle_low": 0.9},
            {"turn_limit": float("nan")},
            {"action_repeat": 0},
            {"observation_history": 2},
            {"action_history": True},
            {"merge_frames": 1},
            {"track": 5},
            {"algorithm": None},
            {"unknown": 1},
        ],
    )  # fmt: skip
    def test_specs_that_are_none_or_not_of_these_weights(self, saved, fields):
        change_spec(saved, **fields)
        refusal(saved)

    @pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(PolicySpec)])
    def test_every_field_of_a_spec_must_be_there(self, saved, name):
        fields = json.loads((saved / "policy.json").read_text())
        del fields[name]
        (saved / "policy.json").write_text(json.dumps(fields))
        refusal(saved)

    def test_whole_numbers_are_whole_after_loading(self, saved):
        change_spec(saved, image_width=128.0, action_repeat=3.0)
        spec = load_policy(saved)[0].spec
        assert type(spec.image_width) is int and type(spec.action_repeat) is int

    def test_facts_may_be_missing(self, saved):
        fields = json.loads((saved / "policy.json").read_text())
        del fields["facts"]
        (saved / "policy.json").write_text(json.dumps(fields))
        assert load_policy(saved)[1] == {}

    @pytest.mark.parametrize(
        "array", [np.zeros((2, 2), np.float32), np.zeros(2), np.zeros(2, np.int32), np.zeros(2, complex), np.array(["a", "b"])]
    )
    def test_arrays_of_another_shape_or_type_are_named(self, saved, array):
        weights = dict(np.load(saved / "weights.npz"))
        np.savez(saved / "weights.npz", **{**weights, "action/bias": array})
        assert "action/bias" in refusal(saved)

    def test_missing_arrays_are_named(self, saved):
        weights = dict(np.load(saved / "weights.npz"))
        del weights["lstm/bias"]
        np.savez(saved / "weights.npz", **weights)
        assert "has nothing as lstm/bias" in refusal(saved)

    def test_pickles_are_not_opened(self, saved, tmp_path):
        class Trap:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "sprung"),)

        weights = dict(np.load(saved / "weights.npz"))
        trap = np.empty(1, object)
        trap[0] = Trap()
        np.savez(saved / "weights.npz", **{**weights, "action/bias": trap})
        refusal(saved)
        assert not (tmp_path / "sprung").exists()

    def test_a_zip_of_other_things(self, saved):
        with zipfile.ZipFile(saved / "weights.npz", "w") as archive:
            archive.writestr("action/bias.npy", "not an array")
        refusal(saved)


class TestShelf:
    @staticmethod
    def put(shelf, number, *names):
        policy = NumpyPolicy(spec_of(layers=(3,)))
        policy.set_weights(np.full_like(policy.flat_weights(), number))
        version = shelf.version(f"step-{number:09d}")
        save_policy(version, policy, {"train_step": number})
        for name in names:
            shelf.point(name, version)

    def test_names_mean_versions_and_unnamed_ones_go(self, tmp_path):
        shelf = PolicyShelf(tmp_path)
        self.put(shelf, 1, "latest", "best")
        self.put(shelf, 2, "latest")
        assert load_policy(tmp_path / "best")[1]["train_step"] == 1
        assert load_policy(tmp_path / "latest")[1]["train_step"] == 2
        self.put(shelf, 3, "latest")
        assert {path.name for path in (tmp_path / "versions").iterdir()} == {"step-000000001", "step-000000003"}
        self.put(shelf, 4, "latest", "best")
        assert {path.name for path in (tmp_path / "versions").iterdir()} == {"step-000000004"}

    def test_links_stand_when_the_run_is_moved(self, tmp_path):
        shelf = PolicyShelf(tmp_path / "run" / "policies")
        self.put(shelf, 1, "best")
        (tmp_path / "run").rename(tmp_path / "elsewhere")
        assert load_policy(tmp_path / "elsewhere" / "policies" / "best")[1] == {"train_step": 1}

    def test_another_start_goes_on_and_clears_what_was_left(self, tmp_path):
        self.put(PolicyShelf(tmp_path), 1, "best")
        (tmp_path / ".best.new").symlink_to("nowhere")  # killed between link and rename
        shelf = PolicyShelf(tmp_path)
        shelf.version("torn").mkdir()  # killed while it was written
        assert load_policy(tmp_path / "best")[1] == {"train_step": 1}
        self.put(shelf, 2, "best")
        assert [path.name for path in (tmp_path / "versions").iterdir()] == ["step-000000002"]
        assert sorted(path.name for path in tmp_path.iterdir()) == ["best", "versions"]

    def test_a_reader_never_sees_half_of_a_swap(self, tmp_path):
        shelf = PolicyShelf(tmp_path)
        self.put(shelf, 0, "best")
        ended, loads, failures = threading.Event(), itertools.count(), []

        def read():
            newest = 0
            while not ended.is_set():
                try:
                    policy, facts = load_policy(tmp_path / "best")
                    assert set(policy.flat_weights()) == {facts["train_step"]}, "facts and weights of two versions"
                    assert facts["train_step"] >= newest, "an older version after a newer one"
                    newest = facts["train_step"]
                except Exception as error:  # for the main thread
                    failures.append(error)
                    return
                next(loads)

        readers = [threading.Thread(target=read) for _ in range(2)]
        for reader in readers:
            reader.start()
        for number in range(1, 161):
            self.put(shelf, number, "best")
        ended.set()
        for reader in readers:
            reader.join(20)
        assert not failures
        assert next(loads) >= 20

    @pytest.mark.parametrize("name", ["policy.json", "weights.npz"])
    def test_a_swap_before_any_file_is_read_is_not_seen(self, tmp_path, monkeypatch, name):
        shelf = PolicyShelf(tmp_path)
        self.put(shelf, 1, "best")
        swapped = []

        def swap_before(path):
            if path.name == name and not swapped:
                swapped.append(True)
                self.put(shelf, 2, "best")

        read_text, load = acting.Path.read_text, np.load
        monkeypatch.setattr(acting.Path, "read_text", lambda path: swap_before(path) or read_text(path))
        monkeypatch.setattr(np, "load", lambda path, **options: swap_before(path) or load(path, **options))
        policy, facts = load_policy(tmp_path / "best")
        assert facts == {"train_step": 2} and set(policy.flat_weights()) == {2.0}


class TestNoise:
    def test_a_ladder_is_geometric_from_low_to_high(self):
        ladder = noise_ladder(6, 0.05, 0.4)
        assert ladder[0] == pytest.approx(0.05) and ladder[-1] == pytest.approx(0.4)
        ratios = [b / a for a, b in itertools.pairwise(ladder)]
        assert ratios == pytest.approx([8 ** (1 / 5)] * 5)

    @settings(deadline=None)
    @given(cars=st.integers(1, 40), low=st.floats(0, 2), high=st.floats(0, 2))
    def test_any_ladder_has_a_rung_for_each_car_between_its_ends(self, cars, low, high):
        ladder = noise_ladder(cars, low, high)
        assert len(ladder) == cars
        assert all(type(step) is float for step in ladder)
        slack = 1e-9 * max(low, high)
        assert all(min(low, high) - slack <= step <= max(low, high) + slack for step in ladder)
        steps = [b - a if low <= high else a - b for a, b in itertools.pairwise(ladder)]
        assert all(step >= -slack for step in steps)

    @pytest.mark.parametrize("damping", [0.05, 0.15, 0.3, 0.7, 1.0])
    @pytest.mark.parametrize("stddev", [0.1, 0.4])
    def test_the_standard_deviation_is_the_promised_one_for_every_damping(self, stddev, damping):
        noise = ExplorationNoise(stddev, damping, seed=1)
        samples = np.array([noise.sample() for _ in range(22_000)])[2000:]
        independent = len(samples) * damping  # about: correlation dies out within 1 / damping samples
        assert samples.std(axis=0) == pytest.approx(stddev, rel=5 / math.sqrt(independent))
        assert np.abs(samples.mean(axis=0)).max() < 5 * stddev * math.sqrt(2 / independent)
        correlation = [np.corrcoef(samples[:-1, k], samples[1:, k])[0, 1] for k in (0, 1)]
        assert correlation == pytest.approx([1 - damping] * 2, abs=0.05)
        assert abs(np.corrcoef(samples[:, 0], samples[:, 1])[0, 1]) < 5 / math.sqrt(independent)

    def test_seeds_make_the_difference(self):
        def walk(seed):
            noise = ExplorationNoise(0.3, 0.2, seed)
            return np.array([noise.sample() for _ in range(50)])

        np.testing.assert_array_equal(walk(3), walk(3))
        assert not np.isclose(walk(3), walk(4)).any()

    def test_samples_are_the_callers_own(self):
        noise = ExplorationNoise(0.3, 0.2, 0)
        first = noise.sample()
        kept = first.copy()
        noise.sample()
        np.testing.assert_array_equal(first, kept)
        assert first.dtype == np.float32 and first.shape == (2,)

    def test_no_noise_is_none(self):
        noise = ExplorationNoise(0.0, 0.3, 0)
        np.testing.assert_array_equal([noise.sample() for _ in range(5)], np.zeros((5, 2)))
