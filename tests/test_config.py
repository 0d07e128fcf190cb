import dataclasses
import re
import typing
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from robotini_ray import config as config_module
from robotini_ray.config import Config, ConfigError, config_from_dict, load_config, load_saved_config, save_config

SECTIONS = {
    field.name: typing.get_type_hints(Config)[field.name] for field in dataclasses.fields(Config) if field.name != "simulators"
}
SETTINGS = [
    (section, field, typing.get_type_hints(kind)[field.name])
    for section, kind in SECTIONS.items()
    for field in dataclasses.fields(kind)
]
NUMBERS = [
    (section, field, hint)
    for section, field, hint in SETTINGS
    if {int, float} & {hint, *typing.get_args(hint)} and typing.get_origin(hint) is not tuple
]
SHIPPED = sorted((Path(config_module.__file__).parents[1] / "launch").glob("*.yaml"))


def values_of(field, hint):
    """Values that a setting allows."""
    parts = typing.get_args(hint)
    if type(None) in parts:
        inner = next(part for part in parts if part is not type(None))
        return st.none() | values_of(field, inner)
    if typing.get_origin(hint) is typing.Literal:
        return st.sampled_from(parts)
    low, high = field.metadata["low"], field.metadata["high"]
    if hint is bool:
        return st.booleans()
    if hint is int:
        return st.integers(low, high)
    if hint is float:
        return st.floats(low, high)
    if hint is str:
        return st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)
    assert typing.get_origin(hint) is tuple
    if Ellipsis not in parts:
        number = st.integers(low, high) if parts[0] is int else st.floats(low, high)
        return st.tuples(number, number).map(sorted)
    return st.lists(st.integers(low, high), min_size=1, max_size=4)


def trees():
    """Config files that are right one value at a time: sections and keys are left out at will."""
    sections = {}
    for section, kind in SECTIONS.items():
        hints = typing.get_type_hints(kind)
        keys = {field.name: values_of(field, hints[field.name]) for field in dataclasses.fields(kind)}
        sections[section] = st.fixed_dictionaries({}, optional=keys)
    return st.fixed_dictionaries({}, optional=sections)


@st.composite
def configs(draw):
    """Whole configs; what sections ask of each other is mended."""
    tree = draw(trees())
    environment, replay = tree.get("environment", {}), tree.get("replay", {})
    if environment.get("throttle_low", 0.02) >= environment.get("throttle_high", 0.1):
        environment.update(throttle_low=0.0, throttle_high=1.0)
    if not environment.get("throttle_low", 0.02):
        environment["throttle_scale"] = "linear"
    if replay.get("min_items", 1000) > replay.get("capacity", 200_000):
        replay.update(min_items=1, capacity=100)
    if tree.get("agent", {}).get("horizon_s", 5.0) * 60 <= environment.get("action_repeat", 3):
        tree["agent"]["horizon_s"] = 1.0
    return config_from_dict(tree)


def refusal(call, *arguments):
    """The message of a refusal, which must be one line."""
    with pytest.raises(ConfigError) as caught:
        call(*arguments)
    message = str(caught.value)
    assert message.splitlines() == [message]
    return message


def loaded(tmp_path, text, **overrides):
    path = tmp_path / "run.yaml"
    path.write_bytes(text) if isinstance(text, bytes) else path.write_text(text)
    return load_config(path, {key.replace("__", "."): value for key, value in overrides.items()})


class TestSavedConfig:
    def test_an_equal_one_is_left_alone(self, tmp_path):
        path = tmp_path / "config.yaml"
        save_config(Config(), path)
        before = path.stat()
        save_config(Config(), path)
        assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
        assert load_saved_config(path) == Config()

    @pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.8])
    def test_an_empty_one_and_one_that_was_cut_off_are_named_with_the_cure(self, tmp_path, share):
        path = tmp_path / "config.yaml"
        save_config(Config(), path)
        text = path.read_text()
        path.write_text(text[: int(share * text.index("\nevaluation:"))])
        with pytest.raises(ConfigError) as caught:
            load_saved_config(path)
        message = str(caught.value)
        assert message.splitlines() == [message] and str(path) in message and message.endswith("with --fresh")
        if share == 0.0:
            assert message.startswith(f"{path} is empty: it has no section evaluation; remove it and start with the config")

    def test_zeros_are_named_too(self, tmp_path):
        path = tmp_path / "config.yaml"
        path.write_bytes(bytes(4096))
        with pytest.raises(ConfigError, match=r"config\.yaml cannot be used: .*; remove it and start with the config"):
            load_saved_config(path)

    def test_one_from_before_the_later_sections_is_taken(self, tmp_path):
        path = tmp_path / "config.yaml"
        tree = {name: values for name, values in Config().to_dict().items() if name not in ("simulators", "randomisation")}
        path.write_text(yaml.safe_dump(tree, sort_keys=False))
        assert load_saved_config(path) == Config()


