"""The configuration of a run: frozen dataclasses, one per part of the program.

A config file is YAML with the sections below; a key that it leaves out keeps its default, and the command line's
``--section.key value`` goes over the file. Every value is checked when it is set, and an error names the key, the value,
what is allowed and the nearest right name.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from pathlib import Path
from typing import Any, Literal

import yaml

from robotini_ray.config_checks import ConfigError, checked_value, nearest

FRAMES_PER_SECOND = 60
"""Camera frames, and so control commands, in one second of game time (the simulator's own rate)."""

FEATURES_PER_FRAME = 24
"""The 8x3 observation of one camera frame, flattened."""

ACTION_SIZE = 2
"""Throttle and turn, each in [-1, 1]."""

PRIVILEGED_SIZE = 10
"""Numbers that a privileged critic sees beside the observation, see ``environment/privileged.py``."""


def setting(default: Any, doc: str, low: float = -math.inf, high: float = math.inf) -> Any:
    """A dataclass field with a one-line explanation and an allowed range (inclusive)."""
    return dataclasses.field(default=default, metadata={"doc": doc, "low": low, "high": high})


class Section:
    """What every section shares: its fields are checked for type and range when it is made."""

    def __post_init__(self) -> None:
        check_fields(self, type(self).__name__.removesuffix("Config").lower())


def check_fields(section: Any, name: str) -> None:
    """Checks every field of a frozen dataclass for type and range, and sets it to a value of its declared type.

    Raises:
        ConfigError: names the key as ``NAME.FIELD``.
    """
    hints = typing.get_type_hints(type(section))
    for field in dataclasses.fields(section):
        value = checked_value(f"{name}.{field.name}", getattr(section, field.name), hints[field.name], field.metadata)
        object.__setattr__(section, field.name, value)


@dataclasses.dataclass(frozen=True)
class RunConfig(Section):
    """When a run ends, and what it is reproduced from."""

    seed: int = setting(0, "seed of networks, exploration noise and the embedded simulator", 0, 2**31 - 1)
    minutes: float | None = setting(None, "wall minutes of one invocation; null for no limit", 0.05, 60 * 24 * 30)
    train_steps: int | None = setting(None, "train steps of the whole run, resumes included", 1, 10**9)


@dataclasses.dataclass(frozen=True)
class SimulatorConfig(Section):
    """Where the cars drive."""

    address: str | None = setting(None, "HOST[:CAR_PORT[:LOG_PORT]] of a running simulator; null starts embedded ones")
    track: str = setting("default", "name of a shipped track or path of a Robotini track file")
    pace: Literal["realtime", "max"] = setting("max", "pace of embedded simulators; max is lock-step, faster than real time")
    num_segments: int = setting(30, "segments of the track in embedded simulators", 2, 1000)
    car_contact: bool = setting(True, "whether cars touch and push each other; false lets them pass through each other")


@dataclasses.dataclass(frozen=True)
class ListedSimulator:
    """A running simulator, Unity or embedded, that so many of the collecting cars drive on; ``Config`` checks it."""

    host: str = setting("", "name or address of its machine, as the collectors reach it")
    car_port: int = setting(11000, "its port for cars", 1, 65535)
    log_port: int = setting(11001, "its port for spectators", 1, 65535)
    cars: int = setting(1, "collecting cars that drive on it", 1, 10_000)


@dataclasses.dataclass(frozen=True)
class RandomisationConfig(Section):
    """How embedded simulators differ from car to car and episode to episode; each range is drawn from evenly.

    The defaults are the standard car, and nothing is random. Equal ends fix a value.
    """

    grip: tuple[float, float] = setting((1.0, 1.0), "factor on the tyres' friction", 0.1, 3.0)
    mass: tuple[float, float] = setting((1.0, 1.0), "factor on the car's mass", 0.2, 5.0)
    motor: tuple[float, float] = setting((1.0, 1.0), "factor on the motor's torque", 0.1, 5.0)
    latency_frames: tuple[int, int] = setting((2, 2), "camera frames between a moment and its picture being sent", 1, 4)
    light: tuple[float, float] = setting((1.0, 1.0), "factor on the picture's brightness", 0.1, 3.0)
    colour: tuple[float, float] = setting((1.0, 1.0), "factor on red, green and blue, each drawn for itself", 0.1, 3.0)
    camera_pitch_deg: tuple[float, float] = setting((0.0, 0.0), "added to the camera's pitch, downwards", -10.0, 10.0)
    camera_roll_deg: tuple[float, float] = setting((0.0, 0.0), "the camera's roll, clockwise", -10.0, 10.0)
    camera_yaw_deg: tuple[float, float] = setting((0.0, 0.0), "the camera's yaw, to the right", -10.0, 10.0)
    camera_height_m: tuple[float, float] = setting((0.0, 0.0), "added to the camera's height", -0.03, 0.05)
    frame_noise: tuple[float, float] = setting((0.0, 0.0), "standard deviation of a pixel's channels, of 255", 0.0, 64.0)
    start_anywhere: bool = setting(False, "cars start at random places, as they are put back, not at the starting grid's")
    start_offset_m: tuple[float, float] = setting((0.0, 0.0), "place of a start or put-back, right of the line", -0.3, 0.3)
    start_heading_deg: tuple[float, float] = setting((0.0, 0.0), "its heading, clockwise from the track's", -180.0, 180.0)
    start_speed_m_s: tuple[float, float] = setting((0.0, 0.0), "its speed", 0.0, 3.8)


@dataclasses.dataclass(frozen=True)
class EnvironmentConfig(Section):
    """How camera frames and the car's state become observations, actions and rewards."""

    image_width: int = setting(128, "camera picture's width; its height is width * 80 // 128", 8, 128)
    throttle_low: float = setting(0.02, "throttle of action -1", 0.0, 1.0)
    throttle_high: float = setting(0.1, "throttle of action +1", 0.0, 1.0)
    turn_limit: float = setting(1.0, "turn of action +1 (full left); action -1 turns as far to the right", 0.05, 1.0)
    action_repeat: int = setting(3, "camera frames that one decision lasts (60 / action_repeat decisions a second)", 1, 12)
    observation_history: int = setting(4, "observations that the networks see, the newest first", 1, 16)
    action_history: int = setting(4, "past actions that the networks see, the newest first", 0, 16)
    merge_frames: bool = setting(False, "merge the frames of one decision by their maximum, as the original trainer did")
    reward: Literal["progress", "original"] = setting("progress", "the reward that is learned from")
    progress_per_m: float = setting(1.0, "progress reward: paid for each metre along the track", 0.0, 100.0)
    crash_penalty: float = setting(2.0, "progress reward: taken for a crash, times 1 + speed in m/s", 0.0, 100.0)
    episode_laps: int = setting(4, "an episode is truncated after so many laps", 1, 1000)
    episode_frames: int = setting(3600, "an episode is truncated after so many camera frames", 10, 100_000)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.throttle_low >= self.throttle_high:
            raise ConfigError(
                f"environment.throttle_low is {self.throttle_low:g}, which is not below "
                f"environment.throttle_high ({self.throttle_high:g})"
            )

    @property
    def observation_size(self) -> int:
        """Length of the observation vector that the networks get."""
        return self.observation_history * FEATURES_PER_FRAME + self.action_history * ACTION_SIZE

    @property
    def decisions_per_s(self) -> float:
        """Decisions in one second of game time."""
        return FRAMES_PER_SECOND / self.action_repeat


@dataclasses.dataclass(frozen=True)
class AgentConfig(Section):
    """The learning algorithm and its networks."""

    algorithm: Literal["ddpg", "td3", "rdpg", "rtd3"] = setting("td3", "learning algorithm; rdpg and rtd3 are recurrent")
    actor_layers: tuple[int, ...] = setting((128, 128), "units of the actor network's dense layers", 1, 4096)
    critic_layers: tuple[int, ...] = setting((128, 128), "units of the critic network's dense layers", 1, 4096)
    critic_layer_norm: bool = setting(False, "layer normalisation in the critic's dense layers")
    privileged_critic: bool = setting(False, "the critic also sees the car's place, heading, speed and the bends ahead")
    lstm_units: int = setting(
        64, "units of recurrent networks' LSTMs, after the actor's dense layers and before the critic's", 1, 4096
    )
    actor_learning_rate: float = setting(5e-4, "Adam's step size for the actor", 1e-8, 1.0)
    critic_learning_rate: float = setting(1e-3, "Adam's step size for the critic", 1e-8, 1.0)
    batch_size: int = setting(256, "replay items (transitions, or sequences of recurrent agents) in one train step", 1, 65536)
    horizon_s: float = setting(
        5.0, "game time over which future rewards count; discount = 1 - 1 / (horizon_s * decisions/s)", 0.1, 1e4
    )
    n_step: int = setting(3, "decisions summed into one n-step return", 1, 64)
    sequence_length: int = setting(30, "decisions that a recurrent agent trains on, after the burn-in", 2, 1000)
    burn_in: int = setting(10, "decisions that only warm the recurrent state of a sequence", 0, 1000)
    target_update_tau: float = setting(0.005, "share of the weights that goes into the target networks", 1e-6, 1.0)
    target_update_period: int = setting(1, "train steps between updates of the target networks", 1, 100_000)
    actor_update_period: int = setting(2, "train steps between updates of the actor (td3, rtd3)", 1, 1000)
    target_policy_noise: float = setting(0.1, "standard deviation of the target action's noise (td3, rtd3)", 0.0, 2.0)
    target_policy_noise_clip: float = setting(0.2, "limit of that noise (td3, rtd3)", 0.0, 2.0)
    gradient_clipping: float = setting(10.0, "largest norm of a gradient; 0 for no limit", 0.0, 1e6)

    @property
    def recurrent(self) -> bool:
        """Whether the networks carry a state from one decision to the next."""
        return self.algorithm in ("rdpg", "rtd3")


@dataclasses.dataclass(frozen=True)
class ReplayConfig(Section):
    """The Reverb table between collectors and learner.

    An item is what a batch is made of: one decision with its n-step return, or, for recurrent agents, one sequence of decisions
    (they start every ``sequence_length // 2`` decisions, so that a decision is in two).
    """

    capacity: int = setting(200_000, "most items kept; the oldest go first", 100, 10**8)
    min_items: int = setting(1000, "items before the first train step", 1, 10**8)
    samples_per_item: float = setting(64.0, "times that an item is trained on, on average (the replay ratio)", 0.01, 1e5)


@dataclasses.dataclass(frozen=True)
class CollectionConfig(Section):
    """The collecting cars."""

    cars: int = setting(6, "collecting cars", 1, 10_000)
    cars_per_collector: int = setting(1, "cars that one collector process drives", 1, 32)
    noise_low: float = setting(
        0.05, "exploration noise of the first car (standard deviation of an action in [-1, 1])", 0.0, 2.0
    )
    noise_high: float = setting(0.4, "exploration noise of the last car; between them the ladder is geometric", 0.0, 2.0)
    noise_damping: float = setting(0.3, "Ornstein-Uhlenbeck damping of the noise; 1 makes it white", 0.001, 1.0)

    @property
    def collectors(self) -> int:
        """Collector processes of cars that are all in one place; more where they are shared over simulators."""
        return -(-self.cars // self.cars_per_collector)


@dataclasses.dataclass(frozen=True)
class LearnerConfig(Section):
    """The training process."""

    num_gpus: float = setting(0.0, "GPUs that Ray reserves for the learner", 0.0, 8.0)
    threads: int = setting(1, "TensorFlow threads of the learner", 1, 256)
    steps_per_call: int = setting(20, "train steps in one call of TF-Agents' learner", 1, 10_000)
    publish_interval_s: float = setting(0.25, "wall time between two broadcasts of the weights", 0.01, 3600.0)
    checkpoint_interval_s: float = setting(120.0, "wall time between two checkpoints, replay included", 1.0, 1e6)
    checkpoints_to_keep: int = setting(3, "checkpoints kept", 1, 1000)


@dataclasses.dataclass(frozen=True)
class EvaluationConfig(Section):
    """The judged car: greedy policy, alone on its simulator when that is an embedded one."""

    interval_s: float = setting(15.0, "least wall time between the starts of two evaluations", 0.0, 1e6)
    laps: int = setting(3, "flying laps of one evaluation", 1, 1000)
    max_seconds: float = setting(60.0, "game time after which an evaluation ends in any case", 1.0, 1e5)
    average_steps: int = setting(0, "train steps that the judged and kept weights are averaged over; 0 for none", 0, 10**7)


@dataclasses.dataclass(frozen=True)
class Config:
    """A whole run. Every section is checked on its own when it is made, and their sum here."""

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
        """Discount of one decision, from the horizon in seconds."""
        return 1.0 - 1.0 / (self.agent.horizon_s * self.environment.decisions_per_s)

    @property
    def critic_observation_size(self) -> int:
        """Length of what the critic sees: the observation vector, then what it alone is told."""
        return self.environment.observation_size + (PRIVILEGED_SIZE if self.agent.privileged_critic else 0)

    @property
    def simulator_addresses(self) -> tuple[str, ...]:
        """Of the simulators that are named, ``HOST[:CAR_PORT[:LOG_PORT]]``; none where embedded ones are started."""
        one = (self.simulator.address,) if self.simulator.address is not None else ()
        return (*one, *(f"{listed.host}:{listed.car_port}:{listed.log_port}" for listed in self.simulators))

    def to_dict(self) -> dict[str, Any]:
        """Plain sections and values, as YAML and JSON take them."""
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
                f"simulator.address is {self.simulator.address}, but simulators are listed too: take that key (or --simulator) "
                "away, or the list"
            )
        places = sum(listed.cars for listed in self.simulators)
        if places != self.collection.cars:
            each = " + ".join(str(listed.cars) for listed in self.simulators)
            raise ConfigError(
                f"collection.cars is {self.collection.cars}, but the listed simulators take {places} "
                f"(simulators[].cars: {each}): set collection.cars to {places}"
            )


def load_config(path: Path | None, overrides: dict[str, Any]) -> Config:
    """The config of a YAML file (None: all defaults) with ``{"section.key": value}`` over it.

    Text values of overrides are read as YAML scalars or lists, as the command line hands them over; those of keys that
    take text stay as they are (a track may be called 5), but for ``null``.

    Raises:
        ConfigError: the file cannot be read, a key is unknown or a value is not allowed.
    """
    tree = {} if path is None else _read_yaml(path)
    for key, value in overrides.items():
        section, _, name = key.partition(".")
        _known(section, _SECTIONS, "section")
        if isinstance(value, str):
            value = _from_command_line(key, value)
        if isinstance(tree.setdefault(section, {}), dict):  # else config_from_dict refuses it
            tree[section][name] = value
    return config_from_dict(tree)


def config_from_dict(tree: dict[str, Any]) -> Config:
    """The config of plain sections and values, as ``Config.to_dict`` gives them."""
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
    """Writes the resolved config as YAML that ``load_config`` reads back to an equal one."""
    path.write_text(yaml.safe_dump(config.to_dict(), sort_keys=False))


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigError(f"config {path} cannot be read: {error.strerror}; launch/ holds some to start from") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: bytes that are no text, dates that are none
        raise ConfigError(f"config {path} is not YAML: {' '.join(str(error).split())}") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"config {path} holds {type(tree).__name__}, not sections of keys and values")
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
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        return text  # is then refused with what is allowed


def _known(name: Any, allowed: typing.Iterable[str], what: str) -> str:
    if name not in allowed:
        text = " ".join(str(name).split())  # YAML's keys can be anything, and hold line breaks
        raise ConfigError(f"unknown {what} {text}; {nearest(text, allowed)}")
    return str(name)


SIMULATORS = "simulators"
"""The one list among the sections."""

_SECTIONS: dict[str, type[Any]] = {
    field.name: field.default_factory  # type: ignore[misc]
    for field in dataclasses.fields(Config)
    if field.name != SIMULATORS
}

NO_RANDOMISATION = RandomisationConfig()
"""Every car is the standard one."""
