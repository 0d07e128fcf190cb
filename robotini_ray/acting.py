"""The policy as collectors, the evaluator and bots run it: NumPy, no TensorFlow.

A policy on disk is a directory with ``policy.json`` (a ``PolicySpec``: what the network looks like and what it expects of
its car) and ``weights.npz`` (named float32 arrays). In memory all weights are one flat vector, in the order of
``weight_shapes`` (``agents.factory`` brings a TF-Agents network's variables into it): so a broadcast is one array.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from robotini_ray import __version__
from robotini_ray.config import ACTION_SIZE, FRAMES_PER_SECOND, Config, EnvironmentConfig
from robotini_ray.errors import RobotiniError

Floats = NDArray[np.float32]

FORMAT = 1
"""Version of the files of a policy; another one is refused."""

FEATURES = "column-and-row-colours-8x3"
"""What the numbers of a frame are (``environment.observation.features``); a policy trained on others is refused."""


NPY_HEADER_BYTES = 65_536
"""More than NumPy writes in front of an array."""


class PolicyError(RobotiniError, ValueError):
    """A policy directory that cannot be used; the message is one line for a person."""


@dataclasses.dataclass(frozen=True)
class PolicySpec:
    """What a policy is and what it expects of the car that it drives."""

    network: Literal["mlp", "lstm"]
    layers: tuple[int, ...]
    lstm_units: int
    image_width: int
    throttle_low: float
    throttle_high: float
    turn_limit: float
    action_repeat: int
    observation_history: int
    action_history: int
    merge_frames: bool
    algorithm: str
    track: str
    features: str = FEATURES
    frames_per_s: int = FRAMES_PER_SECOND
    program_version: str = "0.1.0"
    format: int = FORMAT

    def __post_init__(self) -> None:
        """Raises ValueError: a value that no policy has, or none that this program can drive, in files from elsewhere."""
        if self.features != FEATURES:
            raise ValueError(f"it was trained on features {self.features!r}; this program computes {FEATURES!r}")
        if self.frames_per_s != FRAMES_PER_SECOND:
            raise ValueError(f"it was trained at {self.frames_per_s!r} frames/s; this program drives at {FRAMES_PER_SECOND}")
        if self.network not in ("mlp", "lstm"):
            raise ValueError(f"network is {self.network!r}; allowed: mlp, lstm")
        units = (*self.layers, self.lstm_units) if self.network == "lstm" else self.layers
        if not units or not all(type(number) is int and 0 < number <= 4096 for number in units):
            raise ValueError(f"layers and LSTM have {units} units; allowed: whole numbers from 1 to 4096")
        for name in ("track", "algorithm", "program_version"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} is {getattr(self, name)!r}; allowed: text")
        for name, value in dataclasses.asdict(self.environment()).items():
            if name in _CAR_SETTINGS:
                object.__setattr__(self, name, value)

    @classmethod
    def from_config(cls, config: Config) -> PolicySpec:
        """The spec of the policies that a run with this config trains."""
        environment = config.environment
        return cls(
            network="lstm" if config.agent.recurrent else "mlp",
            layers=config.agent.actor_layers,
            lstm_units=config.agent.lstm_units if config.agent.recurrent else 0,
            algorithm=config.agent.algorithm,
            track=Path(config.simulator.track).name,
            program_version=__version__,
            **{name: getattr(environment, name) for name in _CAR_SETTINGS},
        )

    def environment(self) -> EnvironmentConfig:
        """The environment that this policy was trained for (rewards and episodes aside)."""
        return EnvironmentConfig(**{name: getattr(self, name) for name in _CAR_SETTINGS})

    def check_fits(self, environment: EnvironmentConfig) -> None:
        """Raises PolicyError if the policy was trained with another picture, history, range or decision rate."""
        for name in _CAR_SETTINGS:
            trained, given = getattr(self, name), getattr(environment, name)
            if trained != given:
                raise PolicyError(
                    f"the policy was trained with environment.{name} {trained}, but the environment has {given}: "
                    "drive it in that of its spec (PolicySpec.environment)"
                )

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the weights, in the order of the flat vector."""
        shapes: dict[str, tuple[int, ...]] = {}
        width = self.environment().observation_size
        for index, units in enumerate(self.layers):
            shapes[f"dense_{index}/kernel"] = (width, units)
            shapes[f"dense_{index}/bias"] = (units,)
            width = units
        if self.network == "lstm":
            shapes["lstm/kernel"] = (width, 4 * self.lstm_units)
            shapes["lstm/recurrent_kernel"] = (self.lstm_units, 4 * self.lstm_units)
            shapes["lstm/bias"] = (4 * self.lstm_units,)
            width = self.lstm_units
        shapes["action/kernel"] = (width, ACTION_SIZE)
        shapes["action/bias"] = (ACTION_SIZE,)
        return shapes

    @property
    def state_size(self) -> int:
        """Length of the recurrent state of one car (hidden, then cell), 0 for a feed-forward network."""
        return 2 * self.lstm_units