class TestRoundTrip:
    @settings(deadline=None, max_examples=50)
    @given(config=configs())
    def test_a_saved_config_is_read_back_equal(self, config, tmp_path_factory):
        path = tmp_path_factory.getbasetemp() / "round-trip.yaml"
        save_config(config, path)
        again = load_config(path, {})
        assert again == config
        text = path.read_text()
        save_config(again, path)
        assert path.read_text() == text
        assert yaml.safe_load(text) == config.to_dict()

    @settings(deadline=None, max_examples=50)
    @given(config=configs())
    def test_derived_values_hold_for_every_config(self, config):
        assert 0.0 < config.discount < 1.0
        assert config.environment.observation_size >= 24

    def test_every_default_is_allowed_and_types_are_the_declared_ones(self):
        assert config_from_dict(Config().to_dict()) == Config()
        whole = config_from_dict({"environment": {"turn_limit": 1}, "agent": {"actor_layers": [8.0], "horizon_s": "1e1"}})
        assert isinstance(whole.environment.turn_limit, float)
        assert whole.agent.actor_layers == (8,) and type(whole.agent.actor_layers[0]) is int
        assert whole.agent.horizon_s == 10.0

    def test_numbers_that_yaml_takes_for_text_are_numbers(self, tmp_path):
        assert loaded(tmp_path, "agent: {actor_learning_rate: 1e-4}").agent.actor_learning_rate == 1e-4

    def test_numbers_and_text_are_those_of_yaml_1_2(self, tmp_path):
        config = loaded(tmp_path, "run: {seed: 0123}\nsimulator: {track: 2024-01-01}")
        assert (config.run.seed, config.simulator.track) == (123, "2024-01-01")
        assert loaded(tmp_path, "", run__seed="0123").run.seed == 123

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
    def test_a_byte_order_mark_is_no_part_of_the_config(self, tmp_path, encoding):
        assert loaded(tmp_path, "run: {seed: 7}\r\n".encode(encoding)).run.seed == 7

    def test_ranges_keep_their_type_and_may_be_a_single_value(self):
        config = config_from_dict({"randomisation": {"grip": [1, 1], "latency_frames": [1.0, 4]}}).randomisation
        assert config.grip == (1.0, 1.0) and type(config.grip[0]) is float
        assert config.latency_frames == (1, 4) and type(config.latency_frames[0]) is int

    def test_empty_files_and_sections_are_defaults(self, tmp_path):
        assert loaded(tmp_path, "") == Config()
        assert loaded(tmp_path, "agent:\nreplay:\n# nothing\n") == Config()

    def test_discount_and_sizes(self):
        config = Config()
        assert config.environment.observation_size == 4 * 24 + 4 * 2
        assert config.discount == pytest.approx(1 - 1 / (5.0 * 20.0))
        assert config.critic_observation_size == 104
        assert config_from_dict({"agent": {"privileged_critic": True}}).critic_observation_size == 114

    @pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
    def test_shipped_configs_load(self, path):
        load_config(path, {})

    def test_there_are_shipped_configs(self):
        assert "quickstart.yaml" in [path.name for path in SHIPPED]


