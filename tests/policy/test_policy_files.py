import dataclasses
import itertools
import json
import os
import shutil
import threading
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robotini_ray.config import config_from_dict
from robotini_ray.policy import policy_files, policy_spec
from robotini_ray.policy.numpy_policy import NumpyPolicy
from robotini_ray.policy.policy_files import PolicyShelf, load_policy, save_policy
from robotini_ray.policy.policy_spec import PolicyError, PolicySpec
from tests.full_disk import file_size_limit
from tests.waiting import LONG_S

LATER_FIELDS = ("throttle_scale", "features", "frames_per_s", "program_version")
"""What policies of the first runs do not say: it had only one value then."""

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

    def test_one_that_cannot_be_written_leaves_nothing(self, tmp_path):
        with file_size_limit(1000), pytest.raises(OSError):
            save_policy(tmp_path / "policy", random_policy(spec_of()), {})
        assert list(tmp_path.iterdir()) == []

    def test_tracks_are_kept_by_name(self):
        config = config_from_dict({"simulator": {"track": "/far/away/ring.json"}})
        assert PolicySpec.from_config(config).track == "ring.json"

    @pytest.mark.parametrize(
        ("fields", "both"),
        [
            ({"features": "pixels"}, ["'pixels'", f"'{policy_spec.FEATURES}'"]),
            ({"frames_per_s": 30}, ["30 frames/s", "drives at 60"]),
            ({"format": 9}, ["format 9", "reads format 1"]),
            ({"image_width": 200}, ["image_width is 200", "from 8 to 128"]),
            ({"throttle_high": 1.5}, ["throttle_high is 1.5", "0 to 1"]),
            ({"observation_history": 2}, ["float32(26, 7)", "float32(50, 7)"]),
        ],
    )
    def test_what_this_program_cannot_drive_is_refused_with_both_values(self, tmp_path, fields, both):
        save_policy(tmp_path / "policy", random_policy(spec_of()), {})
        change_spec(tmp_path / "policy", **fields)
        message = refusal(tmp_path / "policy")
        assert all(value in message for value in both), message

    def test_policies_from_before_these_fields_still_drive(self, tmp_path):
        save_policy(tmp_path / "policy", random_policy(spec_of()), {})
        path = tmp_path / "policy" / "policy.json"
        fields = json.loads(path.read_text())
        for name in LATER_FIELDS:
            del fields[name]
        path.write_text(json.dumps(fields))
        assert load_policy(tmp_path / "policy")[0].spec == spec_of()