_CAR_SETTINGS = (
    "image_width",
    "throttle_low",
    "throttle_high",
    "turn_limit",
    "action_repeat",
    "observation_history",
    "action_history",
    "merge_frames",
)


class NumpyPolicy:
    """The deterministic actor network for a batch of cars: dense ReLU layers, perhaps an LSTM, tanh actions.

    Args:
        spec: what the network looks like.
        flat_weights: ``<float32>[size]``; None starts with zeros, which act as neutral throttle straight ahead.
    """

    def __init__(self, spec: PolicySpec, flat_weights: Floats | None = None) -> None:
        self.spec = spec
        self._flat = np.zeros(sum(_size(shape) for shape in spec.weight_shapes().values()), np.float32)
        self.weights = dict(_views(spec, self._flat))
        if flat_weights is not None:
            self.set_weights(flat_weights)

    def set_weights(self, flat_weights: Floats) -> None:
        """Copies ``<float32>[size]`` in.

        Raises:
            PolicyError: the vector has another length than the network needs.
        """
        if flat_weights.shape != self._flat.shape:
            raise PolicyError(f"{flat_weights.shape} weights for a network of {self._flat.shape}: not the same network")
        self._flat[:] = flat_weights

    def flat_weights(self) -> Floats:
        """A copy of the flat vector."""
        return self._flat.copy()

    def initial_state(self, cars: int) -> Floats:
        """The recurrent state of cars that begin an episode: zeros ``<float32>[cars, state_size]``."""
        return np.zeros((cars, self.spec.state_size), np.float32)

    def act(self, observations: Floats, state: Floats) -> tuple[Floats, Floats]:
        """Greedy actions.

        Args:
            observations: ``<float32>[cars, observation_size]``.
            state: ``<float32>[cars, state_size]``, not changed.

        Returns:
            actions ``<float32>[cars, 2]`` in [-1, 1] and the next state.
        """
        weights = self.weights
        x = observations
        for index in range(len(self.spec.layers)):
            x = x @ weights[f"dense_{index}/kernel"]
            x += weights[f"dense_{index}/bias"]
            np.maximum(x, 0.0, out=x)
        if self.spec.network == "lstm":
            x, state = self._lstm(x, state)
        return np.tanh(x @ weights["action/kernel"] + weights["action/bias"]), state

    def _lstm(self, x: Floats, state: Floats) -> tuple[Floats, Floats]:
        """One step of Keras' LSTMCell (Hochreiter and Schmidhuber 1997 with a forget gate; gates i, f, c, o)."""
        units = self.spec.lstm_units
        hidden, cell = state[:, :units], state[:, units:]
        gates = x @ self.weights["lstm/kernel"] + hidden @ self.weights["lstm/recurrent_kernel"]
        gates += self.weights["lstm/bias"]
        keep_in, forget, _, keep_out = (_sigmoid(gates[:, k * units : (k + 1) * units]) for k in range(4))
        candidate = np.tanh(gates[:, 2 * units : 3 * units])
        cell = forget * cell + keep_in * candidate
        hidden = keep_out * np.tanh(cell)
        return hidden, np.concatenate([hidden, cell], axis=1)


class ExplorationNoise:
    """Ornstein-Uhlenbeck noise of one car, in action units (Uhlenbeck and Ornstein 1930; TF-Agents' ``OUProcess``).

    Each sample is ``(1 - damping) * last + stddev * scale * normal``; the scale keeps the stationary standard deviation at
    ``stddev`` for every damping. ``damping=1`` is white noise.
    """

    def __init__(self, stddev: float, damping: float, seed: int) -> None:
        self._keep = 1.0 - damping
        self._scale = stddev * np.sqrt(1.0 - self._keep**2)
        self._random = np.random.default_rng(seed)
        self._value = np.zeros(ACTION_SIZE, np.float32)

    def sample(self) -> Floats:
        """The next noise ``<float32>[2]``."""
        fresh = self._scale * self._random.standard_normal(ACTION_SIZE)
        self._value = (self._keep * self._value + fresh).astype(np.float32)
        return self._value