class TestRefusals:
    @pytest.mark.parametrize(("section", "field", "hint"), SETTINGS, ids=lambda part: getattr(part, "name", None))
    def test_every_key_refuses_what_it_is_not(self, section, field, hint):
        wrong = 5 if str in (hint, *typing.get_args(hint)) else {"a\nb": 1}
        message = refusal(config_from_dict, {section: {field.name: wrong}})
        assert message.startswith(f"{section}.{field.name} is {wrong!r}; ")
        assert "allowed: " in message

    @pytest.mark.parametrize(("section", "field", "hint"), NUMBERS, ids=lambda part: getattr(part, "name", None))
    def test_numbers_are_refused_out_of_range_with_every_digit(self, section, field, hint):
        low, high = field.metadata["low"], field.metadata["high"]
        for value in (low - 1, high + 1, 10**400, -(10**400), float("inf"), float("nan"), "1e999", True, "many"):
            message = refusal(config_from_dict, {section: {field.name: value}})
            if isinstance(value, int) and not isinstance(value, bool):
                assert f"{section}.{field.name} is {value};" in message
            kind = "a whole number" if int in (hint, *typing.get_args(hint)) else "a number"
            bounds = re.search(f"; allowed: {kind} from (\\S+) to (\\S+)$", message)
            assert bounds and [float(bound) for bound in bounds.groups()] == [low, high]

    def test_a_value_just_over_a_large_bound_is_told_from_it(self):
        message = refusal(config_from_dict, {"run": {"seed": 2**31}})
        assert message == "run.seed is 2147483648; allowed: a whole number from 0 to 2147483647"

    def test_halves_are_no_whole_numbers(self):
        assert refusal(config_from_dict, {"collection": {"cars": 2.5}}).startswith("collection.cars is 2.5; ")

    @pytest.mark.parametrize("value", [[], "128", 128, [128, 0], [128, True], [None], {"a": 1}])
    def test_layers_are_lists_of_positive_numbers(self, value):
        assert refusal(config_from_dict, {"agent": {"actor_layers": value}}).startswith("agent.actor_layers is ")

    @pytest.mark.parametrize("value", [0.9, [0.9], [0.9, 1.0, 1.1], [1.1, 0.9], [0.9, 4.0], [0.9, "much"], [None, 1.0], {}])
    def test_ranges_have_two_ends_in_order(self, value):
        message = refusal(config_from_dict, {"randomisation": {"grip": value}})
        assert message.startswith("randomisation.grip is ")
        assert "allowed: " in message

    @pytest.mark.parametrize("value", [1, "true", None, "yes"])
    def test_switches_are_true_or_false(self, value):
        message = refusal(config_from_dict, {"environment": {"merge_frames": value}})
        assert message == f"environment.merge_frames is {value!r}; allowed: true or false"

    def test_choices_name_the_nearest_or_all(self):
        assert refusal(config_from_dict, {"agent": {"algorithm": "ddgp"}}).endswith("is 'ddgp'; did you mean ddpg?")
        assert refusal(config_from_dict, {"agent": {"algorithm": "ppo"}}).endswith("is 'ppo'; allowed: ddpg, td3, rdpg, rtd3")

    @pytest.mark.parametrize(
        ("tree", "message"),
        [
            ({"agnet": {}}, "unknown section agnet; did you mean agent?"),
            ({"agent": {"horizons": 1}}, "unknown key agent.horizons; did you mean agent.horizon_s?"),
            ({"run": {"train_step": 1}}, "unknown key run.train_step; did you mean run.train_steps?"),
            ({"agent": [1]}, "section agent is [1], not a mapping of keys to values"),
            ({"agent": "td3"}, "section agent is 'td3', not a mapping of keys to values"),
        ],
    )
    def test_unknown_names(self, tree, message):
        assert refusal(config_from_dict, tree) == message

    def test_with_no_near_name_all_are_listed(self):
        message = refusal(config_from_dict, {"zzz": {}})
        assert message == f"unknown section zzz; allowed: {', '.join(SECTIONS)}, simulators"

    @pytest.mark.parametrize("key", [1, None, True, 2.5, "two\nlines", "next\x85line", ""])
    def test_keys_of_any_kind(self, key):
        refusal(config_from_dict, {key: {}})
        refusal(config_from_dict, {"agent": {key: 1}})

    @pytest.mark.parametrize(
        ("tree", "keys"),
        [
            ({"environment": {"throttle_low": 0.2}}, ("environment.throttle_low", "environment.throttle_high", "0.2", "0.1")),
            (
                {"environment": {"throttle_low": 0.0, "throttle_scale": "exponential"}},
                ("environment.throttle_low", "environment.throttle_scale", "linear"),
            ),
            ({"replay": {"capacity": 100}}, ("replay.min_items", "replay.capacity", "1000", "100")),
            (
                {"agent": {"horizon_s": 0.1}, "environment": {"action_repeat": 12}},
                ("agent.horizon_s", "0.1", "one decision", "0.200 s"),
            ),
        ],
    )
    def test_what_keys_ask_of_each_other(self, tree, keys):
        message = refusal(config_from_dict, tree)
        assert all(key in message for key in keys)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("run: {minutes: 1:30}", "run.minutes is '1:30'; allowed: a number from 0.05 to 43200"),
            ("run: {train_steps: 30_000}", "run.train_steps is '30_000'; allowed: a whole number from 1 to 1000000000"),
            ("run: {seed: 2001-99-99}", "run.seed is '2001-99-99'; allowed: a whole number from 0 to 2147483647"),
            ("simulator: {car_contact: off}", "simulator.car_contact is 'off'; allowed: true or false"),
        ],
    )
    def test_values_that_only_yaml_1_1_takes_for_numbers_or_switches(self, tmp_path, text, message):
        assert refusal(loaded, tmp_path, text) == message

    def test_a_key_that_is_set_twice_is_named_with_both_places(self, tmp_path):
        message = refusal(loaded, tmp_path, "agent:\n  n_step: 1\nrun:\n  seed: 1\nagent:\n  n_step: 5\n")
        assert message == (
            f"config {tmp_path}/run.yaml cannot be used: 'agent' is set in line 1, column 1 and again in line 5, column 1; "
            "remove one"
        )

    @pytest.mark.parametrize("text", ["a: b: c", "- 1", "run", "run: [", b"run: \xff\xfe", "\t- a", "? [a]\n: 1"])
    def test_files_that_are_no_config(self, tmp_path, text):
        message = refusal(loaded, tmp_path, text)
        assert message.startswith(f"config {tmp_path}/run.yaml ")

    def test_files_that_are_not_there(self, tmp_path):
        message = refusal(load_config, tmp_path / "no.yaml", {})
        assert message == f"config {tmp_path}/no.yaml cannot be read: No such file or directory; launch/ has examples"
        assert "Is a directory" in refusal(load_config, tmp_path, {})

    @settings(deadline=None)
    @given(text=st.text(max_size=40) | st.binary(max_size=40))
    def test_any_file_loads_or_is_refused_in_one_line(self, text, tmp_path_factory):
        path = tmp_path_factory.getbasetemp() / "any.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode(errors="surrogatepass"))
        try:
            load_config(path, {})
        except ConfigError as error:
            assert len(str(error).splitlines()) == 1

    @settings(deadline=None)
    @given(key=st.sampled_from([f"{section}.{field.name}" for section, field, _ in SETTINGS]), text=st.text(max_size=20))
    def test_any_value_on_the_command_line_is_taken_or_refused_by_name(self, key, text):
        try:
            load_config(None, {key: text})
        except ConfigError as error:
            assert key in str(error)
            assert len(str(error).splitlines()) == 1