class TestFit:
    @pytest.mark.parametrize(
        ("name", "other"),
        [
            ("image_width", 16),
            ("throttle_low", 0.01),
            ("throttle_high", 0.9),
            ("throttle_scale", "exponential"),
            ("turn_limit", 0.5),
            ("action_repeat", 7),
            ("observation_history", 3),
            ("action_history", 0),
            ("merge_frames", True),
        ],
    )
    def test_another_environment_is_refused_with_both_values(self, name, other):
        spec = spec_of()
        spec.check_fits(spec.environment())
        with pytest.raises(PolicyError, match=rf"environment\.{name} {getattr(spec, name)}, but the environment has {other}"):
            spec.check_fits(dataclasses.replace(spec.environment(), **{name: other}))


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


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_part_of_the_policy(saved, encoding):
    path = saved / "policy.json"
    path.write_text(path.read_text(), encoding=encoding)
    assert load_policy(saved)[1] == {"train_step": 1}


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
    @pytest.mark.parametrize(
        "content", [b"", b"\xff\xfe\n\n", b"null", b"5", b"[]", b'"text"', b"{}", b"PK\x03\x04", b"\x93NUMPY"]
    )
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
            {"throttle_scale": "square"},
            {"throttle_scale": None},
            {"turn_limit": float("nan")},
            {"action_repeat": 0},
            {"observation_history": 2},
            {"action_history": True},
            {"merge_frames": 1},
            {"track": 5},
            {"algorithm": None},
            {"features": "pixels"},
            {"frames_per_s": 30},
            {"program_version": 2},
            {"unknown": 1},
            {"facts": []},
            {"facts": None},
        ],
    )  # fmt: skip
    def test_specs_that_are_none_or_not_of_these_weights(self, saved, fields):
        change_spec(saved, **fields)
        refusal(saved)

    @pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(PolicySpec) if field.name not in LATER_FIELDS])
    def test_every_field_of_a_spec_must_be_there(self, saved, name):
        fields = json.loads((saved / "policy.json").read_text())
        del fields[name]
        (saved / "policy.json").write_text(json.dumps(fields))
        refusal(saved)

    def test_a_network_that_nobody_knows_is_not_taken_for_another(self, tmp_path):
        save_policy(tmp_path / "policy", random_policy(spec_of()), {})
        change_spec(tmp_path / "policy", network="gru")
        assert "network is 'gru'; allowed: mlp, lstm" in refusal(tmp_path / "policy")

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

    @pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
    def test_weights_that_are_not_finite_are_refused_by_name(self, saved, number):
        weights = dict(np.load(saved / "weights.npz"))
        weights["lstm/kernel"][1, 2] = number
        np.savez(saved / "weights.npz", **weights)
        assert "weights.npz has numbers that are not finite (nan or inf) for lstm/kernel" in refusal(saved)

    @pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
    def test_weights_that_are_not_finite_are_not_written(self, tmp_path, number):
        policy = random_policy(spec_of())
        policy.weights["dense_1/bias"][0] = number
        with pytest.raises(PolicyError, match="the policy is not written: its dense_1/bias has numbers"):
            save_policy(tmp_path / "policy", policy, {})
        assert list(tmp_path.iterdir()) == []

    def test_missing_arrays_are_named(self, saved):
        weights = dict(np.load(saved / "weights.npz"))
        del weights["lstm/bias"]
        np.savez(saved / "weights.npz", **weights)
        assert "has no array for lstm/bias" in refusal(saved)

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

    def test_a_file_that_unpacks_to_far_more_is_not_unpacked(self, saved):
        weights = dict(np.load(saved / "weights.npz"))
        np.savez_compressed(saved / "weights.npz", **{**weights, "action/bias": np.zeros(50_000_000, np.float32)})
        assert (saved / "weights.npz").stat().st_size < 10**6
        tracemalloc.start()
        try:
            assert "holds more for action/bias than the 8 bytes that policy.json requires" in refusal(saved)
            assert tracemalloc.get_traced_memory()[1] < 20_000_000
        finally:
            tracemalloc.stop()

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
        ended, swaps_seen, failures = threading.Event(), [], []

        def read():
            newest = 0
            while not ended.is_set():
                try:
                    policy, facts = load_policy(tmp_path / "best")
                    assert set(policy.flat_weights()) == {facts["train_step"]}, "facts and weights of two versions"
                    assert facts["train_step"] >= newest, "an older version after a newer one"
                    if facts["train_step"] > newest:
                        swaps_seen.append(newest)
                    newest = facts["train_step"]
                except Exception as error:  # for the main thread
                    failures.append(error)
                    return

        reader = threading.Thread(target=read)  # one: CPython 3.11 may fail where two threads parse the heads of arrays
        reader.start()
        numbers = itertools.count(1)
        while len(swaps_seen) < 80 and not failures:
            self.put(shelf, next(numbers), "best")
        ended.set()
        reader.join(LONG_S)
        assert not reader.is_alive() and not failures

    @pytest.mark.parametrize("name", ["policy.json", "weights.npz"])
    def test_a_swap_before_any_file_is_read_is_not_seen(self, tmp_path, monkeypatch, name):
        shelf = PolicyShelf(tmp_path)
        self.put(shelf, 1, "best")
        swapped = []

        def swap_before(path):
            if path.name == name and not swapped:
                swapped.append(True)
                self.put(shelf, 2, "best")

        read_bytes, load = policy_files.Path.read_bytes, np.load
        monkeypatch.setattr(policy_files.Path, "read_bytes", lambda path: swap_before(path) or read_bytes(path))
        monkeypatch.setattr(np, "load", lambda path, **options: swap_before(path) or load(path, **options))
        policy, facts = load_policy(tmp_path / "best")
        assert facts == {"train_step": 2} and set(policy.flat_weights()) == {2.0}