def noise_ladder(cars: int, low: float, high: float) -> list[float]:
    """Standard deviations for the collecting cars, geometric from low to high (Horgan et al. 2018, Ape-X)."""
    if cars == 1 or low == 0.0 or high == 0.0:
        return [max(low, high)] if cars == 1 else [float(step) for step in np.linspace(low, high, cars)]
    return [float(step) for step in np.geomspace(low, high, cars)]


def save_policy(directory: Path, policy: NumpyPolicy, facts: dict[str, Any]) -> None:
    """Writes ``policy.json`` and ``weights.npz`` into a new directory.

    Args:
        facts: what else is worth knowing of the policy (train step, score); kept under ``facts``.
    """
    directory.mkdir(parents=True)
    np.savez(directory / "weights.npz", **policy.weights)
    text = json.dumps({**dataclasses.asdict(policy.spec), "facts": facts}, indent=2)
    (directory / "policy.json").write_text(text + "\n")


def load_policy(directory: Path) -> tuple[NumpyPolicy, dict[str, Any]]:
    """The policy of a directory and its facts, of one version even while a link to it is turned to another one.

    Raises:
        PolicyError: there is no policy, or it is of another format or shape than its spec says.
    """
    while True:
        version = directory.resolve()
        try:
            return _load_version(version, directory)
        except PolicyError:
            if directory.resolve() == version:  # else it was replaced, and removed, while it was read
                raise


def _load_version(directory: Path, name: Path) -> tuple[NumpyPolicy, dict[str, Any]]:
    try:
        fields = json.loads((directory / "policy.json").read_text())
        facts = fields.pop("facts", {})
        if fields.get("format") != FORMAT:
            raise PolicyError(f"{name} holds a policy of format {fields.get('format')}; this program reads {FORMAT}")
        spec = PolicySpec(**{**fields, "layers": tuple(fields["layers"])})
        policy = NumpyPolicy(spec)
        with np.load(directory / "weights.npz", allow_pickle=False) as arrays:
            for key, view in policy.weights.items():
                if key in arrays and arrays.zip.getinfo(f"{key}.npy").file_size > view.nbytes + NPY_HEADER_BYTES:
                    raise PolicyError(
                        f"{name}/weights.npz unpacks to more as {key} than the {view.nbytes} bytes of policy.json"
                    )
                array = arrays.get(key)
                if array is None or array.shape != view.shape or array.dtype != view.dtype:
                    found = "nothing" if array is None else f"{array.dtype}{array.shape}"
                    raise PolicyError(f"{name}/weights.npz has {found} as {key}; policy.json asks for {view.dtype}{view.shape}")
                view[:] = array
    except PolicyError:
        raise
    except FileNotFoundError as error:
        raise PolicyError(f"{name} holds no policy: {Path(error.filename).name} is missing") from error
    except Exception as error:  # whatever json, zipfile and NumPy raise for damaged bytes
        raise PolicyError(f"{name} holds no readable policy: {' '.join(str(error).split())}") from error
    return policy, facts


class PolicyShelf:
    """The ``policies`` directory of a run: versions, and names (``best``, ``latest``) that point at them.

    A name is a symbolic link, so that replacing what it points at is one atomic rename: a reader sees the old policy or the
    new one, never half of each. Versions that no name points at are removed.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._versions = directory / "versions"
        self._versions.mkdir(parents=True, exist_ok=True)

    def version(self, name: str) -> Path:
        """Where the version of this name stands, or will stand."""
        return self._versions / name

    def point(self, name: str, version: Path) -> None:
        """Makes ``name`` mean this version."""
        link = self._directory / name
        fresh = self._directory / f".{name}.new"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(Path("versions") / version.name)
        os.replace(fresh, link)
        self._remove_unnamed()

    def _remove_unnamed(self) -> None:
        named = {link.resolve() for link in self._directory.iterdir() if link.is_symlink()}
        for version in self._versions.iterdir():
            if version.resolve() not in named:
                shutil.rmtree(version)


def _sigmoid(x: Floats) -> Floats:
    return 0.5 * (np.tanh(0.5 * x) + 1.0)


def _size(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape))


def _views(spec: PolicySpec, flat: Floats) -> Iterator[tuple[str, Floats]]:
    start = 0
    for name, shape in spec.weight_shapes().items():
        yield name, flat[start : start + _size(shape)].reshape(shape)
        start += _size(shape)