class TestOverrides:
    FILE = "agent: {horizon_s: 2.0}\nrun: {seed: 1}\n"

    def test_they_go_over_the_file_which_goes_over_the_defaults(self, tmp_path):
        config = loaded(tmp_path, self.FILE, agent__horizon_s="3", collection__cars="4")
        assert (config.agent.horizon_s, config.run.seed, config.collection.cars) == (3.0, 1, 4)
        assert config.agent.batch_size == Config().agent.batch_size

    def test_texts_are_read_as_yaml(self):
        config = load_config(
            None, {"agent.actor_layers": "[32, 16]", "run.minutes": "null", "environment.merge_frames": "true"}
        )
        assert config.agent.actor_layers == (32, 16)
        assert config.run.minutes is None
        assert config.environment.merge_frames is True

    def test_values_that_are_no_texts_are_taken_as_they_are(self):
        assert load_config(None, {"run.seed": 7, "run.minutes": None}).run == config_module.RunConfig(seed=7)

    @pytest.mark.parametrize("name", ["5", "on", "1e3", "[a].json", "a: b.json", "@x", "2001-01-01", "0:30"])
    def test_names_stay_text_whatever_yaml_makes_of_them(self, name):
        assert load_config(None, {"simulator.track": name}).simulator.track == name

    def test_null_unsets_an_address(self, tmp_path):
        assert loaded(tmp_path, "simulator: {address: there}", simulator__address="null").simulator.address is None

    @pytest.mark.parametrize("key", ["agnet.horizon_s", "agent.horizons", "agent.", ".horizon_s", "agent.horizon_s.x"])
    def test_unknown_keys(self, key):
        assert "unknown" in refusal(load_config, None, {key: "1"})

    def test_a_section_that_is_no_mapping_is_still_refused(self, tmp_path):
        (tmp_path / "run.yaml").write_text("agent: 3")
        message = refusal(load_config, tmp_path / "run.yaml", {"agent.horizon_s": "3"})
        assert message == "section agent is 3, not a mapping of keys to values"

    @pytest.mark.parametrize("value", ["[1", "{", "2001-99-99", "'"])
    def test_values_that_are_no_yaml_are_named(self, value):
        assert refusal(load_config, None, {"agent.batch_size": value}).startswith(f"agent.batch_size is {value!r}; allowed: ")


