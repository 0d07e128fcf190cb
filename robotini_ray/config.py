"""Defines the configuration of a run as frozen dataclasses, one per section, and reads and writes it as YAML.

A config file is YAML with the sections below. A key that the file leaves out keeps its default, and ``--section.key value``
on the command line overrides the file. Every value is checked when it is set; an error names the key, the value and what is
allowed, or the nearest valid name.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from pathlib import Path
from typing import Any, Literal

from robotini_ray.config_checks import ConfigError, checked_value, nearest
from robotini_ray.machine.text_files import read_text
from robotini_ray.machine.whole_files import write_whole
from robotini_ray.machine.yaml_files import dump_yaml, load_yaml

FRAMES_PER_SECOND = 60
"""Camera frames per second of game time, which is also the rate of control commands (the simulator's own rate)."""

FEATURES_PER_FRAME = 24
"""Length of the flattened 8x3 features of one camera frame."""

ACTION_SIZE = 2
"""Length of an action: throttle and turn, each in [-1, 1]."""

MAX_CARS = 32
"""The largest number of cars that an embedded simulator takes."""

PRIVILEGED_SIZE = 10
"""Count of the numbers that a privileged critic sees besides the observation, see ``environment/privileged.py``."""

HIGHEST_SEED = 2**31 - 1
"""The largest random seed; NumPy refuses negative ones."""


def setting(default: Any, doc: str, low: float = -math.inf, high: float = math.inf) -> Any:
    """Returns a dataclass field with a default, a one-line explanation and an allowed range.

    Args:
        default: The value where the config file has none.
        doc: The explanation, which goes into docs/configuration.md as Markdown.
        low: The lowest value that is allowed.
        high: The highest value that is allowed.
    """
    return dataclasses.field(default=default, metadata={"doc": doc, "low": low, "high": high})


class Section:
    """Base class of the sections; checks the type and range of every field on construction."""

    def __post_init__(self) -> None:
        check_fields(self, type(self).__name__.removesuffix("Config").lower())


def check_fields(section: Any, name: str) -> None:
    """Checks the type and range of every field of a frozen dataclass and converts it to its declared type in place.

    Args:
        section: The dataclass instance.
        name: The section's name in error messages, which call a key ``NAME.FIELD``.

    Raises:
        ConfigError: A value has a wrong type or is out of range; the message names its key.
    """
    hints = typing.get_type_hints(type(section))
    for field in dataclasses.fields(section):
        value = checked_value(f"{name}.{field.name}", getattr(section, field.name), hints[field.name], field.metadata)
        object.__setattr__(section, field.name, value)


@dataclasses.dataclass(frozen=True)
class RunConfig(Section):
    """The limits of a run, and its random seed."""

    seed: int = setting(0, "random seed of the networks, the exploration noise and the embedded simulators", 0, HIGHEST_SEED)
    minutes: float | None = setting(
        None, "wall time in minutes after which this invocation ends; null for no limit", 0.05, 60 * 24 * 30
    )
    train_steps: int | None = setting(
        None, "train steps after which the run ends, counted over all its resumptions; null for no limit", 1, 10**9
    )


@dataclasses.dataclass(frozen=True)
class SimulatorConfig(Section):
    """The simulator that the cars drive on: a running one, or embedded ones that the program starts."""

    address: str | None = setting(None, "`HOST[:CAR_PORT[:LOG_PORT]]` of a running simulator; null starts embedded ones")
    track: str = setting("default", "name of a shipped track, or path of a Robotini track file")
    pace: Literal["realtime", "max"] = setting("max", "pace of embedded simulators; `max` is lock-step, faster than real time")
    num_segments: int = setting(
        30, "segments of the track in embedded simulators; laps and the original reward are counted by them", 2, 1000
    )
    car_contact: bool = setting(
        True, "whether cars of embedded simulators touch and push each other, or pass through each other"
    )


@dataclasses.dataclass(frozen=True)
class ListedSimulator:
    """A running simulator, Unity or embedded, and the number of collecting cars that drive on it.

    The numbers of all entries must add up to ``collection.cars``, and ``simulator.address`` must be null.
    """

    # Checked by ``Config``, which knows the entry's index for the error message.

    host: str = setting("", "host name or address of the simulator's machine, as the collectors reach it")
    car_port: int = setting(11000, "the simulator's port for cars", 1, 65535)
    log_port: int = setting(11001, "the simulator's port for spectators", 1, 65535)
    cars: int = setting(1, "number of collecting cars that drive on this simulator", 1, 10_000)


@dataclasses.dataclass(frozen=True)
class RandomisationConfig(Section):
    """Ranges for the properties of cars, cameras and starts in embedded simulators.

    Each property is drawn uniformly from its range ``[low, high]`` whenever a car starts or is put back. Equal ends fix a
    value. The defaults describe the standard car, with nothing random.
    """

    grip: tuple[float, float] = setting((1.0, 1.0), "factor on the friction of the tyres", 0.1, 3.0)
    mass: tuple[float, float] = setting((1.0, 1.0), "factor on the mass of the car", 0.2, 5.0)
    motor: tuple[float, float] = setting((1.0, 1.0), "factor on the torque of the motor", 0.1, 5.0)
    latency_frames: tuple[int, int] = setting(
        (2, 2), "camera latency: frames between a moment and the sending of its picture", 1, 4
    )
    light: tuple[float, float] = setting((1.0, 1.0), "factor on the brightness of the camera picture", 0.1, 3.0)
    colour: tuple[float, float] = setting(
        (1.0, 1.0), "factors on red, green and blue, drawn independently of each other", 0.1, 3.0
    )
    camera_pitch_deg: tuple[float, float] = setting(
        (0.0, 0.0), "degrees added to the camera's pitch, positive downwards", -10.0, 10.0
    )
    camera_roll_deg: tuple[float, float] = setting((0.0, 0.0), "camera's roll in degrees, positive clockwise", -10.0, 10.0)
    camera_yaw_deg: tuple[float, float] = setting((0.0, 0.0), "camera's yaw in degrees, positive to the right", -10.0, 10.0)
    camera_height_m: tuple[float, float] = setting((0.0, 0.0), "metres added to the camera's height", -0.03, 0.05)
    frame_noise: tuple[float, float] = setting(
        (0.0, 0.0), "standard deviation of the noise on each channel of each pixel, on a scale of 0 to 255", 0.0, 64.0
    )
    start_anywhere: bool = setting(
        False, "start cars at random places, as when they are put back, instead of on the starting grid"
    )
    start_offset_m: tuple[float, float] = setting(
        (0.0, 0.0), "metres right of the centre line where a car starts or is put back; negative is left", -0.3, 0.3
    )
    start_heading_deg: tuple[float, float] = setting(
        (0.0, 0.0), "heading of a car that starts or is put back, in degrees clockwise from the track's", -180.0, 180.0
    )
    start_speed_m_s: tuple[float, float] = setting((0.0, 0.0), "speed of a car that starts or is put back, in m/s", 0.0, 3.8)

    @property
    def largest_latency_frames(self) -> int:
        """The largest camera latency that may be drawn, in frames."""
        return self.latency_frames[1]


@dataclasses.dataclass(frozen=True)
class EnvironmentConfig(Section):
    """The observations, actions, rewards and episodes that are made of camera frames and the car's state."""

    image_width: int = setting(128, "width of the camera picture in pixels; its height is `image_width * 80 // 128`", 8, 128)
    throttle_low: float = setting(0.02, "throttle of the car at action -1", 0.0, 1.0)
    throttle_high: float = setting(0.1, "throttle of the car at action +1; must be above `throttle_low`", 0.0, 1.0)
    throttle_scale: Literal["linear", "exponential"] = setting(
        "linear",
        "how the throttle rises from action -1 to +1; `exponential`, which needs a `throttle_low` above 0, lets a car's steady "
        "speed rise about evenly with the action",
    )
    turn_limit: float = setting(
        1.0, "turn of the car at action +1 (to the left); action -1 turns as far to the right", 0.05, 1.0
    )
    action_repeat: int = setting(
        3, "camera frames that one decision lasts; there are `60 / action_repeat` decisions per second", 1, 12
    )
    observation_history: int = setting(
        4, "number of latest observations, of 24 features each, that the networks see, newest first", 1, 16
    )
    action_history: int = setting(4, "number of latest actions that the networks see, newest first", 0, 16)
    merge_frames: bool = setting(
        False,
        "merge the frames of a decision by their pixelwise maximum, as the original trainer did; false takes the newest frame",
    )
    reward: Literal["progress", "original"] = setting(
        "progress", "reward that the agent learns from: progress along the track, or that of the original trainer"
    )
    progress_per_m: float = setting(1.0, "progress reward: reward for each metre along the centre line", 0.0, 100.0)
    crash_penalty: float = setting(2.0, "progress reward: penalty for a crash, multiplied by 1 + speed in m/s", 0.0, 100.0)
    episode_laps: int = setting(4, "laps after which an episode is truncated", 1, 1000)
    episode_frames: int = setting(3600, "camera frames after which an episode is truncated", 10, 100_000)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.throttle_low >= self.throttle_high:
            raise ConfigError(
                f"environment.throttle_low is {self.throttle_low:g}, which is not below "
                f"environment.throttle_high ({self.throttle_high:g})"
            )
        if self.throttle_scale == "exponential" and not self.throttle_low:
            raise ConfigError(
                "environment.throttle_low is 0, from which no exponential throttle rises: set it above 0, "
                "or environment.throttle_scale to linear"
            )

    @property
    def observation_size(self) -> int:
        """Length of the observation vector that the networks see."""
        return self.observation_history * FEATURES_PER_FRAME + self.action_history * ACTION_SIZE

    @property
    def decisions_per_s(self) -> float:
        """Decisions per second of game time."""
        return FRAMES_PER_SECOND / self.action_repeat


@dataclasses.dataclass(frozen=True)
class AgentConfig(Section):
    """The learning algorithm and its networks."""

    algorithm: Literal["ddpg", "td3", "rdpg", "rtd3"] = setting("td3", "learning algorithm; `rdpg` and `rtd3` are recurrent")
    actor_layers: tuple[int, ...] = setting((128, 128), "units of each dense layer of the actor network", 1, 4096)
    critic_layers: tuple[int, ...] = setting((128, 128), "units of each dense layer of the critic network", 1, 4096)
    critic_layer_norm: bool = setting(False, "use layer normalisation in the critic's dense layers")
    privileged_critic: bool = setting(
        False, "let the critic also see the car's place, heading and speed and the curvature of the track ahead"
    )
    lstm_units: int = setting(
        64, "units of the LSTM in recurrent networks; it follows the actor's dense layers and precedes the critic's", 1, 4096
    )
    actor_learning_rate: float = setting(5e-4, "learning rate of Adam for the actor", 1e-8, 1.0)
    critic_learning_rate: float = setting(1e-3, "learning rate of Adam for the critic", 1e-8, 1.0)
    batch_size: int = setting(256, "replay items in one train step: transitions, or sequences for recurrent agents", 1, 65536)
    horizon_s: float = setting(
        5.0,
        "game time in seconds over which future rewards count; the discount is `1 - 1 / (horizon_s * decisions per second)`",
        0.1,
        1e4,
    )
    n_step: int = setting(3, "number of decisions whose rewards one n-step return sums", 1, 64)
    sequence_length: int = setting(
        30, "recurrent agents: decisions of a sequence that are trained on, after the burn-in", 2, 1000
    )
    burn_in: int = setting(
        10, "recurrent agents: decisions in front of the trained ones that only warm up the recurrent state", 0, 1000
    )
    target_update_tau: float = setting(
        0.005, "share of the current weights that each update mixes into the target networks", 1e-6, 1.0
    )
    target_update_period: int = setting(1, "train steps between updates of the target networks", 1, 100_000)
    actor_update_period: int = setting(2, "train steps between updates of the actor (td3, rtd3)", 1, 1000)
    target_policy_noise: float = setting(0.1, "standard deviation of the noise on target actions (td3, rtd3)", 0.0, 2.0)
    target_policy_noise_clip: float = setting(
        0.2, "largest absolute value of the noise on target actions (td3, rtd3)", 0.0, 2.0
    )
    preactivation_penalty: float = setting(
        1e-3,
        "penalty on the mean square of the sums of which the actor's actions are the tanh, so that it learns at the ends of "
        "the range too; 0 for none",
        0.0,
        100.0,
    )
    gradient_clipping: float = setting(10.0, "norm that gradients are clipped to; 0 for no clipping", 0.0, 1e6)

    @property
    def recurrent(self) -> bool:
        """Tells whether the networks carry a state from one decision to the next."""
        return self.algorithm in ("rdpg", "rtd3")


@dataclasses.dataclass(frozen=True)
class ReplayConfig(Section):
    """The replay buffer: the Reverb table between the collectors and the learner.

    A train step samples a batch of items. An item is one decision with its n-step return or, for recurrent agents, one sequence
    of decisions. Sequences start every ``sequence_length // 2`` decisions, so each decision is part of two.
    """

    capacity: int = setting(200_000, "largest number of items; the oldest are removed first", 100, 10**8)
    min_items: int = setting(1000, "items that must be in replay before the first train step; at most `capacity`", 1, 10**8)
    samples_per_item: float = setting(
        64.0,
        "replay ratio: how often an item is trained on, on average; the learner waits for new items rather than exceed it",
        0.01,
        1e5,
    )


@dataclasses.dataclass(frozen=True)
class CollectionConfig(Section):
    """The cars that collect experience, and their exploration noise."""

    cars: int = setting(6, "number of collecting cars", 1, 10_000)
    cars_per_collector: int = setting(1, "largest number of cars that one collector process drives", 1, 32)
    noise_low: float = setting(
        0.05, "exploration noise of the first car: standard deviation in units of the action, which is in [-1, 1]", 0.0, 2.0
    )
    noise_high: float = setting(
        0.4,
        "exploration noise of the last car; it rises geometrically from car to car (linearly if `noise_low` is 0)",
        0.0,
        2.0,
    )
    noise_damping: float = setting(
        0.3, "damping of the Ornstein-Uhlenbeck noise in one decision; 1 makes it white noise", 0.001, 1.0
    )

    @property
    def collectors(self) -> int:
        """Number of collector processes if all cars drive in one place; cars shared over simulators may need more."""
        return -(-self.cars // self.cars_per_collector)


@dataclasses.dataclass(frozen=True)
class LearnerConfig(Section):
    """The learner process: its resources, its broadcasts and its checkpoints."""

    num_gpus: float = setting(0.0, "number of GPUs that Ray reserves for the learner", 0.0, 8.0)
    threads: int = setting(1, "threads in each of the learner's TensorFlow thread pools", 1, 256)
    steps_per_call: int = setting(20, "train steps in one call of the TF-Agents learner", 1, 10_000)
    publish_interval_s: float = setting(0.25, "wall time in seconds between two broadcasts of the weights", 0.01, 3600.0)
    checkpoint_interval_s: float = setting(
        120.0, "wall time in seconds between two checkpoints, which include the replay", 1.0, 1e6
    )
    checkpoints_to_keep: int = setting(3, "number of newest checkpoints to keep", 1, 1000)


@dataclasses.dataclass(frozen=True)
class EvaluationConfig(Section):
    """The evaluation of the greedy policy on a car of its own.

    Where simulators are embedded ones, this car drives alone on one.
    """

    interval_s: float = setting(15.0, "shortest wall time in seconds between the starts of two evaluations", 0.0, 1e6)
    laps: int = setting(3, "number of flying laps in one evaluation", 1, 1000)
    max_seconds: float = setting(60.0, "game time in seconds after which an evaluation ends in any case", 1.0, 1e5)
    average_steps: int = setting(
        0, "train steps over which the weights that are evaluated and kept are averaged; 0 for no averaging", 0, 10**7
    )


@dataclasses.dataclass(frozen=True)
class Config:
    """The whole configuration of a run.

    Each section checks its own values when it is made; this class checks the constraints between sections.
    """

    run: RunConfig = dataclasses.field(default_factory=RunConfig)
    simulator: SimulatorConfig = dataclasses.field(default_factory=SimulatorConfig)
    simulators: tuple[ListedSimulator, ...] = ()
    randomisation: RandomisationConfig = dataclasses.field(default_factory=RandomisationConfig)
    environment: EnvironmentConfig = dataclasses.field(default_factory=EnvironmentConfig)
    agent: AgentConfig = dataclasses.field(default_factory=AgentConfig)
    replay: ReplayConfig = dataclasses.field(default_factory=ReplayConfig)
    collection: CollectionConfig = dataclasses.field(default_factory=CollectionConfig)
    learner: LearnerConfig = dataclasses.field(default_factory=LearnerConfig)
    evaluation: EvaluationConfig = dataclasses.field(default_factory=EvaluationConfig)

    def __post_init__(self) -> None:
        if self.replay.min_items > self.replay.capacity:
            raise ConfigError(
                f"replay.min_items is {self.replay.min_items}, more than replay.capacity ({self.replay.capacity})"
            )
        if self.agent.horizon_s * self.environment.decisions_per_s <= 1:
            raise ConfigError(
                f"agent.horizon_s is {self.agent.horizon_s:g}, which is not longer than one decision "
                f"({1 / self.environment.decisions_per_s:.3f} s)"
            )
        if self.simulators:
            self._check_simulators()

    @property
    def discount(self) -> float:
        """Discount factor of one decision, computed from ``agent.horizon_s``."""
        return 1.0 - 1.0 / (self.agent.horizon_s * self.environment.decisions_per_s)

    @property
    def critic_observation_size(self) -> int:
        """Length of the critic's input: the observation vector, then the privileged numbers where they are used."""
        return self.environment.observation_size + (PRIVILEGED_SIZE if self.agent.privileged_critic else 0)

    @property
    def simulator_addresses(self) -> tuple[str, ...]:
        """Addresses ``HOST[:CAR_PORT[:LOG_PORT]]`` of the configured simulators; empty if embedded ones are started."""
        one = (self.simulator.address,) if self.simulator.address is not None else ()
        return (*one, *(f"{listed.host}:{listed.car_port}:{listed.log_port}" for listed in self.simulators))

    def check_one_machine(self) -> None:
        """Checks that the cars fit into the one simulator that a run on a single machine starts, if it starts one.

        A cluster may share more cars over the embedded simulators of its nodes.

        Raises:
            ConfigError: There are more collecting cars than an embedded simulator takes.
        """
        if self.collection.cars > MAX_CARS and not self.simulator_addresses:
            raise ConfigError(
                f"collection.cars is {self.collection.cars}, but an embedded simulator takes {MAX_CARS}: "
                f"set it to {MAX_CARS} or less, or train on a cluster (cluster/README.md), where each node takes as many"
            )

    def to_dict(self) -> dict[str, Any]:
        """Returns the config as nested dicts and lists that YAML and JSON can hold."""
        plain = dataclasses.asdict(self)
        listed = list(plain.pop("simulators"))
        sections = {
            section: {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
            for section, values in plain.items()
        }
        return {**sections, "simulators": listed}

    def _check_simulators(self) -> None:
        for index, listed in enumerate(self.simulators):
            check_fields(listed, f"simulators[{index}]")
            if not listed.host or any(letter in listed.host for letter in " :/"):
                raise ConfigError(
                    f"simulators[{index}].host is {listed.host!r}; allowed: a host's name or address, "
                    "for example 192.168.1.20 (ports are car_port and log_port)"
                )
        if self.simulator.address is not None:
            raise ConfigError(
                f"simulator.address is {self.simulator.address}, but simulators are listed too: remove that key (or "
                "--simulator), or remove the list"
            )
        places = sum(listed.cars for listed in self.simulators)
        if places != self.collection.cars:
            each = " + ".join(str(listed.cars) for listed in self.simulators)
            raise ConfigError(
                f"collection.cars is {self.collection.cars}, but the listed simulators take {places} "
                f"(simulators[].cars: {each}): set collection.cars to {places}"
            )


def load_config(path: Path | None, overrides: dict[str, Any]) -> Config:
    """Returns the config of a YAML file with overrides applied.

    Args:
        path: The file; None for all defaults.
        overrides: Values as ``{"section.key": value}``. A string, as the command line passes it, is parsed as a YAML scalar or
            list. For keys that take text it stays as it is (a track may be called 5), except that ``null`` and ``~`` are None.

    Raises:
        ConfigError: The file cannot be read, a key is unknown or a value is not allowed.
    """
    tree = {} if path is None else _read_yaml(path)
    for key, value in overrides.items():
        section, _, name = key.partition(".")
        _known(section, _SECTIONS, "section")
        if isinstance(value, str):
            value = _from_command_line(key, value)
        if isinstance(tree.setdefault(section, {}), dict):  # otherwise ``config_from_dict`` rejects it
            tree[section][name] = value
    return config_from_dict(tree)


def config_from_dict(tree: dict[str, Any]) -> Config:
    """Returns the config of nested dicts as ``Config.to_dict`` returns them; left-out keys keep their defaults.

    Raises:
        ConfigError: A section or key is unknown, or a value is not allowed.
    """
    sections: dict[str, Any] = {}
    for section, values in tree.items():
        if section == SIMULATORS:
            sections[section] = _listed_simulators(values)
            continue
        kind = _SECTIONS[_known(section, (*_SECTIONS, SIMULATORS), "section")]
        if not isinstance(values, dict):
            raise ConfigError(f"section {section} is {values!r}, not a mapping of keys to values")
        keys = [f"{section}.{field.name}" for field in dataclasses.fields(kind)]
        for name in values:
            _known(f"{section}.{name}", keys, "key")
        sections[section] = kind(**values)
    return Config(**sections)


def save_config(config: Config, path: Path) -> None:
    """Writes every value of the config as YAML, from which ``load_saved_config`` reads an equal one.

    A file with the same content is not touched.

    Raises:
        OSError: The file cannot be written; an earlier one is still there.
    """
    content = dump_yaml(config.to_dict()).encode()
    if not path.exists() or path.read_bytes() != content:
        write_whole(path, content)


def load_saved_config(path: Path) -> Config:
    """Returns a config that ``save_config`` has written.

    Raises:
        ConfigError: The file is empty, cut off or damaged, or was written by hand and has an unknown key or a wrong value.
    """
    cure = "remove it and start with the config that the run was made with, or move the run aside with --fresh"
    try:
        tree = _read_yaml(path)
    except ConfigError as error:
        raise ConfigError(f"{error}; {cure}") from error
    if LAST_SECTION not in tree:
        raise ConfigError(f"{path} is {'cut off' if tree else 'empty'}: it has no section {LAST_SECTION}; {cure}")
    return config_from_dict(tree)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        tree = load_yaml(read_text(path))
    except OSError as error:
        raise ConfigError(f"config {path} cannot be read: {error.strerror}; launch/ has examples") from error
    except ValueError as error:
        raise ConfigError(f"config {path} cannot be used: {error}") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"config {path} is a YAML {type(tree).__name__}, not sections of keys and values")
    return {section: {} if values is None else values for section, values in tree.items()}


def _listed_simulators(entries: Any) -> tuple[ListedSimulator, ...]:
    if not isinstance(entries, list | tuple):
        raise ConfigError(f"simulators is {entries!r}; allowed: a list such as [{{host: 192.168.1.20, cars: 4}}]")
    allowed = [field.name for field in dataclasses.fields(ListedSimulator)]
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise ConfigError(f"simulators[{index}] is {entry!r}; allowed: a mapping with {', '.join(allowed)}")
        for name in entry:
            if name not in allowed:
                raise ConfigError(f"unknown key simulators[{index}].{name}; {nearest(str(name), allowed)}")
    return tuple(ListedSimulator(**entry) for entry in entries)


def _from_command_line(key: str, text: str) -> Any:
    section, _, name = key.partition(".")
    hint = typing.get_type_hints(_SECTIONS[section]).get(name)
    if str in (hint, *typing.get_args(hint)):
        return None if text in ("null", "~") else text
    try:
        return load_yaml(text)
    except ValueError:
        return text  # rejected later, with a message that names what is allowed


def _known(name: Any, allowed: typing.Iterable[str], what: str) -> str:
    if name not in allowed:
        text = " ".join(str(name).split())  # a YAML key can be of any type and contain line breaks
        raise ConfigError(f"unknown {what} {text}; {nearest(text, allowed)}")
    return str(name)


SIMULATORS = "simulators"
"""Name of the one section that is a list."""

LAST_SECTION = "evaluation"
"""Name of the last section that every version of this program has written; without it a saved config is not whole."""

_SECTIONS: dict[str, type[Any]] = {
    field.name: field.default_factory  # type: ignore[misc]
    for field in dataclasses.fields(Config)
    if field.name != SIMULATORS
}

NO_RANDOMISATION = RandomisationConfig()
"""Settings with which every car is the standard one."""