def test_every_setting_says_what_it_is():
    for section, field, _ in SETTINGS:
        assert field.metadata["doc"], f"{section}.{field.name}"


def test_a_config_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().run.seed = 3


class TestListedSimulators:
    LIST = "simulators: [{host: unity.lan, cars: 2}, {host: 10.0.0.3, car_port: 12000, log_port: 12001, cars: 3}]\n"

    def test_they_are_read_and_written(self, tmp_path):
        config = loaded(tmp_path, self.LIST + "collection: {cars: 5}")
        assert config.simulator_addresses == ("unity.lan:11000:11001", "10.0.0.3:12000:12001")
        places = [(listed.host, listed.car_port, listed.log_port, listed.cars) for listed in config.simulators]
        assert places == [("unity.lan", 11000, 11001, 2), ("10.0.0.3", 12000, 12001, 3)]
        save_config(config, tmp_path / "saved.yaml")
        assert load_config(tmp_path / "saved.yaml", {}) == config

    @pytest.mark.parametrize(
        ("listed", "message"),
        [
            ("simulators: {host: a}", "simulators is {'host': 'a'}; allowed: a list such as [{host: 192.168.1.20, cars: 4}]"),
            ("simulators: [a]", "simulators[0] is 'a'; allowed: a mapping with host, car_port, log_port, cars"),
            ("simulators: [{host: a, port: 1}]", "unknown key simulators[0].port; did you mean log_port?"),
            (
                "simulators: [{cars: 6}]",
                "simulators[0].host is ''; allowed: a host's name or address, for example",
            ),
            ("simulators: [{host: 'a:1', cars: 6}]", "simulators[0].host is 'a:1'; allowed: a host's name or address"),
            ("simulators: [{host: 7, cars: 6}]", "simulators[0].host is 7; allowed: text"),
            (
                "simulators: [{host: a, cars: 5}, {host: a, car_port: 0}]",
                "simulators[1].car_port is 0; allowed: a whole number from 1 to 65535",
            ),
            ("simulators: [{host: a, cars: 0}]", "simulators[0].cars is 0; allowed: a whole number from 1 to 10000"),
            (
                "simulators: [{host: a, cars: 3}, {host: b, cars: 5}]",
                "collection.cars is 6, but the listed simulators take 8 (simulators[].cars: 3 + 5): set collection.cars to 8",
            ),
            (
                "simulators: [{host: a, cars: 6}]\nsimulator: {address: b}",
                "simulator.address is b, but simulators are listed too: remove that key (or --simulator), or remove the list",
            ),
        ],
    )
    def test_what_is_wrong_is_named(self, tmp_path, listed, message):
        assert refusal(loaded, tmp_path, listed).startswith(message)


class TestOneMachine:
    """An embedded simulator takes 32 cars; how many others take is for them to say."""

    @pytest.mark.parametrize(
        "changes",
        [
            {"collection.cars": 32},
            {"collection.cars": 33, "simulator.address": "unity"},
        ],
    )
    def test_what_fits(self, changes):
        load_config(None, changes).check_one_machine()

    def test_33_cars_are_refused_with_the_limit(self):
        with pytest.raises(ConfigError, match=r"^collection\.cars is 33, but an embedded simulator takes 32: set it to 32"):
            load_config(None, {"collection.cars": 33}).check_one_machine()
